"""What ``saarthi migrate-legacy`` needs: an old program's login, and a place to put it (A11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.adapters.brokers import PROFILES
from core.adapters.mongo.old_database import OldAddress, documents_of, old_address
from core.bootstrap.foundation import Foundation
from core.domain.account import checked_display_name
from core.domain.legacy import LegacyChoice, LegacyLogin, read_legacy
from core.domain.legacy_form import LegacyForm
from core.domain.mode import TradingMode
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.carrying import Carried, CarryPlan, carry, plan_of
from core.engine.control.account_registration import BETA_STORE
from core.engine.workers.lease import fence_beside
from core.errors import UserError
from core.ports.clock import Clock

__all__ = ["Carried", "CarryPlan", "OldProgram", "carry_out", "find_login", "plan_carrying"]

_BROKER = next(one for one in PROFILES if one.legacy is not None)


@dataclass(frozen=True, slots=True)
class OldProgram:
    """Where to look.

    Attributes:
        address: The server.
        database: Its database.
        collections: Names given by the user; empty looks where such programs usually store.
        choice: What else the user named.
        variables: The old program's environment.
    """

    address: OldAddress
    database: str
    collections: Sequence[str]
    choice: LegacyChoice
    variables: Mapping[str, str]

    @classmethod
    def at(
        cls,
        uri: str,
        database: str | None,
        collections: Sequence[str],
        choice: LegacyChoice,
        variables: Mapping[str, str],
        *,
        otherwise: str,
    ) -> OldProgram:
        """Return where to look; the database is the one named, else the address's."""
        address = old_address(uri)
        name = database or address.database or otherwise
        return cls(address, name, collections, choice, variables)


async def find_login(program: OldProgram, clock: Clock) -> LegacyLogin:
    """Read the old program's login; nothing of it is changed.

    Raises:
        UserError: Nothing was found, or something in it is wrong.
        StoreUnavailable: Its database cannot be read.
    """
    form = _form()
    names = program.collections or form.collections
    return read_legacy(
        await documents_of(program.address, program.database, names),
        _BROKER,
        form,
        choice=program.choice,
        variables=program.variables,
        now=clock.market_now(),
    )


def _form() -> LegacyForm:
    assert _BROKER.legacy is not None  # noqa: S101 - it was chosen by it
    return _BROKER.legacy


async def plan_carrying(
    foundation: Foundation, login: LegacyLogin, *, name: str, mode: TradingMode
) -> CarryPlan:
    """Return what carrying a login over would do here; nothing is changed.

    Raises:
        UserError: The name will not do, or live accounts may not be in this store.
    """
    if not foundation.may_serve_live:
        raise UserError(BETA_STORE)
    accounts = _accounts(foundation)
    store, clock, own = foundation.store, foundation.clock, checked_display_name(name)
    return await plan_of(store, clock, accounts, _BROKER, login, name=own, mode=mode)


async def carry_out(foundation: Foundation, plan: CarryPlan) -> Carried:
    """Carry a plan out, beside a controller that may run."""
    store, clock = foundation.store, foundation.clock
    return await carry(store, clock, _accounts(foundation), plan, fence=fence_beside)


def _accounts(foundation: Foundation) -> Accounts:
    return Accounts(foundation.store, foundation.vault, foundation.clock, PROFILES)
