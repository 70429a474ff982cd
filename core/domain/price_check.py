"""Whether an entry, or a stop, has a price: its instrument's now, one that is traded (D10, R3).

Bars may be of another instrument, old, or wrong, and a wrong price is a wrong size and a wrong
stop. Pure: market times and prices in, a sentence out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId
from core.domain.money import rupees
from core.domain.order import Side

__all__ = [
    "STALE_BARS",
    "Asked",
    "at_circuit",
    "band_of",
    "doubt_about",
    "is_at_limit",
    "lacks_limit",
    "stop_doubt",
]

STALE_BARS = 3
"""How many bars may be missing at the end before prices count as stale."""
_QUOTE_LIVES = timedelta(minutes=5)
_CASH = frozenset({"NSE", "BSE"})
_CASH_BAND = Decimal(5)
_OTHER_BAND = Decimal(20)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one run asks about: market times.

    Attributes:
        slot_at: The run's slot.
        asked_at: When the quotes were asked for. Not when they came: a slow answer is not an old
            price.
        step: The length of a bar.
    """

    slot_at: datetime
    asked_at: datetime
    step: timedelta


def band_of(instrument: InstrumentId) -> Decimal:
    """Return how far, in percent of the last price, a signal's price may be from it."""
    return _CASH_BAND if instrument.exchange in _CASH else _OTHER_BAND


def doubt_about(
    instrument: InstrumentId, bars: Sequence[Candle], quote: Quote | None, asked: Asked
) -> str:
    """Return why nothing is entered at these prices, one sentence, or ''.

    Args:
        instrument: What a signal would enter.
        bars: What was decided on, oldest first.
        quote: What the data account answered for it; None when it left it out.
        asked: The times.
    """
    if not bars:
        return f"{instrument}: there are no bars of it: not entered"
    newest = bars[-1]
    if asked.slot_at - (newest.start + asked.step) > STALE_BARS * asked.step:
        return f"{instrument}: its newest bar is of {newest.start:%d %b %H:%M}: not entered"
    if quote is None:
        return f"{instrument}: no last price could be had for it: not entered"
    if quote.instrument != instrument:
        return f"{instrument}: the quote that came is of {quote.instrument}: not entered"
    lives = max(_QUOTE_LIVES, STALE_BARS * asked.step)
    if quote.at is not None and asked.asked_at - quote.at > lives:
        return f"{instrument}: its last price is of {quote.at:%d %b %H:%M}: not entered"
    apart = _apart(instrument, newest.close, quote.last_price)
    return f"{apart}: not entered" if apart else ""


def stop_doubt(instrument: InstrumentId, bars: Sequence[Candle], last: Decimal | None) -> str:
    """Return why a stop is not moved to where these bars put it, one sentence, or ''.

    A price that nobody knows is no reason: what is held must not lose its stop's way for that.

    Args:
        instrument: What is held.
        bars: What was decided on, oldest first.
        last: Its last price now, rupees; None where none is known.
    """
    apart = _apart(instrument, bars[-1].close, last) if bars and last is not None else ""
    return f"{apart}: its stop stays where it is" if apart else ""


def _apart(instrument: InstrumentId, close: Decimal, last: Decimal) -> str:
    """Say that a close and a last price cannot be of one instrument now; '' where they can."""
    if last > 0 and abs(close - last) * 100 <= band_of(instrument) * last:
        return ""
    return f"{instrument}: bars end at {rupees(close)}, last price is {rupees(last)}"


def is_at_limit(side: Side, quote: Quote) -> bool:
    """Return whether nobody can trade against an order of this side: no price is beyond the limit.

    A limit that the broker does not name is unknown, and no reason to wait.
    """
    if side is Side.SELL:
        return quote.lower_circuit is not None and quote.last_price <= quote.lower_circuit
    return quote.upper_circuit is not None and quote.last_price >= quote.upper_circuit


def lacks_limit(side: Side, quote: Quote) -> bool:
    """Return whether only the limit, which the quote does not name, says if it is reached.

    A price that was passed today on the way to the limit does not stand there: limits move outward
    during a day, if at all.
    """
    if side is Side.SELL:
        limit, furthest = quote.lower_circuit, quote.day_low
        return limit is None and (furthest is None or quote.last_price <= furthest)
    limit, furthest = quote.upper_circuit, quote.day_high
    return limit is None and (furthest is None or quote.last_price >= furthest)


def at_circuit(side: Side, quote: Quote) -> str:
    """Return why nothing is entered at the end of the day's price band, one sentence, or ''.

    It would rest where nobody trades against it, and fill when the price turns, if at all.
    """
    if not is_at_limit(side, quote):
        return ""
    limit, nobody = ("upper", "sells") if side is Side.BUY else ("lower", "buys")
    return (
        f"{quote.instrument}: its price stands at its {limit} circuit limit of "
        f"{rupees(quote.last_price)}, where nobody {nobody}: not entered"
    )
