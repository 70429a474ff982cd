"""Says once that a source of market data lets runs wait, and once that it answers again (D10).

The document ``silent_sources`` of ``settings`` records of which accounts that was said
(``labels``, by account), so that a restart neither says it again nor forgets to end it.
"""

from __future__ import annotations

import secrets

from core.domain.account import Account
from core.domain.notices.post import Post, trouble_card, trouble_over
from core.domain.notices.prices import SourceSilent
from core.engine.outbox import Outbox
from core.engine.runs.market_data import MarketData
from core.engine.stored_settings import read_setting, write_setting
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["SourceWatch"]

_KEY = "silent_sources"
_TOLD_EACH_S = 600.0
"""One that answers by turns is told of no more often."""


class SourceWatch:
    """Compares who is silent with what was said."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, market_data: MarketData) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._market_data = market_data
        self._said: dict[str, str] | None = None
        self._told_at: dict[str, float] = {}

    async def tick(self) -> None:
        """Post what has changed since the last tick."""
        if self._said is None:
            row = await read_setting(self._store, _KEY)
            self._said = dict(row["labels"]) if row else {}
        times = self._market_data.times
        if not (self._said or times.silent):
            return
        sources = {one.broker_id: one for one in await self._market_data.sources()}
        for broker_id in times.silent.keys() - sources.keys():
            times.forget(broker_id)  # when it is asked again, it owes no answer of before
        for broker_id, account in sources.items():
            if broker_id in times.silent and self._is_news(broker_id):
                await self._begin(account, has_others=len(sources) > 1)
        for broker_id in self._said.keys() - times.silent.keys():
            if broker_id in sources and times.has_answered(broker_id):
                await self._end(broker_id, "it answers in time again")
        for broker_id in self._said.keys() - sources.keys():
            await self._end(broker_id, "it is not asked for prices any more")

    def _is_news(self, broker_id: str) -> bool:
        told_at = self._told_at.get(broker_id, float("-inf"))
        is_said = self._said is not None and broker_id in self._said
        return not is_said and self._clock.monotonic() - told_at >= _TOLD_EACH_S

    async def _begin(self, account: Account, *, has_others: bool) -> None:
        notice = SourceSilent(account.label, has_others=has_others)
        said = {**(self._said or {}), account.broker_id: account.label}
        await self._post(trouble_card(notice, f"source:{account.broker_id}"), said)
        self._told_at[account.broker_id] = self._clock.monotonic()

    async def _end(self, broker_id: str, how: str) -> None:
        said = dict(self._said or {})
        label = said.pop(broker_id)
        over = trouble_over(SourceSilent.kind, how, f"source:{broker_id}", label)
        await self._post(over, said)

    async def _post(self, post: Post, said: dict[str, str]) -> None:
        async def body(view: StoreView) -> None:
            await write_setting(view, _KEY, Change(set={"labels": said}))
            await self._outbox.post(view, post)

        await self._store.transaction(body, nonce=f"{_KEY}:{secrets.token_hex(8)}")
        self._said = said
