"""What both brokers' order systems say when they reject an order, by cause (row R3).

Their risk systems speak much the same language; what only one of them says stands in its own
mapping. The first pattern that matches decides. An order with words that none knows is OTHER: it is
never guessed that it would be refused again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.domain.outcome import Cause

__all__ = ["Pattern", "cause_of", "largest_in"]

Pattern = tuple[Cause, re.Pattern[str]]

_NOT_TAKEN = (
    r"(?:block(?:ed)?|not (?:be )?(?:allowed|permitted|available|enabled)|disallowed|disabled"
    r"|restricted|prohibited|stopped)"
)
_INTRADAY = r"(?:\bMIS\b|\bintraday\b|\bCNC\b|\bNRML\b|product type|\bproduct\b)"


def _words(cause: Cause, pattern: str) -> Pattern:
    return cause, re.compile(pattern, re.IGNORECASE | re.DOTALL)


_COMMON: Sequence[Pattern] = (
    _words(
        Cause.FREEZE,
        r"freeze|(?:max(?:imum)?|permissible|allowed)[^.]{0,30}\b(?:order )?(?:quantity|qty)\b"
        r"|\b(?:quantity|qty)\b[^.]{0,40}(?:exceed|above|more than|greater than)[^.]{0,40}\d",
    ),
    _words(
        Cause.TRIGGER,
        r"(?:trigger|stop|sl)[\s-]*(?:loss )?price[^.]{0,60}"
        r"(?:lower|higher|less|greater|below|above|more)\b",
    ),
    _words(
        Cause.BAND,
        r"circuit|price (?:band|range)|daily price|\bDPR\b|\bLPP\b|execution range"
        r"|outside[^.]{0,30}range",
    ),
    _words(
        Cause.CLOSED,
        r"market(?:s)?(?: is| are)? closed|exchange is closed|trading hours|market hours"
        r"|\bAMO\b|after market",
    ),
    _words(
        Cause.MARGIN,
        r"insufficient (?:funds?|margin|balance|cash)|margin (?:shortfall|exceed|required)"
        r"|shortfall|(?:funds?|balance|margin)[^.]{0,20}(?:not sufficient|insufficient)",
    ),
    _words(
        Cause.HOLDING,
        r"insufficient (?:stock )?holding|insufficient stock|holdings? (?:not|quantity)"
        r"|\bT?PIN\b|\beDIS\b|\bCDSL\b",
    ),
    _words(
        Cause.PRODUCT, rf"{_INTRADAY}[^.]{{0,60}}{_NOT_TAKEN}|{_NOT_TAKEN}[^.]{{0,60}}{_INTRADAY}"
    ),
    _words(
        Cause.INSTRUMENT,
        r"\bban(?:ned)?\b|suspended|delisted|\bexpired\b|trade[\s-]*(?:to|for)[\s-]*trade|\bT2T\b"
        r"|\bGSM\b|\bASM\b|surveillance|illiquid"
        rf"|(?:scrip|symbol|stock|security|instrument|contract|strike)[^.]{{0,60}}{_NOT_TAKEN}"
        rf"|{_NOT_TAKEN}[^.]{{0,60}}(?:scrip|symbol|stock|security|instrument|contract|strike)",
    ),
)

_LARGEST = re.compile(
    r"(?:freeze|limit|max(?:imum)?|permissible|allowed|exceeds?|above|more than|greater than)"
    r"\D{0,40}?(\d[\d,]*)",
    re.IGNORECASE,
)


def cause_of(message: str, own: Sequence[Pattern] = ()) -> Cause:
    """Return why a broker rejected an order, by its words.

    Args:
        message: The broker's words.
        own: What only this broker says; asked first.
    """
    for cause, pattern in (*own, *_COMMON):
        if pattern.search(message):
            return cause
    return Cause.OTHER


def largest_in(message: str) -> int | None:
    """Return the largest quantity that a refusal for the freeze names; None for any other one."""
    if cause_of(message) is not Cause.FREEZE:
        return None
    found = [int(number.replace(",", "")) for number in _LARGEST.findall(message)]
    return min((number for number in found if number > 0), default=None)
