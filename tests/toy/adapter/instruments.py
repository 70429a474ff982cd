"""Toy's instrument master."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.adapters.broker_http import MASTER_LIMIT, BrokerTransport
from core.adapters.fields import Row, rows_of
from core.adapters.throttle import Bucket
from core.domain.instrument import Instrument, InstrumentId, Segment
from tests.toy.adapter.wire import payload_of, request

__all__ = ["ToyInstruments"]


class ToyInstruments:
    """An ``InstrumentSource``."""

    def __init__(self, root: str, transport: Callable[[], BrokerTransport]) -> None:
        self._root = root
        self._transport = transport

    async def load(self) -> Sequence[Instrument]:
        """Download and translate today's master."""
        async with self._transport() as transport:
            raw = await transport.send(
                request("GET", f"{self._root}/instruments"), Bucket.OTHER, limit=MASTER_LIMIT
            )
        return [_instrument(row) for row in rows_of(payload_of(raw), "instruments")]


def _instrument(row: Row) -> Instrument:
    symbol = row.text("symbol")
    return Instrument(
        id=InstrumentId("NSE", symbol),
        broker_symbol=symbol,
        broker_token=symbol,
        lot_size=1,
        tick_size=row.number("tick"),
        segment=Segment.CASH,
    )
