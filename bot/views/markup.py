"""Telegram HTML: escaping, tags, times, and the length limit of a message. Pure.

Every text from outside (names, symbols, brokers' reasons) is escaped by ``esc``. No tag spans a
line break, so a long text can be cut at any line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from datetime import date, datetime

from core.domain.sessions import IST

__all__ = [
    "LIMIT",
    "LONG",
    "bold",
    "clock_time",
    "code",
    "day_time",
    "day_words",
    "esc",
    "fit",
    "italic",
    "join",
    "sentence",
    "short",
    "units",
]

LIMIT = 4096
"""The length of a message; Telegram counts UTF-16 units, of which most pictures have two."""
LONG = 3000
"""The most units of a text from outside that has no natural end."""
_ROOM = 3900
_SIGNED = re.compile("([+-])₹")
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|%)(?!\w))")
_CUT = "… the rest is cut: too long for one message."


def esc(text: object) -> str:
    """Return ``text`` escaped for a Telegram HTML message."""
    return html.escape(str(text), quote=False)


def bold(text: object) -> str:
    """Return ``text`` escaped, in bold."""
    return f"<b>{esc(text)}</b>"


def italic(text: object) -> str:
    """Return ``text`` escaped, in italics."""
    return f"<i>{esc(text)}</i>"


def code(text: object) -> str:
    """Return ``text`` escaped, in a fixed-width font; a tap copies it."""
    return f"<code>{esc(text)}</code>"


def units(text: str) -> int:
    """Return the length of a text as Telegram counts it."""
    return len(text) + sum(sign > "\uffff" for sign in text)


def short(text: str, limit: int) -> str:
    """Return plain ``text`` on one line, at most ``limit`` units long."""
    line = " ".join(text.split())
    if units(line) <= limit:
        return line
    room = limit - 1
    for position, sign in enumerate(line):
        room -= units(sign)
        if room < 0:
            return line[:position] + "…"
    return line


def sentence(text: str) -> str:
    """Return a clause as a sentence."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def clock_time(moment: datetime | None, *, seconds: bool = False) -> str:
    """Return ``09:31`` or ``09:31:05`` in IST; ``never`` for None."""
    if moment is None:
        return "never"
    return moment.astimezone(IST).strftime("%H:%M:%S" if seconds else "%H:%M")


def day_time(moment: datetime | None, now: datetime | None = None) -> str:
    """Return ``23 Nov 09:31`` in IST, ``09:31`` on the day of ``now``; ``never`` for None."""
    if moment is None:
        return "never"
    at = moment.astimezone(IST)
    if now is not None and at.date() == now.astimezone(IST).date():
        return clock_time(at)
    return at.strftime("%-d %b %H:%M")


def day_words(day: str) -> str:
    """Return an ISO day as people write it, ``31 Dec 2027``; what is no day as it is."""
    try:
        return f"{date.fromisoformat(day):%-d %b %Y}"
    except ValueError:
        return day


def join(*parts: str | Iterable[str] | None) -> str:
    """Return the lines joined; None is left out, an empty text is a blank line."""
    lines: list[str] = []
    for part in parts:
        if part is None:
            continue
        lines.extend([part] if isinstance(part, str) else part)
    return "\n".join(lines).strip("\n")


def fit(text: str) -> str:
    """Return ``text`` as it is sent: no sign or unit apart from its figure, and not too long.

    It is cut at a line end when Telegram would refuse its length, with a note.
    """
    text = _UNIT.sub("\u00a0", _SIGNED.sub("\\1\u2060₹", text))
    if units(text) <= _ROOM:
        return text
    kept: list[str] = []
    room = _ROOM
    for line in text.split("\n"):
        room -= units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*kept, _CUT])
