"""Instruments as people type them: ``sbin``, ``SBIN, reliance`` or ``NSE:SBIN BSE:TCS``. Pure.

A list may also be changed: ``add tcs``, ``+tcs``, ``remove infy``.
"""

from __future__ import annotations

import re

from core.errors import UserError

__all__ = ["changed_instruments", "read_instruments"]

_BETWEEN = re.compile(r"[,;+/] ?| (?:and|aur|&) | (?!\d+(?:[,; ]|$))", re.IGNORECASE)
"""A number is the rest of a name: ``NIFTY 50``."""
_ADD = re.compile(r"(?:(?:please )?(?:add|include|also|with)\b:?|\+)\s*", re.IGNORECASE)
_REMOVE = re.compile(r"(?:(?:please )?(?:remove|delete|drop|without)\b:?|[-−])\s*", re.IGNORECASE)
_NO_NAME = re.compile(r"^[^\w&]+|[^\w&]+$")
"""What stands around a name and is none of it: marks, a hash, a symbol of a face."""
_COLON = re.compile(r"\s*:\s*")
_USUAL = "NSE"


def read_instruments(text: str) -> tuple[str, ...]:
    """Return the names that were typed, in capitals and with an exchange, each once."""
    parts = _BETWEEN.split(_COLON.sub(":", " ".join(text.split())))
    words = [one for one in (_NO_NAME.sub("", part) for part in parts) if one]
    named = [one.upper() if ":" in one else f"{_USUAL}:{one.upper()}" for one in words]
    return tuple(dict.fromkeys(named))


def changed_instruments(text: str, present: str) -> str:
    """Return the list that a change of the present one makes; other texts as they are.

    Raises:
        UserError: What is to be removed is not in it, or is all of it.
    """
    said, had = " ".join(text.split()), read_instruments(present)
    if found := _ADD.match(said):
        return ",".join(dict.fromkeys([*had, *read_instruments(said[found.end() :])]))
    if found := _REMOVE.match(said):
        gone = read_instruments(said[found.end() :])
        left = [one for one in had if one not in gone]
        if unknown := [one for one in gone if one not in had]:
            raise UserError(f"{unknown[0][:40]} is not in the list: {', '.join(had)}.")
        if not left:
            raise UserError("At least one instrument has to stay: send those that it shall have.")
        return ",".join(left)
    return text
