"""Lines and buttons that fit a narrow phone: they go on in a new line before the phone breaks them.

A phone breaks a line wherever a space is, so that a price or the word that explains it stands
alone, and cuts off the label of a button. What is shown in rows (orders, positions, results) is
therefore broken here, between parts, and buttons go to rows in which their labels have room.

The widths are those of Roboto, which Telegram uses on Android, on a screen of 360 points; iPhones
have a wider font and a wider screen. ``tests/browser/test_lines_fit.py`` measures both.
"""

from __future__ import annotations

import html
import re

__all__ = ["INDENT", "fits_button", "fitted", "width"]

INDENT = "   "
_LINE = 16.7
"""The width of a line in ems."""
_ROW = 18.9
"""The width of a row of buttons for one label, in ems of their font."""
_BETWEEN = 1.1
"""What each button more of a row takes from all: its margins and the gap."""
_BOLD = re.compile(r"<b>(.*?)</b>")
_TAG = re.compile(r"<[^>]+>")
_BOLDER = 1.03
_WIDTHS = (
    ("\u2060", 0.0),
    (" \u00a0ijlI.,:;!|'·[]", 0.27),
    ("-()frt/‹›", 0.36),
    ('"*^_`{}?«»', 0.5),
    ("kszxcvy<>₹", 0.52),
    ("EFJL+=#", 0.58),
    ("BRSTYZPXKVU&…–", 0.64),
    ("ACDGOQ", 0.69),
    ("HNw%—", 0.74),
    ("mMW@", 0.9),
)
_EM = {sign: size for signs, size in _WIDTHS for sign in signs}
_LATIN, _OTHER = 0.565, 1.3
_OTHERS_FROM = 0x2100
"""From here on there are pictures, and letters whose width is not known."""


def width(text: str) -> float:
    """Return how wide HTML is on a phone, in ems."""
    total = sum(_plain(one) * (_BOLDER - 1) for one in _BOLD.findall(text))
    return total + _plain(text)


def _plain(text: str) -> float:
    return sum(_em(sign) for sign in html.unescape(_TAG.sub("", text)))


def _em(sign: str) -> float:
    if sign in _EM:
        return _EM[sign]
    if ord(sign) >= _OTHERS_FROM:
        return _OTHER
    return _LATIN


def fits_button(label: str, columns: int) -> bool:
    """Return whether a phone shows the whole of a label where a row has so many buttons."""
    room = _ROW / columns - _BETWEEN * (columns - 1) / columns
    return width(html.escape(label)) * _BOLDER <= room


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
