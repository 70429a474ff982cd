"""The prices of a run's entries, looked up before it is planned in one quote (product.md D10).

What is pushed, and was confirmed by a quote of its own name today, is at hand: nothing is asked.
Of the others the data account is asked outside every transaction, a few times at most; where no
answer can be had nothing is entered, and the run says so. How long an answer takes decides nothing:
ages are judged in market time, from the moment of asking.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.order import Side
from core.domain.price_check import Asked, at_circuit, doubt_about, stop_doubt
from core.engine.runs.bars import Bars
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData, NoData
from core.ports.clock import Clock

__all__ = ["Doubts", "EntryPrices"]

_log = logging.getLogger(__name__)
_TRIES = 3
_PAUSE_S = 1.0
_LONGEST_S = 20.0
"""Exits of the same run wait that long at most; mostly an answer takes part of a second."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a run's prices are not believed for, by instrument, each with its sentence.

    Attributes:
        entries: What is not entered.
        stops: What is held whose stop is not moved.
    """

    entries: Mapping[InstrumentId, str] = field(default_factory=dict)
    stops: Mapping[InstrumentId, str] = field(default_factory=dict)


class EntryPrices:
    """Compares what a run decided on with the last prices, and these with the day's band."""

    def __init__(self, clock: Clock, market_data: MarketData, live: LivePrices) -> None:
        self._clock = clock
        self._market_data = market_data
        self._live = live

    async def doubts(
        self,
        entries: Mapping[InstrumentId, Side],
        bars: Bars,
        *,
        slot_at: datetime,
        bar_minutes: int,
        stops: Collection[InstrumentId] = (),
    ) -> Doubts:
        """Return why instruments are not entered on these sides, and why stops are not moved.

        Nothing is asked for a stop: the prices of what has one are looked at all the time.
        """
        quotes, found = await self._entered(entries, bars, slot_at, bar_minutes)
        lasts = {
            one: quotes[one].last_price if one in quotes else self._live.last(one) for one in stops
        }
        doubts = {one: stop_doubt(one, bars.get(one, ()), last) for one, last in lasts.items()}
        return Doubts(found, {one: doubt for one, doubt in doubts.items() if doubt})

    async def _entered(
        self, entries: Mapping[InstrumentId, Side], bars: Bars, slot_at: datetime, bar_minutes: int
    ) -> tuple[Mapping[InstrumentId, Quote], Mapping[InstrumentId, str]]:
        """Return the quotes of what may be entered, and why some of it is not."""
        if not entries:
            return {}, {}
        asked = Asked(slot_at, self._clock.market_now(), timedelta(minutes=bar_minutes))
        quotes, trouble = await self._quotes(list(entries))
        found, sound = {}, {}
        for one in entries:
            quote = quotes.get(one)
            doubt = doubt_about(one, bars.get(one, ()), quote, asked)
            if doubt and trouble and quote is None:
                doubt = f"{one}: its last price could not be read ({trouble}): not entered"
            if doubt:
                found[one] = doubt
            elif quote is not None:
                sound[one] = quote
        for one, quote in (await self._market_data.with_limits(entries, sound)).items():
            if doubt := at_circuit(entries[one], quote):
                found[one] = doubt
        return quotes, found

    async def _quotes(
        self, instruments: Sequence[InstrumentId]
    ) -> tuple[Mapping[InstrumentId, Quote], str]:
        """Return what quotes can be had, and what went wrong when none can."""
        quotes = {one: quote for one in instruments if (quote := self._live.quote(one)) is not None}
        if len(quotes) == len(instruments):
            return quotes, ""
        trouble = ""
        try:
            async with asyncio.timeout(_LONGEST_S):
                for number in range(_TRIES):
                    if number:
                        await self._clock.sleep(_PAUSE_S)
                    missing = [one for one in instruments if one not in quotes]
                    try:
                        quotes.update(await self._market_data.quotes(missing))
                        trouble = ""
                    except NoData as error:
                        trouble = str(error)
                    if all(one in quotes for one in instruments):
                        break
        except TimeoutError:
            trouble = trouble or f"no answer within {_LONGEST_S:.0f} s"
        if trouble:
            _log.warning("no quotes: %s", trouble)
        return quotes, trouble
