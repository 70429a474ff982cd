"""Whether an instrument can be traded by the brokers' lists, and what else may be meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches

from core.domain.instrument import Instrument, InstrumentId, Segment

__all__ = ["gone", "nearest", "untradable"]

_SUGGESTIONS = 3
_LIKENESS = 0.6
_UNHANDLED = {Segment.CURRENCY: "currency", Segment.COMMODITY: "commodity"}


def untradable(instrument: Instrument, today: date) -> str:
    """Return why a listed instrument cannot be traded here, after its name, or ''."""
    if instrument.segment is Segment.INDEX:
        return "is an index, which cannot be traded"
    if instrument.segment in _UNHANDLED:
        return f"is a {_UNHANDLED[instrument.segment]} contract, which Saarthi does not trade"
    if instrument.expiry is not None and instrument.expiry < today:
        return f"expired on {instrument.expiry:%d %b %Y}"
    return ""


def nearest(wanted: InstrumentId, known: Iterable[InstrumentId]) -> tuple[InstrumentId, ...]:
    """Return what may be meant by a name that is not listed: the likeliest first, at most three."""
    exchange, symbol = wanted.exchange.upper(), wanted.symbol.upper().strip()
    names = list(known)
    exact = [one for one in names if one.symbol.upper() == symbol]
    mine = {one.symbol: one for one in names if one.exchange == exchange}
    # A name that grew or lost a tail (a series, a merger) is likelier than one of like letters.
    begun = sorted(
        (one for one in mine if one.startswith(symbol) or symbol.startswith(one)), key=len
    )
    alike = get_close_matches(symbol, mine, n=_SUGGESTIONS, cutoff=_LIKENESS)
    # By exchange: the one that was typed is the one that is meant.
    exact.sort(key=lambda one: (one.exchange != exchange, one))
    found = dict.fromkeys([*exact, *(mine[one] for one in alike), *(mine[one] for one in begun)])
    return tuple(found)[:_SUGGESTIONS]


def gone(
    wanted: InstrumentId, lists: Mapping[str, Mapping[InstrumentId, Instrument]], today: date
) -> str:
    """Return why an instrument cannot be traded at all, one sentence without its end, or ''.

    Args:
        wanted: The instrument.
        lists: Each broker's instruments by the broker's name; one that is empty knows nothing.
        today: The trading day.
    """
    known = {broker: table for broker, table in lists.items() if table}
    if not known:
        return ""
    reasons = [untradable(table[wanted], today) for table in known.values() if wanted in table]
    if reasons:
        # One broker that trades it is enough: the others say so at the run.
        return f"{wanted} {reasons[0]}" if all(reasons) else ""
    everything = {name for table in known.values() for name in table}
    meant = nearest(wanted, everything)
    hint = f"; did you mean {' or '.join(map(str, meant))}?" if meant else ""
    return f"{wanted} is not in the instruments of {' or '.join(sorted(known))}{hint}"
