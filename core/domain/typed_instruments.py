"""Instruments as people type them: ``sbin``, ``SBIN, reliance`` or ``NSE:SBIN BSE:TCS``. Pure."""

from __future__ import annotations

import re

__all__ = ["read_instruments"]

_BETWEEN = re.compile(r"[,;] ?| (?!\d+(?:[,; ]|$))")
"""A number is the rest of a name: ``NIFTY 50``."""
_COLON = re.compile(r"\s*:\s*")
_USUAL = "NSE"


def read_instruments(text: str) -> tuple[str, ...]:
    """Return the names that were typed, in capitals and with an exchange, each once."""
    words = [one for one in _BETWEEN.split(_COLON.sub(":", " ".join(text.split()))) if one]
    named = [one.upper() if ":" in one else f"{_USUAL}:{one.upper()}" for one in words]
    return tuple(dict.fromkeys(named))
