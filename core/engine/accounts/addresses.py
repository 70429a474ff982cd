"""From where accounts' requests leave, checked before the session (A12).

Fields of ``broker_accounts`` that are written here and by
``core.engine.control.account_addresses``: ``source_address``, ``proxy`` and ``proxy_login`` (sealed
``user:password``), ``registered`` (what the broker's console holds) and ``registered_at``,
``sharing``, ``address_seen``, ``address_checked_at``, ``address_trouble``. The gate has a copy of
the trouble, which denies entries; exits are left to the broker's judgement.

What cannot be found out stops nothing: the broker refuses a wrong address by itself.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from core.domain.account import Account
from core.domain.instrument import Segment
from core.domain.notices.accounts import AddressRight, AddressWrong
from core.domain.notices.post import address_card
from core.domain.route import Route
from core.domain.shared_address import has_way_out, seen_trouble, way_out
from core.engine.accounts.accounts import Accounts, update_account
from core.engine.orders.alarms import end_alarm
from core.engine.orders.gate import set_address_trouble
from core.engine.outbox import Outbox
from core.errors import NotFound, VaultError
from core.ports.address_probe import AddressProbe, Sighted, Sighting
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Addresses"]

_log = logging.getLogger(__name__)
_BEFORE_OPEN = timedelta(minutes=15)
_AGAIN_S = 60.0
"""An account in trouble is looked at again so often."""


class Addresses:
    """Looks where accounts' requests leave, and stops entries from a wrong address.

    Attributes:
        probe: What looks.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        outbox: Outbox,
        probe: AddressProbe,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._outbox = outbox
        self.probe = probe
        self._looked_day = ""
        self._looked_for: dict[str, datetime | None] = {}
        self._again_at = 0.0

    async def tick(self) -> None:
        """Look at the start, before the session, after each login, and again where it is wrong."""
        day = self._due_day()
        accounts = [one for one in await self._accounts.all() if has_way_out(one)]
        if day != self._looked_day:
            self._looked_day = day
            await self.check(accounts)
            return
        is_again = self._clock.monotonic() >= self._again_at
        due = [
            one
            for one in accounts
            if self._looked_for.get(one.broker_id) != one.token_generated_at
            or (is_again and one.address_trouble)
        ]
        if is_again:
            self._again_at = self._clock.monotonic() + _AGAIN_S
        await self.check(due)

    def _due_day(self) -> str:
        """Return a name that changes at the start of each session's last quarter of an hour."""
        moment = self._clock.market_now()
        try:
            window = self._calendar.exit_session(moment.date(), Segment.CASH, has_derivatives=True)
        except LookupError:
            window = None
        is_near = window is not None and moment >= window.open_at - _BEFORE_OPEN
        return f"{moment.date()} session" if is_near else f"before {moment.date()}"

    async def check(self, accounts: Iterable[Account], *, is_told: bool = True) -> None:
        """Look at each route once, all beside one another, and record what was found.

        Args:
            accounts: Whose routes.
            is_told: Whether news goes to the chat; not when a user waits for the answer.

        Raises:
            StoreError: Something could not be recorded; what could be is.
        """
        by_route: defaultdict[Route, list[Account]] = defaultdict(list)
        for account in accounts:
            self._looked_for[account.broker_id] = account.token_generated_at
            try:
                by_route[await self._accounts.route(account.broker_id)].append(account)
            except (NotFound, VaultError) as error:
                _log.warning("account %s: its address: %s", account.broker_id, error)
        looks = (self._look(route, same, is_told=is_told) for route, same in by_route.items())
        # No group of tasks: one that fails neither ends the others nor turns into another error.
        for outcome in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _look(self, route: Route, accounts: list[Account], *, is_told: bool) -> None:
        sighting = await self.probe.look(route)
        for account in accounts:
            try:
                await self._record(account, sighting, is_told=is_told)
            except NotFound:
                continue

    async def _record(self, before: Account, sighting: Sighting, *, is_told: bool) -> None:
        if sighting.kind is Sighted.UNKNOWN:
            _log.info("account %s: address not known: %s", before.broker_id, sighting.why)
            return

        async def body(view: StoreView) -> None:
            account = await self._accounts.get_in(view, before.broker_id)
            if way_out(account) != way_out(before):
                return  # it was changed meanwhile, and is looked at by whoever changed it
            await self._judge(view, account, sighting, is_told=is_told)

        nonce = f"address:{before.broker_id}|{secrets.token_hex(8)}"
        await self._store.transaction(body, nonce=nonce)

    async def _judge(
        self, view: StoreView, account: Account, sighting: Sighting, *, is_told: bool
    ) -> None:
        seen = sighting.address
        trouble = sighting.why or seen_trouble(seen, account.registered, account.broker.label)
        fields = {"address_seen": seen, "address_checked_at": self._clock.now()}
        await update_account(view, account.broker_id, fields)
        await self.note_trouble(view, account, trouble, seen=seen, is_told=is_told)

    async def note_trouble(
        self, view: StoreView, account: Account, trouble: str, *, seen: str, is_told: bool
    ) -> None:
        """Note why nothing is entered from an account's address, or that all is well: ''.

        The gate has it from the same commit on, and an alarm that stands ends with its trouble.

        Args:
            view: The caller's transaction.
            account: The account as it was before.
            trouble: What is wrong now.
            seen: From where the account is seen now; '' where nobody knows.
            is_told: Whether news goes to the chat; not when a user waits for the answer.
        """
        broker_id = account.broker_id
        if trouble == account.address_trouble:
            return
        await update_account(view, broker_id, {"address_trouble": trouble})
        await set_address_trouble(view, broker_id, trouble)
        is_news = is_told and (account.enabled or account.is_default)
        if trouble and is_news:
            await self._outbox.post(view, address_card(AddressWrong(broker_id, trouble, seen)))
        if trouble:
            return
        right = address_card(AddressRight(broker_id, seen))
        if is_news:
            await self._outbox.post(view, right)
        else:  # whoever has mended it sees the answer; the alarm that stands ends all the same
            await end_alarm(view, self._outbox, right.key or "", right.notice, is_anew=False)
