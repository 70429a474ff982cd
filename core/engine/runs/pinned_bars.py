"""Bars that an entry was decided on: kept for the day, so that no later reading rewrites the path.

Strategies replay the day's bars at each slot. A provider that puts an opening bar right after the
entry, or another data account with slightly other bars, would take the breakout away under a
position that was opened on it (docs/decisions/0012-pinned-bars.md). Owns the collection
``pinned_bars`` (``_id`` is ``strategy|day|minutes|instrument``): ``bars``, oldest first, a line of
text each (``core.domain.bars``; the version before kept a list of numbers for each), and ``at``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from core.domain.bars import bars_in, text_of_bars
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST
from core.engine.runs.bars import Bars
from core.ports.store import Change, StoreView

__all__ = ["merged", "pin_bars", "with_pinned"]

_PINNED = "pinned_bars"


def merged(live: Sequence[Candle], pinned: Sequence[Candle]) -> Sequence[Candle]:
    """Return pinned bars where there are any, gaps included, and live ones before and after."""
    if not pinned:
        return live
    first, last = pinned[0].start, pinned[-1].start
    before = [bar for bar in live if bar.start < first]
    after = [bar for bar in live if bar.start > last]
    return (*before, *pinned, *after)


async def with_pinned(view: StoreView, strategy: str, day: str, minutes: int, bars: Bars) -> Bars:
    """Return what was read, with what a strategy's entries of the day were decided on put back."""
    keys = {_key(strategy, day, minutes, one): one for one in bars}
    found = dict(bars)
    for row in await view.find(_PINNED, {"_id": {"$in": list(keys)}}):
        one = keys[row["_id"]]
        found[one] = merged(bars[one], _bars_of(row["bars"]))
    return found


def _bars_of(kept: Any) -> Sequence[Candle]:
    """Return what was kept; a list is of a version before, on the day of its upgrade."""
    if isinstance(kept, str):
        return bars_in(kept)
    return [Candle(values[0].astimezone(IST), *values[1:]) for values in kept]


async def pin_bars(
    view: StoreView,
    strategy: str,
    day: str,
    minutes: int,
    bars: Bars,
    *,
    instruments: Iterable[InstrumentId],
    at: datetime,
) -> None:
    """Keep the bars of instruments that are entered now, in the transaction of the entry."""
    for instrument in instruments:
        await view.update(
            _PINNED,
            {"_id": _key(strategy, day, minutes, instrument)},
            Change(set={"bars": text_of_bars(bars.get(instrument, ())), "at": at}),
            upsert=True,
        )


def _key(strategy: str, day: str, minutes: int, instrument: InstrumentId) -> str:
    return f"{strategy}|{day}|{minutes}|{instrument}"
