"""Draw one letter as NotMNIST does: light on black, cropped, scaled to the box and centred."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

LETTERS = "ABCDEFGHIJ"
SIZE = 28  # pixels a side
INK = 24  # the letter's longer side
FINE = 8  # drawn on a grid this much finer, then averaged: hinting plays no part


@lru_cache(maxsize=2)
def _font(data: bytes) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(data), 300, layout_engine=ImageFont.Layout.BASIC)


def draw(font: bytes, letter: str) -> bytes:
    """The letter's 28×28 grey values, row by row.

    Args: font: a TrueType or OpenType file's bytes. letter: one character that the font has.
    """
    face = _font(font)
    left, top, right, bottom = (round(edge) for edge in face.getbbox(letter))
    canvas = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(canvas).text((4 - left, 4 - top), letter, font=face, fill=255)
    glyph = canvas.crop(canvas.getbbox())
    scale = INK * FINE / max(glyph.size)
    width, height = (max(FINE, round(side * scale)) for side in glyph.size)
    glyph = glyph.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    fine = Image.new("L", (SIZE * FINE, SIZE * FINE))
    fine.paste(glyph, ((SIZE * FINE - width) // 2, (SIZE * FINE - height) // 2))
    return fine.resize((SIZE, SIZE), Image.Resampling.BOX).tobytes()


def png(pixels: bytes) -> bytes:
    """A grey PNG of 28×28 values."""
    buffer = io.BytesIO()
    Image.frombytes("L", (SIZE, SIZE), pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
