"""Derivatives that strategies carry to their end (rows R3, R8, decision 0047).

On a contract's last day its end is said: what is held at the close is settled, a share's future by
delivery. On a later day no list has it and the broker shows none of it, so its ledger ends with it;
otherwise its units would be disputed, and a stop asked for, on every day after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import time, timedelta
from decimal import Decimal

from core.domain.account import Account
from core.domain.instrument import DERIVATIVES_OF, Instrument, InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.positions import ContractEnds
from core.domain.notices.post import Post
from core.domain.sessions import trading_day
from core.domain.truth import key_of
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.orders.ledgers import held_ledgers
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["ContractWatch"]

_FROM = time(8, 45)  # the brokers' lists of the day are out
_SURE = timedelta(seconds=10)
"""For how long the broker has shown none of it, so that it is no list that is late."""
_CONTRACTS = frozenset(DERIVATIVES_OF.values())


class ContractWatch:
    """Says when a contract that is held ends today, and ends ledgers of those that have ended."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        accounts: Accounts,
        masters: Masters,
        hours: MarketHours,
        nets: NetPositions,
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._accounts = accounts
        self._masters = masters
        self._hours = hours
        self._nets = nets
        self._said: set[str] = set()

    async def tick(self) -> None:
        """Look at every contract that a strategy carries, from a quarter to nine."""
        if self._clock.market_now().time() < _FROM:
            return
        held = await held_ledgers(self._store)
        for account in await self._accounts.all() if held else ():
            master = self._masters.known(account.broker)
            for ledger in held.get(account.broker_id, ()):
                is_carried = ledger.product is not Product.MIS
                if ledger.quantity and is_carried and ledger.instrument.exchange in _CONTRACTS:
                    await self._look(account, ledger, master)

    async def _look(
        self, account: Account, ledger: Ledger, master: Mapping[InstrumentId, Instrument]
    ) -> None:
        known = master.get(ledger.instrument)
        if known is not None and known.expiry == self._clock.market_now().date():
            await self._say(ledger, known)
        elif known is None and self._masters.is_of_today(account.broker):
            await self._end(ledger)

    async def _say(self, ledger: Ledger, known: Instrument) -> None:
        now = self._clock.market_now()
        nonce = f"{ContractEnds.kind}:{ledger.key}|{trading_day(now)}"
        window = self._hours.window(ledger.instrument, known, now.date())
        if nonce in self._said or window is None or now >= window.close_at:
            return
        notice = ContractEnds(
            ledger.broker_id,
            ledger.strategy,
            str(ledger.instrument),
            ledger.product.value,
            ledger.quantity,
            window.close_at,
        )

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        with contextlib.suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)
        self._said.add(nonce)

    async def _end(self, ledger: Ledger) -> None:
        """Believe positions that show none of a contract which no list of today has."""
        place = (ledger.broker_id, key_of(ledger))
        gap, since = self._nets.gaps.at(*place), self._clock.now() - _SURE
        if gap is None or gap.by_positions != 0:
            return
        if not self._nets.gaps.lasts(*place, gap, since=since):
            return
        nonce = f"contract-ended:{ledger.key}|{trading_day(self._clock.market_now())}"
        with contextlib.suppress(AlreadyDone, UserError):
            await self._nets.believe(
                ledger.broker_id, key_of(ledger), price=Decimal(0), nonce=nonce
            )
