"""Enabling and disabling an account, and what becomes of what strategies hold there (A5)."""

from __future__ import annotations

import secrets

from core.domain.account import Account, DisablePolicy
from core.domain.command import Command
from core.domain.ledger import Ledger
from core.domain.notices.accounts import OrdersLeftResting
from core.domain.order import MANUAL, OPEN_STATES, Order, Purpose
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import RELEASING, Accounts, releasing_ids, update_account
from core.engine.accounts.modes import hand_over
from core.engine.accounts.tokens import Tokens
from core.engine.control.manual_orders import ManualOrders
from core.engine.orders.alarms import HANDED_OVER, AlarmCause, Until, raise_alarm
from core.engine.orders.gate import change_gate
from core.engine.orders.goals import Flattening, flatten, to_flatten
from core.engine.orders.guards import close_alarms
from core.engine.orders.journal import pending_orders
from core.engine.orders.ledgers import ledgers_of
from core.engine.outbox import Outbox
from core.engine.workers.pool import WorkerPool
from core.errors import ChoiceNeeded, UserError, VaultError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["AccountSwitch"]


class AccountSwitch:
    """Lets strategies trade on an account, or stops them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        tokens: Tokens,
        outbox: Outbox,
        pool: WorkerPool,
        orders: ManualOrders,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._tokens = tokens
        self._outbox = outbox
        self._pool = pool
        self._orders = orders

    async def enable(self, command: Command, broker_id: str) -> Account:
        """Let strategies run on an account from the very next run."""
        return await self._switch(command, broker_id, enabled=True, drain=False)

    async def disable(
        self, command: Command, broker_id: str, policy: DisablePolicy | None
    ) -> Account:
        """Stop strategies on an account.

        Raises:
            ChoiceNeeded: They hold positions there, and no policy says what becomes of these.
        """
        if policy is None and await self._held(broker_id):
            # What was closed by hand seconds ago is no reason to ask.
            await self._orders.read_again(broker_id)
        ledgers = await self._held(broker_id)
        if ledgers and policy is None:
            raise ChoiceNeeded(
                f"Strategies hold {_positions(len(ledgers))} on this account: let them only exit, "
                "close all now, or leave them to you?"
            )
        # An entry that still works may fill after this: its exits must be let through then.
        drain = policy is not DisablePolicy.MANUAL
        account = await self._switch(command, broker_id, enabled=False, drain=drain, policy=policy)
        if policy is DisablePolicy.MANUAL:
            await self._release(account)
        return account

    async def _held(self, broker_id: str) -> list[Ledger]:
        return [one for one in await ledgers_of(self._store, broker_id) if one.quantity]

    async def _switch(
        self,
        command: Command,
        broker_id: str,
        *,
        enabled: bool,
        drain: bool,
        policy: DisablePolicy | None = None,
    ) -> Account:
        """Turn an account on or off: account, gate and ledgers in one transaction (A5)."""
        await self._accounts.get(broker_id)
        now, by = self._clock.now(), str(command.user_id)

        async def body(view: StoreView) -> None:
            await change_gate(view, broker_id, at=now, by=by, enabled=enabled, drain=drain)
            # Cancelled after the commit: until then a controller that ends leaves its word.
            is_releasing = policy is DisablePolicy.MANUAL
            fields = {"enabled": enabled, "drain": drain, RELEASING: is_releasing}
            await update_account(view, broker_id, fields)
            if policy is DisablePolicy.CLOSE_NOW:
                await self._flatten(view, broker_id, command)
            elif policy is DisablePolicy.MANUAL:
                await close_alarms(view, self._outbox, broker_id, HANDED_OVER)
                await hand_over(view, broker_id)

        await self._store.transaction(body, nonce=f"switch:{command.id}")
        self._pool.wake(broker_id)
        await self._tokens.show_warning()
        return await self._accounts.get(broker_id)

    async def _flatten(self, view: StoreView, broker_id: str, command: Command) -> None:
        ledgers = await to_flatten(view, broker_id)
        market_at = self._clock.market_now()
        decision = Flattening(
            f"switch-off|{command.id}",
            "switch-off",
            MANUAL,
            broker_id,
            trading_day(market_at),
            self._clock.now(),
            market_at,
        )
        await flatten(view, self._outbox, ledgers, decision)

    async def _release(self, account: Account) -> None:
        """Cancel the strategies' resting orders in what the user manages now."""
        try:
            failed = await self._orders.release(account.broker_id)
        except (UserError, VaultError) as error:
            failed, reason = len(await self._resting(account.broker_id)), str(error)
        else:
            reason = "the broker did not confirm"
        await self._released(account.broker_id, failed, reason)

    async def name_unreleased(self) -> None:
        """Notify of orders that a controller left resting which ended before it could cancel them.

        One of them could open what nobody wants once the user has closed the position.
        """
        for broker_id in await releasing_ids(self._store):
            left = len(await self._resting(broker_id))
            await self._released(broker_id, left, "I ended before they were cancelled")

    async def _resting(self, broker_id: str) -> list[Order]:
        """Return the orders of strategies that may still be at work at the broker."""
        pending = await pending_orders(self._store, broker_id)
        return [
            one
            for one in pending
            if one.purpose is not Purpose.EXTERNAL and one.state in OPEN_STATES
        ]

    async def _released(self, broker_id: str, left: int, reason: str) -> None:
        async def body(view: StoreView) -> None:
            await update_account(view, broker_id, {RELEASING: False})
            if left:
                notice = OrdersLeftResting(broker_id, left, reason)
                cause = AlarmCause(Until.NO_ORDERS)
                await raise_alarm(view, self._outbox, broker_id, notice, cause)

        await self._store.transaction(body, nonce=f"released:{secrets.token_hex(8)}")


def _positions(count: int) -> str:
    return f"{count} position" + ("" if count == 1 else "s")
