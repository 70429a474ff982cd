"""What is heard of prices: each instrument's newest tick, its minutes, and which of them are whole.

Two kinds of witness are kept apart: the stream of ticks, which tells every trade or the state after
it, and quotes that were polled, whose extremes between two polls nobody saw. A stream is believed
about an instrument once a quote of its own, asked for by name, has shown the same price: a token
that leads to another instrument would be seen by nothing else (row D10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.domain.broker import Candle, Quote
from core.domain.coverage import Coverage
from core.domain.instrument import InstrumentId
from core.domain.minute_bars import MINUTE, MinuteBars
from core.domain.price_check import band_of
from core.domain.protection import PRICE_LIVES
from core.domain.second_ends import SecondEnds
from core.domain.ticks import PriceTick, tick_of
from core.engine.orders.prices import Prices
from core.ports.clock import Clock

__all__ = ["FRESH_S", "Heard", "LivePrices"]

FRESH_S = 8.0
"""For how many real seconds a price that was heard, or confirmed by a quote, is of now."""
_FEED_STANDS = timedelta(seconds=60)


@dataclass(slots=True)
class Heard:
    """What is known of one instrument today.

    Attributes:
        tick: The newest of the stream.
        confirmed_at: When the stream, or a quote that agreed with it, was heard last.
        is_lost: The stream no longer tells of it, although its price moves.
        quote: The newest that was asked for.
        polled_at: When the newest poll was asked, None before the first.
        poll_asked: The market time of that.
        is_proved: A quote has shown that the stream tells of this instrument.
        has_times: Whether its ticks say when they were made.
    """

    tick: PriceTick | None = None
    confirmed_at: float = 0.0
    is_lost: bool = False
    quote: Quote | None = None
    polled_at: float | None = None
    poll_asked: datetime | None = None
    is_proved: bool = False
    has_times: bool = False
    bars: MinuteBars = field(default_factory=MinuteBars)
    stream: Coverage = field(default_factory=Coverage)
    poll_bars: MinuteBars = field(default_factory=MinuteBars)
    polls: Coverage = field(default_factory=Coverage)

    def is_behind(self, quote: Quote) -> bool:
        """Whether a quote tells of a trade that the stream has not told of."""
        tick = self.tick
        if tick is None:
            return True
        if tick.volume is not None and quote.volume is not None:
            return quote.volume > tick.volume
        return quote.last_price != tick.last


class LivePrices:
    """Keeps what ticks and quotes say, and gives it to whom it concerns.

    Attributes:
        is_streaming: Whether the stream can be relied on, as who follows it says.
        lag_s: How long after a tick's own time it comes at the least, real seconds of this clock.
        ends: How long after a second's end its last ticks came, likewise.
    """

    def __init__(self, clock: Clock, prices: Prices) -> None:
        self._clock = clock
        self._prices = prices
        self._heard: dict[InstrumentId, Heard] = {}
        self._day: date | None = None
        self.is_streaming = False
        self.lag_s = 0.0
        self.ends = SecondEnds()

    def of(self, instrument: InstrumentId) -> Heard:
        """Return what is known of an instrument today."""
        found = self._heard.get(instrument)
        if found is None:
            found = self._heard[instrument] = Heard()
        return found

    def hear(self, ticks: Sequence[PriceTick]) -> None:
        """Take the ticks of a frame."""
        now = self._clock.now()
        self._begin_day(self._clock.market_now().date())
        for tick in ticks:
            if tick.last > 0:
                self._take_tick(self.of(tick.instrument), tick, now)

    def _take_tick(self, heard: Heard, tick: PriceTick, now: datetime) -> None:
        if tick.has_time and not heard.has_times:
            # What came without a time may stand in the wrong minute.
            heard.has_times = True
            heard.stream, heard.bars = Coverage(), MinuteBars()
        heard.bars.add(tick)
        # By the later of two clocks: a minute that had begun for one of them is not whole.
        heard.stream.begin(max(tick.heard_at, tick.at or tick.heard_at))
        heard.tick, heard.is_lost = tick, False
        heard.confirmed_at = self._clock.monotonic()
        if heard.is_proved and self.is_streaming and _is_plausible(tick.last, heard.quote):
            self._prices.put(tick.instrument, tick.last, self._time_of(tick, now), now)

    def _time_of(self, tick: PriceTick, now: datetime) -> datetime:
        """Return the real time of a tick's price: its coming, unless the feed stands still."""
        if tick.at is None or tick.heard_at - tick.at <= _FEED_STANDS:
            return now
        return self._clock.real_at(tick.at)

    def take(
        self, quotes: Mapping[InstrumentId, Quote], *, asked_at: datetime, poll_s: float = 0.0
    ) -> None:
        """Take quotes that were asked for at a market time; they are prices of now as ticks are.

        Args:
            quotes: By instrument.
            asked_at: When they were asked for.
            poll_s: How often they are polled, where they are: two polls that are further apart
                than twice that leave a gap.
        """
        self._begin_day(self._clock.market_now().date())
        now, real_now = self._clock.monotonic(), self._clock.now()
        for name, quote in quotes.items():
            # Nothing trades at zero: it is what a feed says that has no price.
            if not _is_plausible(quote.last_price, quote):
                continue
            heard = self.of(name)
            heard.quote = quote
            self._prices.put_close(name, quote.previous_close, real_now)
            self._prices.put(name, quote.last_price, self._asked_time(quote, asked_at), real_now)
            if heard.tick is not None and not heard.is_proved:
                gap = abs(heard.tick.last - quote.last_price) * 100
                heard.is_proved = gap <= band_of(name) * quote.last_price
            if heard.tick is not None and not heard.is_behind(quote):
                heard.confirmed_at = now
            if poll_s:
                self._take_poll(heard, tick_of(quote, asked_at), now, poll_s)

    def _asked_time(self, quote: Quote, asked_at: datetime) -> datetime:
        """Return the real time of a quote: when it was asked for, or what the broker says of it.

        An exchange sends no newer time while nothing moves, so a time of the broker's counts only
        against a feed that stands still for long.
        """
        is_old = quote.at is not None and asked_at - quote.at > _FEED_STANDS
        return self._clock.real_at(quote.at if quote.at and is_old else asked_at)

    @staticmethod
    def _take_poll(heard: Heard, tick: PriceTick, now: float, poll_s: float) -> None:
        before = heard.polled_at
        if before is not None and heard.poll_asked and now - before > 2 * poll_s:
            heard.polls.end(heard.poll_asked)
        heard.polled_at, heard.poll_asked = now, tick.heard_at
        heard.poll_bars.add(tick)
        heard.polls.begin(tick.heard_at)

    def break_off(self, at: datetime, instruments: Iterable[InstrumentId] | None = None) -> None:
        """Note that the stream told nothing after a market time, of some instruments or of all."""
        names = list(self._heard) if instruments is None else list(instruments)
        for name in names:
            heard = self.of(name)
            last = heard.tick.heard_at if heard.tick is not None else at
            heard.stream.end(max(at, last) if instruments is None else last)

    def stop_polls(self) -> None:
        """Note that quotes are polled no longer."""
        for heard in self._heard.values():
            if heard.poll_asked is not None:
                heard.polls.end(heard.poll_asked)
            heard.polled_at = heard.poll_asked = None

    def forget(self, kept: Iterable[InstrumentId]) -> None:
        """Note that nothing is heard of other instruments any more."""
        known = set(kept)
        for name in self._heard.keys() - known:
            heard = self._heard[name]
            if heard.tick is not None:
                heard.stream.end(heard.tick.heard_at)

    def is_live(self, instrument: InstrumentId) -> bool:
        """Whether the stream tells of an instrument and can be relied on."""
        heard = self._heard.get(instrument)
        return (
            self.is_streaming
            and heard is not None
            and heard.is_proved
            and not heard.is_lost
            and heard.stream.since is not None
        )

    def is_fresh(self, instrument: InstrumentId) -> bool:
        """Whether its newest price is of now."""
        return (
            self.is_live(instrument)
            and self._clock.monotonic() - self.of(instrument).confirmed_at <= FRESH_S
        )

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """Return the newest price as a quote; None unless it is of now and within its limits."""
        if not self.is_fresh(instrument):
            return None
        heard = self.of(instrument)
        tick, asked = heard.tick, heard.quote
        if tick is None or not _is_plausible(tick.last, asked):
            return None
        return Quote(
            instrument,
            tick.last,
            tick.at or tick.heard_at,
            asked.lower_circuit if asked else None,
            asked.upper_circuit if asked else None,
            asked.previous_close if asked else None,
            tick.traded_at,
            tick.volume,
            tick.day_high,
            tick.day_low,
        )

    def last(self, instrument: InstrumentId) -> Decimal | None:
        """Return the last price, pushed or asked for; None unless it is of now, or nearly."""
        known = self._prices.get(instrument)
        return known.last if known and self._clock.now() - known.at <= PRICE_LIVES else None

    def has_closed(self, instrument: InstrumentId, at: datetime) -> bool:
        """Whether a tick of ``at`` or later was heard, so that no earlier one is on its way."""
        heard = self._heard.get(instrument)
        tick = heard.tick if heard is not None else None
        return tick is not None and (tick.at or tick.moment) >= at

    def minute(self, instrument: InstrumentId, start: datetime) -> tuple[Candle | None, bool]:
        """Return the stream's bar of a minute, and whether all of it was heard."""
        heard, end = self._heard.get(instrument), start + MINUTE
        if heard is None or not heard.is_proved or not heard.stream.has(start):
            return None, False
        if not self.is_live(instrument) and not self.has_closed(instrument, end):
            return None, False  # its last ticks may not have come
        found = heard.bars.bars(start, end)
        return (found[0] if found else None), True

    def is_polled(self, instrument: InstrumentId) -> bool:
        """Whether quotes of an instrument are polled."""
        heard = self._heard.get(instrument)
        return heard is not None and heard.polls.since is not None

    def was_polled(self, instrument: InstrumentId, at: datetime) -> bool:
        """Whether a quote was asked for at a time or later."""
        heard = self._heard.get(instrument)
        return heard is not None and heard.poll_asked is not None and heard.poll_asked >= at

    def polled_minute(
        self, instrument: InstrumentId, start: datetime
    ) -> tuple[Candle | None, bool]:
        """Return the bar of a minute that was polled, and whether it was from end to end."""
        heard = self._heard.get(instrument)
        end = start + MINUTE
        if heard is None or not heard.polls.has(start):
            return None, False
        if heard.poll_asked is not None and heard.poll_asked < end:
            return None, False  # its last trade may have come after that poll
        found = heard.poll_bars.bars(start, end)
        return (found[0] if found else None), True

    def revision(self, instrument: InstrumentId) -> int:
        """Count the ticks that changed a minute which was over."""
        heard = self._heard.get(instrument)
        return heard.bars.revision + heard.poll_bars.revision if heard is not None else 0

    def _begin_day(self, day: date) -> None:
        if day != self._day:
            self._day = day
            for heard in self._heard.values():
                heard.bars, heard.poll_bars = MinuteBars(), MinuteBars()
                heard.stream, heard.polls = Coverage(), Coverage()
                heard.is_proved = False


def _is_plausible(last: Decimal, quote: Quote | None) -> bool:
    """Whether a price is within the day's limits, where a quote named them."""
    low = quote.lower_circuit if quote is not None else None
    high = quote.upper_circuit if quote is not None else None
    return last > 0 and (not low or last >= low) and (not high or last <= high)
