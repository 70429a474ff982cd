"""Prices without asking: the stream of the data account, watched, and polls where it is none (D10).

Whoever needs prices says of what (``want``). While somebody does, the stream of the first data
source that has one is kept; what it tells goes to ``LivePrices``. A stream that is down, silent or
late is not relied on from that moment: bars and prices are asked for as if there were none, and
where many instruments are wanted their quotes are polled. The user is told once, and once when the
prices are pushed again for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from core.domain.account import Account
from core.domain.instrument import InstrumentId
from core.domain.notices.notice import Notice
from core.domain.notices.post import trouble_card
from core.domain.notices.prices import PricesPolled, PricesPushed
from core.domain.ticks import PriceTick
from core.engine.accounts.connections import Connections
from core.engine.orders.market_hours import MarketHours
from core.engine.outbox import Outbox
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.stream_watch import StreamWatch
from core.errors import AlreadyDone, BrokerReadError, StoreError, VaultError
from core.ports.clock import Clock
from core.ports.price_stream import PriceStream
from core.ports.store import Store, StoreView
from core.ports.updates import UpdatesState

__all__ = ["ASK_AT_ONCE", "PriceFeed"]

_log = logging.getLogger(__name__)

ASK_AT_ONCE: Final = 6
"""So many histories are had within two seconds of a slot: fewer are not worth a poll."""
_LOOK_S: Final = 0.5
_CHOOSE_S: Final = 5.0
_REFUSED_S: Final = 300.0
_RESTART_S: Final = 10.0
_TOLD_AFTER_S: Final = 4.0
_GOOD_FOR_S: Final = 30.0
_TOLD_EACH_S: Final = 600.0
_ANSWER_S: Final = 1.5
_PROVE_S: Final = 1.0
_LONGEST_PROOF_S: Final = 60.0
_POLL_S: Final = 2.0
"""Thirty a minute, where reads of a Fyers app have 120 to themselves (facts/fyers.md 10)."""
_A_QUOTE: Final = 400
"""Instruments of one check: a single request at Kite."""
_A_POLL: Final = 50
"""Instruments of one request at Fyers (facts/fyers.md 7): more are polled less often."""


class PriceFeed:
    """Follows the stream; ``want`` says of what, ``run`` keeps it."""

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        outbox: Outbox,
        market_data: MarketData,
        connections: Connections,
        hours: MarketHours,
        live: LivePrices,
    ) -> None:
        self._clock = clock
        self._store = store
        self._outbox = outbox
        self._market_data = market_data
        self._connections = connections
        self._live = live
        self._watch = StreamWatch(clock, live, lambda name: hours.is_open(name, None))
        self._hours = hours
        self._wants: dict[str, frozenset[InstrumentId]] = {}
        self._polled: frozenset[InstrumentId] = frozenset()
        self._source: Account | None = None
        self._stream: PriceStream | None = None
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._frame_at = clock.market_now()
        self._refused_at: dict[str, float] = {}
        self._chosen_at = self._began_at = self._polls_at = float("-inf")
        self._proofs: dict[InstrumentId, tuple[float, float]] = {}
        self._was_live = False
        self._bad_since: float | None = None
        self._good_since: float | None = None
        self._told_at = float("-inf")
        self._is_told = False

    @property
    def wanted(self) -> frozenset[InstrumentId]:
        """All that is wanted."""
        return frozenset().union(*self._wants.values())

    def want(
        self, who: str, instruments: Iterable[InstrumentId], *, has_bars: bool = False
    ) -> None:
        """Need these from now on, and no others; with ``has_bars`` their minutes too."""
        self._wants[who] = frozenset(instruments)
        if has_bars:
            self._polled = self._wants[who]

    def _is_open(self) -> bool:
        return any(self._hours.is_open(one, None) for one in self.wanted)

    async def run(self) -> None:
        """Keep the stream, and look after it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    try:
                        await self.tick(group)
                    except StoreError as error:
                        _log.warning("prices: the store is away: %s", error)
                    await self._clock.sleep(_LOOK_S)
            finally:
                await self._stop()

    async def tick(self, group: asyncio.TaskGroup) -> None:
        """Look after the stream once; it is run in the group."""
        self._group = group
        await self._choose()
        if self._stream is not None:
            self._stream.want(self.wanted)
        await self._look()
        self._live.is_streaming = self._stream is not None and not self.trouble
        await self._prove()
        await self._poll()
        await self._tell()

    @property
    def trouble(self) -> str:
        """Why the stream is not relied on, '' when it is, or when there is none."""
        if self._stream is None:
            return ""
        status = self._stream.status
        if not status.is_live:
            return status.why or "it is being opened"
        return self._watch.stopped

    # The stream

    async def _choose(self) -> None:
        """Follow the first data source that has a stream, while anything is wanted."""
        if not self.wanted:
            await self._stop()
            return
        now = self._clock.monotonic()
        is_over = self._task is None or self._task.done()
        if not is_over and now - self._chosen_at < _CHOOSE_S:
            return
        if is_over and self._stream is not None:
            self._note_end(now)
        self._chosen_at = now
        source, stream = await self._find(now)
        if stream is self._stream and not (is_over and stream is not None):
            return
        await self._stop()
        self._source, self._stream = source, stream
        if stream is not None:
            self._start(stream, is_new=True)

    def _note_end(self, now: float) -> None:
        """Leave a source alone for a while whose stream was refused."""
        source, stream = self._source, self._stream
        if source and stream and stream.status.state is UpdatesState.REFUSED:
            self._refused_at[source.broker_id] = now

    async def _find(self, now: float) -> tuple[Account | None, PriceStream | None]:
        for account in await self._market_data.sources():
            refused = self._refused_at.get(account.broker_id)
            if refused is not None and now - refused < _REFUSED_S:
                continue
            with suppress(BrokerReadError, VaultError):
                client = await self._connections.client(account)
                stream = client.prices() if client is not None else None
                if stream is not None:
                    return account, stream
        return None, None

    def _start(self, stream: PriceStream, *, is_new: bool = False) -> None:
        stream.want(self.wanted)
        self._began_at = self._clock.monotonic()
        self._frame_at = self._clock.market_now()
        self._watch.begin(is_new=is_new)
        self._was_live = False
        self._task = self._group.create_task(self._keep(stream)) if self._group else None

    async def _keep(self, stream: PriceStream) -> None:
        try:
            await stream.run(lambda ticks: self._hear(stream, ticks))
        # A fault in a stream must not end the watch over it: prices are polled meanwhile.
        except Exception:  # noqa: BLE001 - logged whole, and tried again
            _log.exception("the stream of prices failed")

    async def _stop(self) -> None:
        task, self._task, self._stream, self._source = self._task, None, None, None
        self._live.is_streaming = False
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._live.break_off(self._frame_at)

    def _hear(self, stream: PriceStream, ticks: Sequence[PriceTick]) -> None:
        if stream is not self._stream:
            return
        if stream.status.is_live:
            if not self._was_live:
                self._watch.begin()
            self._frame_at = self._clock.market_now()
            self._watch.hear(ticks)
            self._live.is_streaming = not self._watch.stopped
            self._live.hear(ticks)
        elif self._was_live:
            self._live.is_streaming = False
            self._live.break_off(self._frame_at)
        self._was_live = stream.status.is_live

    # The watch

    async def _look(self) -> None:
        """Ask about what is silent, and give up what moves without a tick."""
        if self._stream is None or not self._stream.status.is_live:
            return
        lost = self._watch.settle()
        heard = [self._live.of(one) for one in lost]
        news = sum(one.tick is not None and not one.is_lost for one in heard)
        for one in heard:
            one.is_lost = True
        if news:
            _log.warning("the stream of prices lost %d of %d instruments", news, len(self.wanted))
        self._live.break_off(self._frame_at, lost)
        now = self._clock.monotonic()
        if self._watch.stands and now - self._began_at >= _RESTART_S:
            stream = self._stream
            source = self._source
            await self._stop()
            self._source, self._stream = source, stream
            self._start(stream)
            return
        doubtful = self._watch.doubtful(self.wanted)[:_A_QUOTE]
        if doubtful and not await self._ask(doubtful, is_judged=True):
            self._watch.could_not_ask()

    async def _prove(self) -> None:
        """Ask once for the quotes of what the stream has begun to tell of."""
        now = self._clock.monotonic()
        if self._stream is None:
            return
        new = [
            one
            for one in sorted(self.wanted)
            if (heard := self._live.of(one)).tick is not None
            and not heard.is_proved
            and now >= self._proofs.get(one, (now, 0.0))[0]
        ][:_A_QUOTE]
        for one in new:
            # What is not proved by the first quotes will hardly be by the next.
            pause_s = min(2 * self._proofs.get(one, (now, _PROVE_S / 2))[1], _LONGEST_PROOF_S)
            self._proofs[one] = (now + pause_s, pause_s)
        if new:
            await self._ask(new)

    async def _ask(
        self, names: Iterable[InstrumentId], *, is_judged: bool = False, poll_s: float = 0.0
    ) -> bool:
        """Ask for quotes and hand them on; False when none could be had."""
        asked_at = self._clock.market_now()
        try:
            # A poll of many is several requests.
            async with asyncio.timeout(_ANSWER_S + poll_s):
                quotes = await self._market_data.quotes(sorted(names))
        except (NoData, StoreError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            _log.warning("no quotes beside the stream of prices: %s", why)
            return False
        if is_judged:
            self._watch.judge(quotes)
        self._live.take(quotes, asked_at=asked_at, poll_s=poll_s)
        return True

    async def _poll(self) -> None:
        """Poll quotes where no stream tells of many instruments whose bars are wanted."""
        now = self._clock.monotonic()
        names = [one for one in self._polled & self.wanted if not self._live.is_live(one)]
        is_new = self._stream is not None and now - self._began_at < _TOLD_AFTER_S
        if len(names) <= ASK_AT_ONCE or is_new or not self._is_open():
            if self._polls_at > float("-inf"):
                self._polls_at = float("-inf")
                self._live.stop_polls()
            return
        every_s = _POLL_S * -(-len(names) // _A_POLL)
        if now - self._polls_at >= every_s - _LOOK_S / 2:
            self._polls_at = now
            await self._ask(names, poll_s=every_s + _ANSWER_S)

    # The user

    async def _tell(self) -> None:
        """Say once that prices are not pushed any more, and once that they are again."""
        now = self._clock.monotonic()
        if self._stream is None or not self._is_open():
            self._bad_since = self._good_since = None
            return
        trouble = self.trouble
        if trouble:
            self._good_since = None
            self._bad_since = now if self._bad_since is None else self._bad_since
            is_sure = bool(self._watch.stopped) or now - self._bad_since >= _TOLD_AFTER_S
            if is_sure and not self._is_told and now - self._told_at >= _TOLD_EACH_S:
                label = self._source.label if self._source is not None else ""
                await self._post(PricesPolled(label, trouble))
                self._is_told, self._told_at = True, now
            return
        self._bad_since = None
        self._good_since = now if self._good_since is None else self._good_since
        if self._is_told and now - self._good_since >= _GOOD_FOR_S:
            await self._post(PricesPushed())
            self._is_told = False

    async def _post(self, notice: Notice) -> None:
        async def body(view: StoreView) -> None:
            await self._outbox.post(view, trouble_card(notice, "prices"))

        with suppress(AlreadyDone):
            nonce = f"{notice.kind}|{self._clock.now().isoformat()}"
            await self._store.transaction(body, nonce=nonce)
