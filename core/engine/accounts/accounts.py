"""The accounts: owns ``broker_accounts`` and creates each account's gate.

Collection ``broker_accounts`` (``_id`` is the ``broker_id``) holds the fields of product.md A and:
``live`` (false once disconnected), ``display_key`` (lower-cased name, unique among live accounts),
``user_id`` and ``user_name`` (who first logged in), ``token_market_at`` (market time of the last
login, which decides its end), ``token_lost_at`` (when the broker or the clock ended it), ``drain``,
``mode_set_at`` and ``mode_set_by`` (who last set its own mode, once somebody has),
``parked_reason``, ``disconnected_at``, ``carried_from`` (where an older program had it), and what
``core.engine.accounts.addresses`` writes. ``api_secret``, ``access_token`` and ``proxy_login`` are
sealed by the vault and opened only in
:meth:`Accounts.credentials`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.domain.account import (
    Account,
    AccountDraft,
    CarriedLogin,
    TokenStatus,
    checked_display_name,
)
from core.domain.account_names import refuse_taken_name
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.identifiers import broker_id_for, is_paper
from core.domain.mode import TradingMode
from core.domain.route import Route, checked_proxy
from core.engine.accounts.documents import account_of, account_row
from core.engine.accounts.global_mode import hold_global_mode
from core.engine.accounts.login_links import end_every_link_of
from core.engine.orders.gate import add_gate, close_gate, new_gate
from core.engine.remembered import Remembered, Unchanged
from core.errors import DuplicateKey, NotFound, TransactionConflict, UserError
from core.ports.broker import Credentials
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView
from core.ports.vault import Vault

__all__ = ["Accounts", "is_live", "live_ids", "update_account"]

_ACCOUNTS = "broker_accounts"
_Present = tuple[tuple[Account, ...], tuple[tuple[Account, datetime | None], ...]]
RELEASING = "releasing"
"""Set with the hand-over of an account, unset when its orders were asked to be cancelled."""
_ENTROPY_BYTES = 16


async def update_account(
    view: StoreView,
    broker_id: str,
    fields: Mapping[str, Any],
    *,
    where: Mapping[str, Any] | None = None,
) -> bool:
    """Set fields of a connected account; return whether it was there and held ``where``."""
    this = {"_id": broker_id, "live": True, **(where or {})}
    return await view.update(_ACCOUNTS, this, Change(set=fields)) == 1


async def update_accounts(
    view: StoreView, broker_ids: Collection[str], fields: Mapping[str, Any]
) -> None:
    """Set fields of connected accounts in one write."""
    these = {"_id": {"$in": list(broker_ids)}, "live": True}
    await view.update(_ACCOUNTS, these, Change(set=fields), many=True)


async def live_ids(view: StoreView) -> list[str]:
    """Return the ids of the connected accounts, inside the caller's transaction."""
    return [row["_id"] for row in await view.find(_ACCOUNTS, {"live": True})]


async def releasing_ids(view: StoreView) -> list[str]:
    """Return the accounts that were handed over, and whose orders may not be cancelled yet."""
    rows = await view.find(_ACCOUNTS, {"live": True})
    return [row["_id"] for row in rows if row.get(RELEASING)]


async def is_live(view: StoreView, broker_id: str) -> bool:
    """Whether an account is connected, inside the caller's transaction."""
    row = await view.get(_ACCOUNTS, broker_id)
    return row is not None and bool(row["live"])


