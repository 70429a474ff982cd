"""Times of the day as people type them: ``9.20``, ``920``, ``9:20 am``, ``2 pm``. Pure."""

from __future__ import annotations

import re
from datetime import time

from core.domain.typed_number import plain_digits

__all__ = ["read_time"]

_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?:\s?[:.h]\s?|\s?)(?P<minute>\d{2})?\s*(?P<half>[ap]\.?m\.?)?"
    r"(?:\s*(?:ist|hrs?|hours|o'?clock))?",
    re.ASCII | re.IGNORECASE,
)
_NOON = 12


def read_time(text: str) -> str | None:
    """Return the time in a text as ``HH:MM``, or None where there is none."""
    found = _TIME.fullmatch(plain_digits(text).strip())
    if found is None:
        return None
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if half := (found["half"] or "").casefold():
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if half.startswith("p") else 0)
    try:
        return time(hour, minute).isoformat("minutes")
    except ValueError:
        return None
