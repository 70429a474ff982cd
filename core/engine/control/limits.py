"""Limits as users see and change them: /limits (rows R1, F8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.account import Account
from core.domain.command import Command
from core.domain.identifiers import is_paper
from core.domain.limit_use import use_of
from core.domain.limits import NAMES, LimitKind, Limits, parse_limit, shown
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.orders.limit_use import books_of, why_unproved
from core.engine.orders.limits import (
    ALL,
    LimitChange,
    Tripped,
    changes_of,
    limits_at,
    set_limit,
)
from core.errors import UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["LimitChanged", "LimitSettings", "LimitsView"]

_COUNTED = (LimitKind.OPEN_POSITIONS, LimitKind.ORDERS_MINUTE, LimitKind.ORDERS_DAY)


@dataclass(frozen=True, slots=True)
class LimitsView:
    """One scope as the chat shows it.

    Attributes:
        account: None for all accounts together.
        used: What is used of the counts.
        result: The day's result after charges at the last look, None while it is not known.
        tripped: The daily loss that was reached and is not answered yet.
        unproved: Why nothing is entered on the account yet (F8), or ''.
        needs_proof: Whether the account has to be proved at all.
        leaves_out_paper: Whether there is a paper account, which this scope does not count.
    """

    account: Account | None
    limits: Limits
    used: dict[LimitKind, int]
    result: Decimal | None
    tripped: Tripped | None
    unproved: str = ""
    needs_proof: bool = False
    leaves_out_paper: bool = False

    @property
    def scope(self) -> str:
        """The id under which it is stored."""
        return self.account.broker_id if self.account else ALL


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """What a change did."""

    scope: str
    kind: LimitKind
    old: Decimal | int | None
    new: Decimal | int | None


class LimitSettings:
    """Reads and changes limits.

    Args:
        result: The day's result after charges of an account (None: of all together) at the last
            look, None while it is not known.
        proof_address: Where an account has to be proved, None where it need not be (F8).
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        result: Callable[[str | None], Decimal | None],
        proof_address: Callable[[str], str | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._result = result
        self._proof_address = proof_address

    async def overview(self) -> Sequence[LimitsView]:
        """Return the limits of all accounts together, then of each account."""
        accounts = await self._accounts.all()
        return [await self._view(None), *[await self._view(one) for one in accounts]]

    async def view(self, scope: str) -> LimitsView:
        """Return one scope; raises ``NotFound``."""
        return await self._view(None if scope == ALL else await self._accounts.get(scope))

    async def _view(self, account: Account | None) -> LimitsView:
        broker_id = account.broker_id if account else None
        standing = await limits_at(self._store, broker_id or ALL)
        day, now = trading_day(self._clock.market_now()), self._clock.now()
        use = use_of(await books_of(self._store, broker_id, day, now), now)
        address = self._proof_address(broker_id) if broker_id else None
        return LimitsView(
            account,
            standing.limits,
            dict(zip(_COUNTED, (len(use.units), use.in_minute, use.in_day), strict=True)),
            self._result(broker_id),
            standing.tripped,
            why_unproved(standing, "", address),
            address is not None,
            account is None and any(is_paper(one.broker_id) for one in await self._accounts.all()),
        )

    async def changes(self, scope: str) -> Sequence[LimitChange]:
        """Return the newest changes of a scope, at their market times."""
        found = await changes_of(self._store, scope)
        return [replace(one, at=self._clock.market_at(one.at)) for one in found]

    async def set(self, command: Command, scope: str, kind: LimitKind, text: str) -> LimitChanged:
        """Set one number from what was typed or tapped; raises ``UserError``."""
        value = parse_limit(kind, text)
        await self._known(scope)
        return await self._change(command, scope, kind, value)

    async def remove(
        self, command: Command, scope: str, kind: LimitKind, seen: str
    ) -> LimitChanged:
        """Take a limit away, as it was ``shown`` when the user was asked.

        Raises:
            UserError: It was changed meanwhile, by this user or another.
        """
        await self._known(scope)
        return await self._change(command, scope, kind, None, seen=seen)

    async def _known(self, scope: str) -> None:
        if scope != ALL:
            await self._accounts.get(scope)

    async def _change(
        self,
        command: Command,
        scope: str,
        kind: LimitKind,
        value: Decimal | int | None,
        seen: str | None = None,
    ) -> LimitChanged:
        now, by = self._clock.now(), str(command.user_id)

        async def body(view: StoreView) -> Decimal | int | None:
            present = (await limits_at(view, scope)).limits.of(kind)
            if seen is not None and shown(kind, present) != seen:
                raise UserError(
                    f"The limit of {NAMES[kind]} was changed meanwhile: it is "
                    f"{shown(kind, present)} now, not {seen}. Nothing was changed; open /limits."
                )
            return await set_limit(view, scope, kind, value, at=now, by=by)

        old = await self._store.transaction(body, nonce=f"limit:{command.id}")
        return LimitChanged(scope, kind, old, value)
