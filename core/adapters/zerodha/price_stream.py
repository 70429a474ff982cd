"""Kite's prices: binary ticks in full mode on a WebSocket of its own (facts/kite.md 8.2).

Kite sends order frames on every connection of a user; the account's own stream reads them
(``updates.py``), so those that come here are dropped. Two connections of a key's three are used:
what prices do (a large subscription, a frame that cannot be read) never touches the order updates.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from core.adapters.kept_socket import KeptSocket, Say, SocketForm, Word
from core.adapters.zerodha.ticks import Tick, read_frame
from core.adapters.zerodha.updates import KiteDialect
from core.domain.instrument import Instrument, InstrumentId
from core.domain.ticks import PriceTick
from core.ports.broker import Credentials
from core.ports.clock import Clock
from core.ports.updates import UpdatesStatus

__all__ = ["KitePriceStream"]

_log = logging.getLogger(__name__)
_BEAT_S: Final = 0.25
_SILENCE_S: Final = 4.0
"""Kite sends a heartbeat about each second."""
_CAPACITY: Final = 3000
_A_MESSAGE: Final = 500
"""Instruments in one message."""
_LARGEST_FRAME: Final = 2 * 1024 * 1024
"""3,000 instruments in full mode, several times."""


class KitePriceStream:
    """A ``PriceStream``.

    Args:
        clock: Its market time is that of the ticks' coming.
        root: Address of the stream.
        credentials: The login.
        master: Kite's instruments; it may be filled later.
    """

    capacity = _CAPACITY

    def __init__(
        self,
        clock: Clock,
        root: str,
        credentials: Credentials,
        master: Mapping[InstrumentId, Instrument],
    ) -> None:
        self._clock = clock
        self._master = master
        login = KiteDialect(root, credentials)
        form = SocketForm(
            "prices", login.address, login.headers, _BEAT_S, _SILENCE_S, _LARGEST_FRAME
        )
        self._socket = KeptSocket(
            clock,
            form,
            _log,
            account=credentials.broker_id,
            route=credentials.route,
        )
        self._account = credentials.broker_id
        self._wanted: frozenset[InstrumentId] = frozenset()
        self._names: dict[int, InstrumentId] = {}
        self._asked: set[int] = set()
        self._hear: Callable[[Sequence[PriceTick]], None] = _to_nobody
        self.unreadable = 0

    @property
    def status(self) -> UpdatesStatus:
        """How the stream does."""
        return self._socket.status

    def want(self, instruments: frozenset[InstrumentId]) -> None:
        """Tell of these from now on, and of nothing else."""
        self._wanted = frozenset(sorted(instruments)[:_CAPACITY])

    async def run(self, hear: Callable[[Sequence[PriceTick]], None]) -> None:
        """Keep the stream until cancelled; return only when the broker refuses the login."""
        self._hear = hear
        await self._socket.run(self)

    async def open(self, say: Say) -> Word:
        """Ask for all that is wanted."""
        self._asked.clear()
        await self._ask(say)
        return Word.READY

    async def beat(self, say: Say) -> None:
        """Ask for what is wanted since."""
        await self._ask(say)

    def hear(self, frame: str | bytes) -> Word:
        """Hand the ticks of a frame on."""
        if isinstance(frame, str):
            return Word.NOTHING
        try:
            found = read_frame(frame, has_depth=False)
        except ValueError:
            self._cannot_read()
            return Word.NOTHING
        if found.unknown:
            self._cannot_read()
        now = self._clock.market_now()
        self._hear(
            [
                PriceTick(
                    self._names[tick.token],
                    tick.last_price,
                    now,
                    tick.exchange_at,
                    tick.traded_at,
                    tick.volume,
                    *_extremes(tick),
                )
                for tick in found.ticks
                if tick.token in self._names and tick.token in self._asked
            ]
        )
        return Word.NOTHING

    def changed(self) -> None:
        """Say so."""
        self._hear(())

    async def _ask(self, say: Say) -> None:
        """Bring what the broker was asked for to what is wanted."""
        self._names = {
            int(known.broker_token): name
            for name in self._wanted
            if (known := self._master.get(name)) is not None and known.broker_token.isdecimal()
        }
        more = sorted(self._names.keys() - self._asked)
        less = sorted(self._asked - self._names.keys())
        for tokens in _parts(less):
            await say(json.dumps({"a": "unsubscribe", "v": tokens}))
            self._asked.difference_update(tokens)
        for tokens in _parts(more):
            self._asked.update(tokens)
            await say(json.dumps({"a": "subscribe", "v": tokens}))
            await say(json.dumps({"a": "mode", "v": ["full", tokens]}))

    def _cannot_read(self) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            _log.warning("account %s: a tick could not be read; told once", self._account)


def _extremes(tick: Tick) -> tuple[Decimal | None, Decimal | None]:
    return (tick.day.high, tick.day.low) if tick.day is not None else (None, None)


def _parts(tokens: Sequence[int]) -> list[list[int]]:
    return [list(tokens[at : at + _A_MESSAGE]) for at in range(0, len(tokens), _A_MESSAGE)]


def _to_nobody(_ticks: Sequence[PriceTick]) -> None:
    """Take ticks before anybody listens."""
