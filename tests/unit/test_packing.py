"""The pictures of the documentation are made small without changing what is seen."""

import struct
import zlib

import pytest

from tests.e2e.packing import MOST_COLOURS, _chunk, _read, packed

WIDTH, HEIGHT = 40, 30


def filtered(lines: list[bytearray], kinds: list[int], step: int) -> bytes:
    """As a browser writes them: each line with a filter of PNG."""
    found, above = b"", bytearray(len(lines[0]))
    for kind, line in zip(kinds, lines, strict=True):
        written = bytearray()
        for n, value in enumerate(line):
            left, up, corner = (line[n - step], above[n], above[n - step]) if n >= step else (0, above[n], 0)
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda each: abs(guess - each))
            written.append((value - (0, left, up, (left + up) // 2, nearest)[kind]) % 256)
        found += bytes([kind]) + bytes(written)
        above = line
    return found


def picture(colours: int, step: int) -> bytes:
    shades = [((7 * n) % 256, (n // 2) % 256, (255 - n) % 256, 255)[:step] for n in range(colours)]
    lines = [bytearray(part for x in range(WIDTH) for part in shades[(x * y + x) % colours]) for y in range(HEIGHT)]
    raw = filtered(lines, [y % 5 for y in range(HEIGHT)], step)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2 if step == 3 else 6, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def shown(png: bytes) -> list[tuple[int, ...]]:
    """The pixels of a packed picture."""
    palette = png[png.index(b"PLTE") + 4 :]
    size = struct.unpack(">I", png[png.index(b"IDAT") - 4 : png.index(b"IDAT")])[0]
    drawn = zlib.decompress(png[png.index(b"IDAT") + 4 :][:size])
    places = [drawn[y * (WIDTH + 1) + 1 + x] for y in range(HEIGHT) for x in range(WIDTH)]
    return [tuple(palette[3 * place : 3 * place + 3]) for place in places]


@pytest.mark.parametrize("step", [3, 4])
def test_a_picture_of_few_colours_stays_as_it_was(step: int) -> None:
    png = picture(200, step)
    assert shown(packed(png)) == _read(png)[2]


def test_of_more_colours_the_frequent_stay_and_others_are_near() -> None:
    png = picture(600, 3)
    was, now = _read(png)[2], shown(packed(png))
    assert len(set(was)) > MOST_COLOURS >= len(set(now))
    assert max(max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in zip(was, now, strict=True)) < 100


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="browser"):
        packed(packed(picture(3, 3)))
