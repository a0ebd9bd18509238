"""The pictures of the documentation are made small without changing what is seen."""

from io import BytesIO

import pytest
from PIL import Image

from tests.e2e.packing import MOST_COLOURS, packed

WIDTH, HEIGHT = 40, 30


def picture(colours: int, mode: str) -> bytes:
    """As a browser writes them."""
    shades = [((7 * n) % 256, (n // 2) % 256, (255 - n) % 256, 255)[: len(mode)] for n in range(colours)]
    drawn = bytes(part for y in range(HEIGHT) for x in range(WIDTH) for part in shades[(x * y + x) % colours])
    found = BytesIO()
    Image.frombytes(mode, (WIDTH, HEIGHT), drawn).save(found, "PNG")
    return found.getvalue()


def shown(png: bytes) -> list[tuple[int, ...]]:
    """The pixels of a picture."""
    with Image.open(BytesIO(png)) as opened:
        parts = opened.convert("RGB").tobytes()
    return list(zip(parts[0::3], parts[1::3], parts[2::3], strict=True))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_of_few_colours_stays_as_it_was(mode: str) -> None:
    png = picture(200, mode)
    assert shown(packed(png)) == shown(png)


def test_of_more_colours_the_frequent_stay_and_others_are_near() -> None:
    png = picture(600, "RGB")
    was, now = shown(png), shown(packed(png))
    assert len(set(was)) > MOST_COLOURS >= len(set(now))
    assert max(max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in zip(was, now, strict=True)) < 100


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="browser"):
        packed(packed(picture(3, "RGB")))