class Accounts:
    """Reads and changes accounts; every change of several documents is one transaction."""

    def __init__(
        self, store: Store, vault: Vault, clock: Clock, brokers: Iterable[BrokerProfile]
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._brokers = {broker.name: broker for broker in brokers}
        self._remembered = Remembered(lambda row: account_of(row, self._brokers))
        self._present = Unchanged(store, _ACCOUNTS, self._read_present)
        self._has_broker = False

    def read(self, row: Document) -> Account:
        """Turn a stored document into an ``Account``, without its secrets.

        An account of a broker that this program does not know is parked; the others go on.
        """
        return self._remembered(row)

    async def all(self) -> tuple[Account, ...]:
        """Return the connected accounts, the default first, then by name."""
        return (await self._present())[0]

    async def all_with_logins(self) -> Sequence[tuple[Account, datetime | None]]:
        """Return the same, each with the market time of its last login: it ends the token."""
        return (await self._present())[1]

    async def _read_present(self) -> _Present:
        rows = await self._store.find(_ACCOUNTS, {"live": True})
        found = [(self.read(row), row.get("token_market_at")) for row in rows]
        found.sort(key=lambda one: (not one[0].is_default, one[0].display_name.lower()))
        return tuple(account for account, _ in found), tuple(found)

    async def ids(self) -> list[str]:
        """Return the ids of all accounts, of those that were disconnected too."""
        return [row["_id"] for row in await self._store.find(_ACCOUNTS, {})]

    async def are_all_paper(self) -> bool:
        """Whether only paper accounts were ever connected: prices are made up then (row F6)."""
        if self._has_broker:
            return False
        found = await self.ids()
        # For good: an account's document stays when it is disconnected.
        self._has_broker = any(not is_paper(one) for one in found)
        return bool(found) and not self._has_broker

    async def first_at(self) -> datetime | None:
        """Return when the first account was connected, None before: no order is older."""
        rows = await self._store.find(_ACCOUNTS, {})
        return min((row["created_at"] for row in rows), default=None)

    async def get(self, broker_id: str) -> Account:
        """Return one connected account.

        Raises:
            NotFound: No such account, or it was disconnected.
        """
        row = await self._store.get(_ACCOUNTS, broker_id)
        if row is None or not row.get("live"):
            raise NotFound(
                "That account is not connected any more; /brokers lists the present ones."
            )
        return self.read(row)

    async def label_of(self, broker_id: str) -> str:
        """Return an account's label, a disconnected one's too; its id when it never was."""
        row = await self._store.get(_ACCOUNTS, broker_id)
        return self.read(row).label if row else broker_id

    async def credentials(self, broker_id: str) -> Credentials:
        """Open the secrets of an account; raises ``VaultError`` for this account alone."""
        row = await self._store.get(_ACCOUNTS, broker_id)
        if row is None or not row.get("live"):
            raise NotFound(f"Account {broker_id} is not connected.")
        sealed_token = row.get("access_token")
        return Credentials(
            broker_id=broker_id,
            api_key=row["api_key"],
            api_secret=self._vault.open(row["api_secret"]) if row.get("api_secret") else "",
            access_token=self._vault.open(sealed_token) if sealed_token else "",
            route=self._route(row),
        )

    async def route(self, broker_id: str) -> Route:
        """Return from where an account's requests leave; raises ``VaultError`` and ``NotFound``."""
        row = await self._store.get(_ACCOUNTS, broker_id)
        if row is None or not row.get("live"):
            raise NotFound(f"Account {broker_id} is not connected.")
        return self._route(row)

    def _route(self, row: Document) -> Route:
        shown = row.get("proxy")
        if not shown:
            return Route(row.get("source_address"))
        login = row.get("proxy_login")
        user, _, password = self._vault.open(login).partition(":") if login else ("", "", "")
        return Route(None, replace(checked_proxy(shown), user=user, password=password))

    async def check_name_is_free(self, name: str, besides: str | None = None) -> None:
        """Raise ``UserError`` when another live account has this name, or a look-alike."""
        others = [one for one in await self.all() if one.broker_id != besides]
        refuse_taken_name(name, [one.display_name for one in others])

    async def of_user(self, view: StoreView, broker: str, user_id: str) -> tuple[Account, ...]:
        """Return the connected accounts of one broker user, inside the caller's transaction."""
        where = {"live": True, "broker_type": broker, "user_id": user_id}
        return tuple(self.read(row) for row in await view.find(_ACCOUNTS, where))

    async def disconnected_of(
        self, view: StoreView, broker: str, user_id: str, since: datetime
    ) -> str | None:
        """Return the id of a broker user's account that was disconnected last, and since then."""
        where = {"live": False, "broker_type": broker, "user_id": user_id}
        rows = await view.find(_ACCOUNTS, where, sort=[("disconnected_at", -1)], limit=1)
        return next((str(row["_id"]) for row in rows if row["disconnected_at"] >= since), None)

    async def get_in(self, view: StoreView, broker_id: str) -> Account:
        """Return one connected account as a transaction sees it; raises ``NotFound``."""
        row = await view.get(_ACCOUNTS, broker_id)
        if row is None or not row.get("live"):
            raise NotFound("That account is not connected any more.")
        return self.read(row)

    async def with_key(self, broker: str, api_key: str) -> tuple[Account, ...]:
        """Return live accounts of this broker and API key."""
        rows = await self._store.find(
            _ACCOUNTS, {"live": True, "broker_type": broker, "api_key": api_key}
        )
        return tuple(self.read(row) for row in rows)

    async def same_as(
        self, view: StoreView, broker: str, api_key: str, user_id: str | None
    ) -> Account | None:
        """Return the live account of this key, and of this user where both are known, or None."""
        where = {"live": True, "broker_type": broker, "api_key": api_key}
        for row in await view.find(_ACCOUNTS, where):
            if user_id is None or row.get("user_id") in {None, user_id}:
                return self.read(row)
        return None

    async def add(
        self,
        draft: AccountDraft,
        *,
        nonce: str,
        fence: int,
        author: str,
        also: Callable[[StoreView, str], Awaitable[None]] | None = None,
    ) -> Account:
        """Insert an account (disabled, NORMAL) with its gate; default when it is the first.

        ``also`` is what belongs to its beginning, in the same transaction; it is given the id.

        Raises:
            AlreadyDone: ``nonce`` took effect before.
            UserError: The name is none, or taken; or an account of this key waits for its login.
        """
        draft = replace(draft, display_name=checked_display_name(draft.display_name))
        now = self._clock.now()
        broker_id = broker_id_for(draft.broker.name, secrets.token_bytes(_ENTROPY_BYTES))
        row = account_row(broker_id, draft, now, self._vault.seal)

        async def body(view: StoreView) -> None:
            live = await view.find(_ACCOUNTS, {"live": True})
            _refuse_indistinct(draft, live)
            # Written, not only read: a global mode that is set at this moment collides with it.
            mode = await hold_global_mode(view)
            await view.insert(_ACCOUNTS, {**row, "is_default": not live})
            await add_gate(view, new_gate(broker_id, mode, fence=fence, at=now, by=author))
            if also is not None:
                await also(view, broker_id)

        try:
            await self._store.transaction(body, nonce=nonce)
        except DuplicateKey as error:
            raise UserError(
                f"Another account is called {draft.display_name!r} already; expected a new name."
            ) from error
        return await self.get(broker_id)

    async def insert_carried(
        self, view: StoreView, draft: AccountDraft, login: CarriedLogin, mode: TradingMode
    ) -> str:
        """Insert an account that another program has traded on; return its id (A11).

        It is enabled and has the default mark from now on; its gate is the caller's to add.
        """
        broker_id = broker_id_for(draft.broker.name, secrets.token_bytes(_ENTROPY_BYTES))
        row = {
            **account_row(broker_id, draft, self._clock.now(), self._vault.seal),
            "is_default": True,
            "enabled": True,
            "trading_mode": mode.value,
            "access_token": self._vault.seal(login.access_token),
            "token_generated_at": login.at,
            "token_market_at": login.market_at,
            "token_status": login.status.value,
            "user_id": login.user_id,
            "carried_from": login.place,
        }
        await _end_default(view)
        await view.insert(_ACCOUNTS, row)
        return broker_id

    async def rename(self, command: Command, broker_id: str, name: str) -> Account:
        """Change the display name; raises ``UserError`` when it is none, or is taken."""
        name = checked_display_name(name)
        change = Change(set={"display_name": name, "display_key": name.lower()})

        async def body(view: StoreView) -> None:
            await _change_live(view, broker_id, change)

        try:
            await self._store.transaction(body, nonce=f"rename:{command.id}")
        except DuplicateKey as error:
            raise UserError(f"Another account is called {name!r} already.") from error
        return await self.get(broker_id)

    async def set_default(self, command: Command, broker_id: str) -> Account:
        """Move the default mark in one transaction (a partial unique index holds it single)."""

        async def body(view: StoreView) -> None:
            await _end_default(view)
            await _change_live(view, broker_id, Change(set={"is_default": True}))

        await self._store.transaction(body, nonce=f"default:{command.id}")
        return await self.get(broker_id)

    async def wipe(
        self,
        broker_id: str,
        *,
        nonce: str,
        also: Callable[[StoreView], Awaitable[None]] | None = None,
    ) -> Account:
        """Disconnect: blank the secrets, keep the document as history, move the default mark.

        ``also`` is what belongs to the end of the account, in the same transaction.
        """
        # The document stays, because orders, fills and ledgers refer to it; ``live`` false frees
        # its name and its key for another account.
        account = await self.get(broker_id)
        gone = Change(
            set={
                "live": False,
                "is_default": False,
                "enabled": False,
                "drain": False,
                "api_key": "",
                "api_secret": None,
                "access_token": None,
                "proxy_login": None,
                "token_status": TokenStatus.EXPIRED.value,
                "disconnected_at": self._clock.now(),
            }
        )

        async def body(view: StoreView) -> None:
            await _change_live(view, broker_id, gone)
            await close_gate(view, broker_id)
            await end_every_link_of(view, broker_id)
            if account.is_default:
                await _pass_default_on(view)
            if also is not None:
                await also(view)

        await self._store.transaction(body, nonce=nonce)
        return replace(account, enabled=False, is_default=False)

    async def replace_credentials(
        self,
        broker_id: str,
        api_key: str,
        api_secret: str,
        *,
        nonce: str,
        also: Callable[[StoreView], Awaitable[None]],
    ) -> Account:
        """Store another key and secret; the token goes with the old ones.

        Id, name, user, settings and ledgers stay: the next login must be by the same user.

        Args:
            broker_id: The account.
            api_key: The new key.
            api_secret: The new secret, plain; it is sealed here.
            nonce: Makes it take effect once; raises ``AlreadyDone`` the second time.
            also: What belongs to the end of the login, in the same transaction.
        """
        fields = {
            "api_key": api_key,
            "api_secret": self._vault.seal(api_secret),
            "access_token": None,
            "token_status": TokenStatus.EXPIRED.value,
            "token_lost_at": self._clock.now(),
            "parked_reason": "its key and secret were replaced; log in again",
        }

        async def body(view: StoreView) -> None:
            await _change_live(view, broker_id, Change(set=fields))
            await also(view)

        try:
            await self._store.transaction(body, nonce=nonce)
        except DuplicateKey as error:
            raise UserError("Another account here is of the same user and key already.") from error
        return await self.get(broker_id)

    async def park(self, broker_id: str, reason: str, view: StoreView | None = None) -> bool:
        """Note why nothing is sent for an account now; return whether that is news."""
        matched = await (view or self._store).update(
            _ACCOUNTS,
            {"_id": broker_id, "live": True, "parked_reason": {"$ne": reason}},
            Change(set={"parked_reason": reason}),
        )
        return matched == 1

    async def mark_run(self, broker_ids: Sequence[str], at: datetime) -> None:
        """Note the last strategy run on accounts, at market time."""
        mark = Change(set={"last_run_at": at})
        try:
            await self._store.update(_ACCOUNTS, {"_id": {"$in": broker_ids}}, mark, many=True)
        except TransactionConflict:
            # One of them was changed at this moment: a write of one document waits for that.
            for broker_id in broker_ids:
                await self._store.update(_ACCOUNTS, {"_id": broker_id}, mark)


def _refuse_indistinct(draft: AccountDraft, live: list[Document]) -> None:
    """Refuse a second account of a key whose first account has not logged in yet.

    A family may share one developer account (A9), so the key alone is no conflict; but until the
    first has logged in, nothing shows which broker user each of the two belongs to.
    """
    for row in live:
        same = row["broker_type"] == draft.broker.name and row["api_key"] == draft.api_key
        if same and row.get("user_id") is None:
            raise UserError(
                f"{row['display_name']!r} uses this key already and has not logged in yet; "
                "log it in first, or disconnect it."
            )


async def _change_live(view: StoreView, broker_id: str, change: Change) -> None:
    if await view.update(_ACCOUNTS, {"_id": broker_id, "live": True}, change) != 1:
        raise NotFound("That account is not connected any more; /brokers lists the present ones.")


async def _end_default(view: StoreView) -> None:
    await view.update(_ACCOUNTS, {"is_default": True}, Change(set={"is_default": False}), many=True)


async def _pass_default_on(view: StoreView) -> None:
    heirs = await view.find(_ACCOUNTS, {"live": True}, sort=[("created_at", 1)], limit=1)
    if heirs:
        await view.update(_ACCOUNTS, {"_id": heirs[0]["_id"]}, Change(set={"is_default": True}))
