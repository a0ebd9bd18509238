"""Makes the pictures of the documentation small: PNG with a palette of at most 256 colours, in plain Python.

Pages are drawn in few colours; what has more are the edges of letters, which nobody tells from their nearest neighbours.
"""

import struct
import zlib
from collections import Counter

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}  # colour types of PNG that a browser writes: RGB and RGBA
MOST_COLOURS = 256
Colour = tuple[int, int, int]


def packed(png: bytes) -> bytes:
    """The same picture with at most ``MOST_COLOURS`` colours; of more, the most frequent stay and the others become the nearest of them.

    Raises ValueError for a PNG that no browser takes: with a palette, interlaced, or not of 8 bits.
    """
    width, height, pixels = _read(png)
    counted = Counter(pixels)
    palette = [colour for colour, _count in counted.most_common(MOST_COLOURS)]
    places = {colour: place for place, colour in enumerate(palette)}
    for colour in counted:
        if colour not in places:
            places[colour] = min(range(len(palette)), key=lambda place: _apart(palette[place], colour))
    drawn = bytes(map(places.__getitem__, pixels))
    lines = b"".join(b"\0" + drawn[at : at + width] for at in range(0, width * height, width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", head)
        + _chunk(b"PLTE", bytes(part for colour in palette for part in colour))
        + _chunk(b"IDAT", zlib.compress(lines, 9))
        + _chunk(b"IEND", b"")
    )


def _apart(one: Colour, other: Colour) -> int:
    return sum((mine - theirs) ** 2 for mine, theirs in zip(one, other, strict=True))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _read(png: bytes) -> tuple[int, int, list[Colour]]:
    """Width, height and the pixels, line by line."""
    at, body, head = len(_SIGNATURE), b"", b""
    while at < len(png):
        (size,), kind = struct.unpack_from(">I", png, at), png[at + 4 : at + 8]
        part = png[at + 8 : at + 8 + size]
        head, body = part if kind == b"IHDR" else head, body + part if kind == b"IDAT" else body
        at += size + 12
    width, height, bits, colours, _how, _filters, interlaced = struct.unpack(">IIBBBBB", head)
    if bits != 8 or colours not in _CHANNELS or interlaced:
        raise ValueError("not a picture that a browser takes")
    step, raw = _CHANNELS[colours], zlib.decompress(body)
    size, before, pixels = width * step, bytearray(width * step), list[Colour]()
    for start in range(0, height * (size + 1), size + 1):
        line = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + size]), before, step)
        pixels += zip(line[0::step], line[1::step], line[2::step], strict=True)
        before = line
    return width, height, pixels


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    """The line as it was before a filter of PNG (0 none, 1 left, 2 above, 3 mean of both, 4 Paeth)."""
    for n in range(len(line)) if kind else ():
        left, up = line[n - step] if n >= step else 0, above[n]
        corner = above[n - step] if n >= step else 0
        if kind == 1:
            line[n] = (line[n] + left) & 255
        elif kind == 2:
            line[n] = (line[n] + up) & 255
        elif kind == 3:
            line[n] = (line[n] + (left + up) // 2) & 255
        else:
            guess = left + up - corner
            line[n] = (line[n] + min((left, up, corner), key=lambda each: abs(guess - each))) & 255
    return line
