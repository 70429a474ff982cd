"""Texts that people and brokers choose, before they are shown or compared.

A name can hold characters that show nothing or turn the direction of what follows: with them one
account passes for another, and a line says something else than it reads. ``plain_line`` gives the
one form that such a text is kept in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

__all__ = ["plain_line", "shape_of"]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories without a shape of their own: control, format, surrogate, private, separators."""
_JOINER = "\u200d"
_PICTURE_FORM = "\ufe0f"
_MARKS_IN_A_ROW = 3
_EMPTY_SHAPES = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters and signs that are drawn as nothing, whatever their category says."""

_ALIKE: Mapping[str, str] = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u0432\u03b2",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u04bd",
    "h": "\u04bb\u043d",
    "i": "\u0456\u03b9\u0131",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "\u04cf",
    "m": "\u043c",
    "n": "\u03b7\u0578",
    "o": "\u043e\u03bf\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "u": "\u03c5\u057d",
    "v": "\u03bd\u0475",
    "w": "\u051d",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u04af",
}
"""Small Latin letters, and those of other scripts (Cyrillic, Greek) that are drawn as they are."""
_LATIN = {ord(one): latin for latin, others in _ALIKE.items() for one in others}


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


def shape_of(name: str) -> str:
    """Return a form that is the same for two names which nobody tells apart by sight."""
    return plain_line(name).casefold().translate(_LATIN)
