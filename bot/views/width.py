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

__all__ = ["INDENT", "fits_button", "fits_line", "fitted", "labelled", "width"]

INDENT = "   "
_LINE = 16.9
"""The width of a line in ems."""
_ROW = 18.9
"""The width of a row of buttons for one label, in ems of their font."""
_BETWEEN = 1.1
"""What each button more of a row takes from all: its margins and the gap."""
_BOLD = re.compile(r"<b>(.*?)</b>")
_TAG = re.compile(r"<[^>]+>")
_PLAIN = (
    "25 26 33 62 57 74 63 18 35 35 44 57 20 28 27 42 57 57 57 57 57 57 57 57 57 57 25 22 51 55 "
    "53 48 90 66 63 66 66 57 56 69 72 28 56 63 54 88 72 69 64 69 62 60 60 65 64 89 63 61 60 27 "
    "42 27 42 46 31 55 57 53 57 54 35 57 56 25 24 51 25 88 56 58 57 57 34 52 33 56 49 76 50 48 "
    "50 34 25 34 69"
)
_HEAVY = (
    "25 28 33 60 58 74 66 17 36 36 46 55 25 39 30 38 58 58 58 58 58 58 58 58 58 58 29 27 51 58 "
    "52 50 90 68 64 66 66 57 55 69 71 30 56 64 55 88 71 70 65 70 64 62 62 66 66 88 64 62 61 28 "
    "43 28 44 45 34 54 57 53 57 55 36 58 57 27 27 54 27 87 57 57 57 57 37 52 34 57 51 74 51 51 "
    "51 34 26 34 65"
)
"""Hundredths of an em of the signs from the space to the tilde, of Roboto regular and bold."""
_ELSE = {"\u2060": 0.0, "\u00a0": 0.25, "₹": 0.53, "·": 0.28, "…": 0.7, "‹": 0.31, "›": 0.31}
_LETTER, _PICTURE = 0.6, 1.25
_PICTURES_FROM = 0x2100
"""From here on there are pictures, and letters whose width is not known."""


def _table(hundredths: str) -> dict[str, float]:
    widths = map(int, hundredths.split())
    return _ELSE | {chr(code): each / 100 for code, each in enumerate(widths, ord(" "))}


_REGULAR_EM, _BOLD_EM = _table(_PLAIN), _table(_HEAVY)


def width(text: str) -> float:
    """Return how wide HTML is on a phone, in ems."""
    heavy = "".join(_BOLD.findall(text))
    return _ems(_BOLD.sub("", text), _REGULAR_EM) + _ems(heavy, _BOLD_EM)


def _ems(text: str, table: dict[str, float]) -> float:
    return sum(_em(sign, table) for sign in html.unescape(_TAG.sub("", text)))


def _em(sign: str, table: dict[str, float]) -> float:
    found = table.get(sign)
    if found is not None:
        return found
    return _PICTURE if ord(sign) >= _PICTURES_FROM else _LETTER


def fits_button(label: str, columns: int) -> bool:
    """Return whether a phone shows the whole of a label where a row has so many buttons."""
    room = _ROW / columns - _BETWEEN * (columns - 1) / columns
    return _ems(html.escape(label), _BOLD_EM) <= room


def fits_line(text: str) -> bool:
    """Return whether a phone shows a line (HTML) without breaking it."""
    return width(text) <= _LINE


def labelled(label: str, value: str, *, indent: str = "") -> str:
    """Return ``label: value`` (HTML); a value without room begins a line of its own."""
    line = f"{indent}{label}: {value}"
    return line if fits_line(line) else f"{indent}{label}:\n{indent}{INDENT}{value}"


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
        if fits_line(longer):
            lines[-1] = longer
        else:
            lines.append(f"{indent or INDENT}{part}")
    return "\n".join(lines)
