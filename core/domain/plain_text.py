"""Texts that people and brokers choose, before they are shown or compared.

A name can hold characters that show nothing or turn the direction of what follows: with them one
account passes for another, and a line says something else than it reads. ``plain_line`` gives the
one form that such a text is kept in.
"""

from __future__ import annotations

import unicodedata

__all__ = ["plain_line"]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories without a shape of their own: control, format, surrogate, private, separators."""
_JOINER = "\u200d"
_PICTURE_FORM = "\ufe0f"
_MARKS_IN_A_ROW = 3
_EMPTY_SHAPES = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters and signs that are drawn as nothing, whatever their category says."""


def plain_line(text: str) -> str:
    """Return ``text`` on one line, in compatible composed form (NFKC), without hidden characters.

    A joiner stays where it makes one picture of two, and in scripts that write with it.
    """
    composed = unicodedata.normalize("NFKC", text)
    kept: list[str] = []
    marks = 0
    for position, sign in enumerate(composed):
        category = unicodedata.category(sign)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in _HIDDEN:
            if sign == _JOINER and _joins(composed, position):
                kept.append(sign)
            elif sign.isspace():
                kept.append(" ")
        elif sign not in _EMPTY_SHAPES and marks <= _MARKS_IN_A_ROW:
            kept.append(sign)
    return " ".join("".join(kept).split())


def _joins(text: str, position: int) -> bool:
    """Whether a joiner stands between two signs that it may join: pictures, or Indic letters."""
    if not 0 < position < len(text) - 1:
        return False
    before, after = text[position - 1], text[position + 1]
    if _is_picture(after) and (_is_picture(before) or before == _PICTURE_FORM):
        return True
    return _is_virama(before)


def _is_picture(sign: str) -> bool:
    return unicodedata.category(sign) in {"So", "Sk"}


def _is_virama(sign: str) -> bool:
    return unicodedata.combining(sign) == 9  # noqa: PLR2004 - the class of viramas
