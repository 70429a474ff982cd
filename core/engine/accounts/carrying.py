"""Carrying an account over from an older program of one account (product.md A11)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.domain.account import Account, AccountDraft, CarriedLogin, TokenStatus
from core.domain.broker_profile import BrokerProfile
from core.domain.legacy import LegacyLogin
from core.domain.mode import TradingMode
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import hold_global_mode
from core.engine.accounts.tokens import token_ends_at
from core.engine.orders.gate import add_gate, change_gate, new_gate
from core.errors import DuplicateKey, UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Carried", "CarryPlan", "carry", "plan_of"]

_AUTHOR = "migrate-legacy"


@dataclass(frozen=True, slots=True)
class CarryPlan:
    """What carrying over would do.

    Attributes:
        login: What was found.
        draft: The account to add.
        carried: Its login.
        mode: Its mode.
        there: The account that it is already; nothing is to be done then.
        default: The account that has the default mark now.
    """

    login: LegacyLogin
    draft: AccountDraft
    carried: CarriedLogin
    mode: TradingMode
    there: Account | None
    default: Account | None


@dataclass(frozen=True, slots=True)
class Carried:
    """What was done: the account, and whether this call has added it."""

    account: Account
    is_new: bool


async def plan_of(
    store: Store,
    clock: Clock,
    accounts: Accounts,
    broker: BrokerProfile,
    login: LegacyLogin,
    *,
    name: str,
    mode: TradingMode,
) -> CarryPlan:
    """Compare what was found with the accounts that are here; nothing is changed.

    Raises:
        UserError: The name is taken.
    """
    here = await accounts.all()
    there = await accounts.same_as(store, broker.name, login.api_key, login.user_id)
    if there is None:
        await accounts.check_name_is_free(name)
    return CarryPlan(
        login=login,
        draft=AccountDraft(broker, name, login.api_key, login.api_secret),
        carried=_carried(login, broker, clock),
        mode=mode,
        there=there,
        default=next((one for one in here if one.is_default), None),
    )


async def carry(
    store: Store,
    clock: Clock,
    accounts: Accounts,
    plan: CarryPlan,
    *,
    fence: Callable[[StoreView], Awaitable[int]],
) -> Carried:
    """Carry out a plan; one that was carried out before changes nothing.

    Args:
        store: Written in one transaction, beside a controller that may run.
        clock: For the gate.
        accounts: The accounts.
        plan: What to do.
        fence: Returns the fence of the lease, in the transaction.

    Raises:
        UserError: The name is taken.
    """
    draft, user_id, now = plan.draft, plan.login.user_id, clock.now()

    async def body(view: StoreView) -> Carried:
        there = await accounts.same_as(view, draft.broker.name, draft.api_key, user_id)
        if there is not None:
            return Carried(there, is_new=False)
        everyone = await hold_global_mode(view)
        broker_id = await accounts.insert_carried(view, draft, plan.carried, plan.mode)
        held = await fence(view)
        await add_gate(view, new_gate(broker_id, everyone, fence=held, at=now, by=_AUTHOR))
        mode = plan.mode
        await change_gate(view, broker_id, at=now, by=_AUTHOR, account_mode=mode, enabled=True)
        return Carried(await accounts.get_in(view, broker_id), is_new=True)

    try:
        return await store.transaction(body, nonce=f"carry:{secrets.token_hex(12)}")
    except DuplicateKey as error:
        raise UserError(
            f"Another account is called {draft.display_name!r} already; expected another name."
        ) from error


def _carried(login: LegacyLogin, broker: BrokerProfile, clock: Clock) -> CarriedLogin:
    """Return the login; it counts as alive until the broker's time, or its own, has come."""
    ends = [login.ends_at] if login.ends_at is not None else []
    if login.login_at is not None and broker.tokens_die_at is not None:
        ends.append(token_ends_at(login.login_at, broker.tokens_die_at))
    is_alive = login.login_at is not None and clock.market_now() < min(ends, default=login.login_at)
    return CarriedLogin(
        place=login.place,
        access_token=login.access_token,
        at=clock.real_at(login.login_at) if login.login_at is not None else None,
        market_at=login.login_at,
        status=TokenStatus.VALID if is_alive else TokenStatus.EXPIRED,
        user_id=login.user_id,
    )
