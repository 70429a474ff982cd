"""Lines that fit a narrow phone: parts of a line go to the next one before the phone breaks it.

A phone breaks a line wherever a space is, so that a price or the word that explains it stands
alone. What is shown in rows (orders, positions, results) is therefore broken here, between parts.
The widths are generous: a wide font on a screen of 360 points, in the bubble of a message.
"""

from __future__ import annotations

import html
import re

__all__ = ["INDENT", "fitted", "width"]

INDENT = "   "
_LINE = 17.0
"""The width of a line in ems."""
_BOLD = re.compile(r"<b>(.*?)</b>")
_TAG = re.compile(r"<[^>]+>")
_BOLDER = 1.12
_WIDTHS = (
    ("\u2060", 0.0),
    ("iljIJ.,:;'|·  ", 0.33),
    ("frt-()[]/!", 0.44),
    ("mwMW%@", 1.0),
    ("+=<>", 0.84),
)
_EM = {sign: size for signs, size in _WIDTHS for sign in signs}
_DIGIT, _LOWER, _UPPER, _OTHER = 0.64, 0.62, 0.74, 1.35
_EMOJI_FROM = 0x2300


def width(text: str) -> float:
    """Return how wide HTML is on a phone, in ems."""
    total = sum(_plain(one) * (_BOLDER - 1) for one in _BOLD.findall(text))
    return total + _plain(text)


def _plain(text: str) -> float:
    return sum(_em(sign) for sign in html.unescape(_TAG.sub("", text)))


def _em(sign: str) -> float:
    if sign in _EM:
        return _EM[sign]
    if sign.isdigit() or sign == "₹":
        return _DIGIT
    if sign.islower():
        return _LOWER
    if sign.isupper():
        return _UPPER
    return _OTHER if ord(sign) >= _EMOJI_FROM else _LOWER


def fitted(*parts: str | None, indent: str = "") -> str:
    """Return the parts (HTML) joined by ``·``; what does not fit begins a line of its own.

    Args:
        parts: What is shown; None and '' are left out.
        indent: Before the first line; those that follow are indented further.
    """
    found = [part for part in parts if part]
    if not found:
        return ""
    lines = [indent + found[0]]
    for part in found[1:]:
        longer = f"{lines[-1]} · {part}"
        if width(longer) <= _LINE:
            lines[-1] = longer
        else:
            lines.append(f"{indent or INDENT}{part}")
    return "\n".join(lines)
