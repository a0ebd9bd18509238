"""Makes the pictures of the documentation small: PNG with a palette of at most 256 colours.

Pages are drawn in few colours; what has more are the edges of letters, which nobody tells from their nearest neighbours.
"""

from io import BytesIO

from PIL import Image

MOST_COLOURS = 256


def packed(png: bytes) -> bytes:
    """The same picture with at most ``MOST_COLOURS`` colours. Raises ValueError for one that no browser takes: it has a palette already."""
    with Image.open(BytesIO(png)) as taken:
        if taken.mode not in {"RGB", "RGBA"}:
            raise ValueError("not a picture that a browser takes")
        few = taken.convert("RGB").quantize(MOST_COLOURS, dither=Image.Dither.NONE)
    small = BytesIO()
    few.save(small, "PNG", optimize=True)
    return small.getvalue()
