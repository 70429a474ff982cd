"""Logins: links, nonces and the callback (product.md B1 to B4, B9).

Collection ``logins``: ``_id`` is the single-use nonce; ``broker_id``, ``state`` open, spent, done
or closed, ``via`` page or paste, ``page`` (the link at which it began; revoked, it ends the login),
``shared`` (the same, of one that was given away), ``expires_at``, ``told_silent``. Only a callback
spends a nonce, and it can only complete the login of the account that asked. The token is stored
and the user notified in one transaction, which closes every other nonce of the account.

A link may be in other hands than an owner's. Whoever holds one has three open nonces at most (a
fourth closes the oldest), none of which closes one of another link, and cannot write into the chat:
refusals are told in our words, on one card an account. A callback without a nonce is a stranger's.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from core.domain.account import Account, TokenStatus
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.login_views import LoginOffer
from core.domain.notices.logins import LoginDone, LoginFailed, LoginSilent
from core.domain.notices.post import (
    MORNING_ROUND_KEY,
    Post,
    login_trouble_card,
    login_trouble_removal,
    morning_round_card,
)
from core.domain.plain_text import plain_line
from core.engine.accounts.accounts import Accounts, is_live, update_account
from core.engine.accounts.connections import Connections
from core.engine.accounts.key_check import KeyCheck, opened
from core.engine.accounts.login_attempts import LoginOrigin, query_of, refusal_post
from core.engine.accounts.login_links import (
    account_of_link,
    add_link,
    end_links,
    is_open,
    is_there,
    link_of,
)
from core.engine.accounts.tokens import Tokens
from core.engine.cards import has_card
from core.engine.outbox import Outbox, shows_card
from core.engine.users import owner_chats
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    LoginFault,
    LoginRefused,
    NotFound,
    StoreError,
    UserError,
    VaultError,
)
from core.ports.broker import LoginGrant, LoginPort
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView
from core.ports.vault import Vault

__all__ = ["LoginOrigin", "Logins"]

_log = logging.getLogger(__name__)
_NONCE_LIFE = timedelta(minutes=10)
_SILENT_AFTER = timedelta(minutes=5)
_NONCE_BYTES = 24
_LOGINS = "logins"
_OPEN_AT_ONCE = 3


class Logins:
    """Offers, starts and completes logins.

    ``on_first_login`` is called in the transaction in which an account's broker user is learned.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        vault: Vault,
        accounts: Accounts,
        connections: Connections,
        tokens: Tokens,
        outbox: Outbox,
        public_url: str | None,
        redirect_root: str,
        on_login: Callable[[str], None],
        on_first_login: Callable[[StoreView, Account, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._accounts = accounts
        self._connections = connections
        self._tokens = tokens
        self._outbox = outbox
        self._public_url = public_url.rstrip("/") if public_url else None
        self._redirect_root = redirect_root
        self._keys = KeyCheck(clock, accounts, connections)
        self._on_login = on_login
        self._on_first_login = on_first_login

    def redirect_url(self, broker: BrokerProfile) -> str:
        """Return the redirect address that the broker's console must hold."""
        return self._redirect_root + broker.callback_path

    async def offer(self, broker_id: str) -> LoginOffer:
        """Return our page's address, or without a public URL a fresh broker address (B4)."""
        account = await self._accounts.get(broker_id)
        if account.broker.is_paper:
            raise UserError(f"{account.label} is a paper account: it needs no login.")
        if self._public_url is not None:
            link = await self._link(broker_id)
            return LoginOffer(account, f"{self._public_url}/login/{link}", None)
        await self._refuse_unknown_key(account, is_told=False)
        return LoginOffer(account, None, await self._begin(account, via="paste"))

    async def _link(self, broker_id: str) -> str:
        link = await link_of(self._store, broker_id)
        if link is None:
            link = secrets.token_urlsafe(_NONCE_BYTES)
            await add_link(self._store, link, broker_id, at=self._clock.now())
        return link

    async def linked_account(self, link: str) -> Account:
        """Return the account of a login page; raises ``LoginRefused`` ACCOUNT_UNKNOWN."""
        return (await self._linked(link))[0]

    async def is_given(self, link: str) -> bool:
        """Whether a link was given to the account's holder, who has no chat (row B11)."""
        return (await self._linked(link))[1]

    async def _linked(self, link: str) -> tuple[Account, bool]:
        found = await account_of_link(self._store, link, self._clock.now())
        if found is None:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN)
        try:
            return await self._accounts.get(found[0]), found[1]
        except NotFound as error:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN) from error

    async def start(self, link: str) -> str:
        """Mint a nonce for a page's POST and return the broker's address to go on to.

        Raises:
            LoginRefused: ACCOUNT_UNKNOWN; or KEY_UNKNOWN or SECRET_UNREADABLE, which the chat is
                told too; no nonce was minted.
        """
        account, is_shared = await self._linked(link)
        try:
            await self._refuse_unknown_key(account, is_told=True)
            return await self._begin(account, via="page", page=link, is_shared=is_shared)
        except NotFound as error:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN) from error

    async def origin(self, broker: BrokerProfile, query: Mapping[str, str]) -> LoginOrigin | None:
        """Return who asked for the login of a callback, or None when no account here did."""
        nonce = broker.callback.nonce_in(query)
        row = await self._store.get(_LOGINS, nonce) if nonce else None
        if row is None:
            return None
        try:
            account = await self._accounts.get(row["broker_id"])
        except NotFound:
            return None
        shared = row.get("shared")
        if shared is None:
            link = await link_of(self._store, account.broker_id)
        else:
            link = shared if await is_open(self._store, shared, self._clock.now()) else None
        return LoginOrigin(account, link, row["state"] == "done", shared is not None)

    async def _refuse_unknown_key(self, account: Account, *, is_told: bool) -> None:
        """Send nobody to a page that would refuse the key: no callback would tell of it."""
        if not account.broker.is_supported:
            return
        refusal = await self._keys.refusal(account, self.redirect_url(account.broker))
        if refusal is None:
            return
        refused = LoginRefused(refusal[0])
        card = login_trouble_card(LoginFailed(account.broker_id, refused.fault))

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, card)

        if is_told:
            with suppress(AlreadyDone):  # the page may be posted as often as its holder likes
                await self._store.transaction(body, nonce=f"key-refused:{refusal[1]}")
        raise refused

    async def _begin(
        self, account: Account, *, via: str, page: str | None = None, is_shared: bool = False
    ) -> str:
        credentials = await opened(self._accounts, account.broker_id)
        now, shared = self._clock.now(), page if is_shared else None
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        row = {
            "_id": nonce,
            "broker_id": account.broker_id,
            "state": "open",
            "via": via,
            "page": page,
            "shared": shared,
            "created_at": now,
            "expires_at": now + _NONCE_LIFE,
            "told_silent": via != "page",
        }

        async def body(view: StoreView) -> None:
            where = {"broker_id": account.broker_id, "state": "open"}
            known = await view.find(_LOGINS, where, sort=[("created_at", 1)])
            # Each link that was given away by itself: its holder closes nobody else's logins.
            same = [one["_id"] for one in known if (one["via"], one.get("shared")) == (via, shared)]
            if older := same[: len(same) + 1 - _OPEN_AT_ONCE]:
                await view.update(
                    _LOGINS, {"_id": {"$in": older}}, Change(set={"state": "closed"}), many=True
                )
            await view.insert(_LOGINS, row)

        await self._store.transaction(body, nonce=f"begin:{nonce}")
        return self._port(account.broker).login_url(
            credentials, nonce=nonce, redirect_url=self.redirect_url(account.broker)
        )

    def _port(self, broker: BrokerProfile) -> LoginPort:
        if not broker.is_supported:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN, f"the broker {broker} is not known")
        return self._connections.broker(broker).login

    async def callback(self, broker: BrokerProfile, query: Mapping[str, str]) -> Account:
        """Complete a login from a broker's redirect.

        Raises:
            LoginRefused: With the fault that has its own page; the user is notified as well.
        """
        nonce = broker.callback.nonce_in(query)
        try:
            code = await self._code_in(broker, query, nonce)
            account = await self._spend(nonce, broker)
            return await self._complete(account, code, nonce)
        except LoginRefused as refused:
            await self._report_refusal(nonce, refused)
            raise
        except (StoreError, VaultError) as error:
            _log.error("a login could not be completed: %s", error)
            unsaved = LoginRefused(LoginFault.NOT_SAVED)
            await self._report_refusal(nonce, unsaved)
            raise unsaved from error

    async def _code_in(self, broker: BrokerProfile, query: Mapping[str, str], nonce: str) -> str:
        """Return the code of a redirect; a refusal of the broker's ends the login that asked."""
        try:
            code = broker.callback.code_in(query)
        except LoginRefused:
            if nonce:
                await self._spend(nonce, broker)
            raise
        if not code:
            raise LoginRefused(LoginFault.MALFORMED)
        return code

    async def _account_of_nonce(self, query: Mapping[str, str]) -> str:
        """Return whose login an address ended, whichever broker's it is, or ''."""
        for broker in self._connections.brokers:
            nonce = broker.callback.nonce_in(query)
            row = await self._store.get(_LOGINS, nonce) if nonce else None
            if row is not None:
                return str(row["broker_id"])
        return ""

    async def _spend(self, nonce: str, broker: BrokerProfile) -> Account:
        """Use a nonce up, once, and return the account it was minted for."""
        store, now = self._store, self._clock.now()
        row = await store.get(_LOGINS, nonce) if nonce else None
        if row is None:
            raise LoginRefused(LoginFault.NONCE_UNKNOWN)
        if row["state"] != "open":
            raise LoginRefused(LoginFault.NONCE_USED)
        if now >= row["expires_at"]:
            raise LoginRefused(LoginFault.NONCE_EXPIRED)
        try:
            account = await self._accounts.get(row["broker_id"])
        except NotFound as error:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN) from error
        if account.broker != broker:
            raise LoginRefused(LoginFault.NONCE_UNKNOWN, "this login belongs to another broker")
        if row.get("page") and not await is_there(store, row["page"]):
            await store.update(_LOGINS, {"_id": nonce}, Change(set={"state": "closed"}))
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN)
        spent = Change(set={"state": "spent", "spent_at": now})
        # Spent before the exchange, and only by the callback whose update matched: a redirect that
        # arrives twice at the same moment is exchanged once (B3).
        if await store.update(_LOGINS, {"_id": nonce, "state": "open"}, spent) != 1:
            raise LoginRefused(LoginFault.NONCE_USED)
        return account

    async def _complete(self, account: Account, code: str, nonce: str) -> Account:
        try:
            credentials = await opened(self._accounts, account.broker_id)
        except NotFound as error:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN) from error
        grant = await self._port(account.broker).exchange(
            credentials, code, redirect_url=self.redirect_url(account.broker)
        )
        # Another family member's browser may still be logged in at the broker: trading the wrong
        # account would be worse than a failed login (A9).
        if account.user_id is not None and account.user_id != grant.user_id:
            raise LoginRefused(
                LoginFault.OTHER_USER, f"{grant.user_id} logged in, expected {account.user_id}"
            )
        return await self._save(account, grant, nonce)

    async def _save(self, account: Account, grant: LoginGrant, nonce: str) -> Account:
        """Store the token, end the warning and notify the user, in one transaction (A05)."""
        broker_id = account.broker_id

        async def body(view: StoreView) -> Account:
            await self._refuse_second(view, account, grant.user_id)
            fields = {
                "access_token": self._vault.seal(grant.access_token),
                "token_generated_at": self._clock.now(),
                "token_market_at": self._clock.market_now(),
                "token_status": TokenStatus.VALID.value,
                "user_id": grant.user_id,
                "user_name": plain_line(grant.user_name),
                "parked_reason": "",
            }
            if not await update_account(view, broker_id, fields):
                raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN)
            if account.user_id is None:
                await self._on_first_login(view, account, grant.user_id)
            await _close_all(view, broker_id)
            await view.update(_LOGINS, {"_id": nonce}, Change(set={"state": "done"}))
            await end_links(view, broker_id)
            await self._tokens.refreshed(view)
            await self._end_trouble(view, broker_id)
            await self._outbox.post(view, Post(LoginDone(broker_id, plain_line(grant.user_name))))
            await self._tick_round(view)
            return await self._accounts.get_in(view, broker_id)

        try:
            after = await self._store.transaction(body, nonce=f"login:{nonce}")
        except AlreadyDone as error:
            raise LoginRefused(LoginFault.NONCE_USED) from error
        except DuplicateKey as error:
            raise LoginRefused(LoginFault.OTHER_USER, _SAME_USER) from error
        except (StoreError, VaultError) as error:
            _log.error("login of %s could not be saved: %s", broker_id, error)
            raise LoginRefused(LoginFault.NOT_SAVED) from error
        await self._connections.drop(broker_id)
        self._on_login(broker_id)
        try:
            await self._tokens.show_warning(force=False)
        except StoreError as error:  # the login is valid; the next tick corrects the warning
            _log.warning("the warning could not be brought up to date: %s", error)
        return after

    async def _refuse_second(self, view: StoreView, account: Account, user_id: str) -> None:
        """An account is unique by (API key, broker user id) (A9)."""
        for other in await self._accounts.of_user(view, account.broker.name, user_id):
            if other.broker_id != account.broker_id and other.api_key == account.api_key:
                raise LoginRefused(
                    LoginFault.OTHER_USER, f"{user_id} is connected already as {other.display_name}"
                )

    async def _end_trouble(self, view: StoreView, broker_id: str) -> None:
        """Remove the card of what went wrong before, where one stands or is on its way."""
        removal = login_trouble_removal(broker_id)
        for chat_id in await owner_chats(view):
            if removal.key and await shows_card(view, chat_id, removal.key):
                await self._outbox.post(view, replace(removal, chat_id=chat_id))

    async def _tick_round(self, view: StoreView) -> None:
        """Bring each chat's morning round up to date, where one stands."""
        for chat_id in await owner_chats(view):
            if await has_card(view, chat_id, MORNING_ROUND_KEY):
                await self._outbox.post(view, morning_round_card(chat_id))

    async def _report_refusal(self, nonce: str, refused: LoginRefused) -> None:
        """Notify once for each nonce and fault: a page may be loaded again and again."""
        fault = refused.fault.value

        async def body(view: StoreView) -> None:
            row = await view.get(_LOGINS, nonce)
            # One that was closed is of an account that is connected, or was begun anew meanwhile.
            if row is not None and row["state"] != "closed":
                await self._outbox.post(view, await refusal_post(view, row, refused))

        try:
            if nonce and await self._store.get(_LOGINS, nonce):
                await self._store.transaction(body, nonce=f"refused:{nonce}:{fault}")
        except AlreadyDone:
            return
        except StoreError as error:  # the page still shows it
            _log.error("a failed login could not be reported (%s): %s", fault, error)

    async def start_round(self, command: Command) -> None:
        """Post the card of all logins to the user's chat; it is edited as logins complete (B9)."""

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, morning_round_card(command.chat_id, fresh=True))

        await self._store.transaction(body, nonce=f"round:{command.id}")

    async def paste(self, command: Command, text: str, broker_id: str | None) -> Account:
        """Complete a login from a pasted address or bare code (B4).

        A bare code, and an address without its nonce, belong to the account named by ``broker_id``.

        Raises:
            AlreadyDone: The command took effect before.
            UserError: Nothing in the text looks like a redirect or a code.
            LoginRefused: The login failed.
        """
        await self._once(f"paste:{command.id}")
        text = text.strip()
        if query := query_of(text):
            return await self._paste_address(query, broker_id)
        if broker_id is None:
            raise UserError("Found no address in that; expected the whole address of the page.")
        if not text or " " in text or "/" in text:
            raise UserError("Expected the address your browser landed on, or only the code in it.")
        return await self._paste_code(text, broker_id)

    async def _once(self, nonce: str) -> None:
        async def body(_view: StoreView) -> None:
            return None

        await self._store.transaction(body, nonce=nonce)

    async def _paste_address(self, query: Mapping[str, str], broker_id: str | None) -> Account:
        owner = await self._account_of_nonce(query) or broker_id
        if not owner:
            raise UserError("That address belongs to no login started here; tap Log in again.")
        account = await self._accounts.get(owner)
        nonce = account.broker.callback.nonce_in(query)
        code = await self._code_in(account.broker, query, nonce)
        if not nonce:
            return await self._paste_code(code, account.broker_id)
        spent = await self._spend(nonce, account.broker)
        return await self._complete(spent, code, nonce)

    async def _paste_code(self, code: str, broker_id: str) -> Account:
        """Spend the newest open nonce of the account: a code alone proves nothing more."""
        rows = await self._store.find(
            _LOGINS, {"broker_id": broker_id, "state": "open"}, sort=[("created_at", -1)], limit=1
        )
        if not rows:
            raise UserError("No login was started for this account; tap Log in first.")
        account = await self._accounts.get(broker_id)
        spent = await self._spend(rows[0]["_id"], account.broker)
        return await self._complete(spent, code, rows[0]["_id"])

    async def tick(self) -> None:
        """Ask about logins that were started on a page and never came back (B3)."""
        now = self._clock.now()
        rows = await self._store.find(
            _LOGINS,
            {"state": "open", "told_silent": False, "created_at": {"$lte": now - _SILENT_AFTER}},
        )
        for row in {row["broker_id"]: row for row in rows}.values():
            await self._notify_silent(row)

    async def _notify_silent(self, row: Document) -> None:
        broker_id = row["broker_id"]

        async def body(view: StoreView) -> None:
            await _silence(view, broker_id)
            if await is_live(view, broker_id):
                await self._outbox.post(view, login_trouble_card(LoginSilent(broker_id)))

        try:
            await self._store.transaction(body, nonce=f"silent:{row['_id']}")
        except AlreadyDone:
            return


_SAME_USER = "this broker user is connected already with the same key"


async def _close_all(view: StoreView, broker_id: str) -> None:
    """Close an account's nonces: it is logged in, and none of them may log it in once more."""
    for state in ("open", "spent"):
        where = {"broker_id": broker_id, "state": state}
        await view.update(_LOGINS, where, Change(set={"state": "closed"}), many=True)


async def _silence(view: StoreView, broker_id: str) -> None:
    """Ask no more about an account's open logins: the user was asked."""
    where = {"broker_id": broker_id, "state": "open"}
    await view.update(_LOGINS, where, Change(set={"told_silent": True}), many=True)
