"""The house: health, settings and readiness, for ``core.engine.control.controller``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from core.domain.account import Account
from core.domain.instrument import Segment
from core.domain.views import AccountHealth, HealthView
from core.engine.control.control import Command
from core.engine.control.parts import ControllerParts
from core.engine.runs.market_data import DATA_ACCOUNT
from core.errors import NotFound, UserError
from core.ports.calendar import Calendar
from core.ports.store import Change, StoreView

__all__ = ["House"]


class House:
    """How the controller does, and what can be set."""

    def __init__(self, parts: ControllerParts) -> None:
        self._parts = parts
        self._started_at = parts.clock.now()

    async def health(self) -> HealthView:
        """Return how the controller does."""
        parts = self._parts
        waiting = await parts.store.find("outbox", {"state": "WAITING"})
        healths = [
            await self._account_health(account) for account in await self._parts.accounts.all()
        ]
        sources = await parts.market_data.sources()
        return HealthView(
            started_at=self._started_at,
            now=parts.clock.now(),
            market_now=parts.clock.market_now(),
            session_note=self._session_note(),
            store_kind=parts.store_kind,
            data_account=sources[0].label if sources else "",
            outbox_waiting=len(waiting),
            accounts=tuple(healths),
            troubles=tuple(parts.supervisor.troubles.values()),
        )

    async def _account_health(self, account: Account) -> AccountHealth:
        worker = self._parts.pool.get(account.broker_id)
        orders = await self._parts.store.find(
            "orders", {"broker_id": account.broker_id, "state": "UNRESOLVED"}
        )
        return AccountHealth(
            account,
            worker.snapshot.as_of if worker else None,
            worker.trouble if worker else "not started yet",
            len(orders),
        )

    def _session_note(self) -> str:
        now = self._parts.clock.market_now()
        try:
            window = self._parts.calendar.session(now.date(), Segment.CASH, has_derivatives=True)
        except LookupError:
            return _unknown_day(self._parts.calendar, now.date())
        if window is None:
            return "market closed today"
        if now < window.open_at:
            return f"market opens at {window.open_at:%H:%M}"
        if now >= window.close_at:
            return f"market closed at {window.close_at:%H:%M}"
        return f"market open until {window.close_at:%H:%M}"

    async def settings(self) -> Mapping[str, str]:
        """Return what can be set, with its present value as text."""
        rows = {row["_id"]: row for row in await self._parts.store.find("settings", {})}
        chosen = rows.get(DATA_ACCOUNT, {}).get("value")
        found = {DATA_ACCOUNT: await self._label(chosen) if chosen else "automatic"}
        for account in await self._parts.accounts.all():
            value = rows.get(f"capital|{account.broker_id}", {}).get("value")
            found[f"capital|{account.broker_id}"] = (
                str(value) if value is not None else "funds at the start of the day"
            )
        return found

    async def _label(self, broker_id: str) -> str:
        try:
            return (await self._parts.accounts.get(broker_id)).label
        except NotFound:
            return "automatic"

    async def set_setting(self, command: Command, name: str, text: str) -> None:
        """Change one setting; raises ``UserError``."""
        value = await self._checked_setting(name, text.strip())

        async def body(view: StoreView) -> None:
            if value is None:
                await view.delete("settings", {"_id": name})
                return
            await view.update("settings", {"_id": name}, Change(set={"value": value}), upsert=True)

        await self._parts.store.transaction(body, nonce=f"setting:{command.id}")

    async def _checked_setting(self, name: str, text: str) -> str | Decimal | None:
        if text.lower() in {"", "automatic", "auto", "none"}:
            return None
        if name == DATA_ACCOUNT:
            for account in await self._parts.accounts.all():
                if text.lower() in {account.broker_id, account.display_name.lower()}:
                    return account.broker_id
            raise UserError(f"Found {text[:40]!r}; expected the name of an account, or automatic.")
        kind, _, broker_id = name.partition("|")
        if kind != "capital":
            raise UserError(
                f"Found the setting {name[:40]!r}; /settings lists what can be changed."
            )
        await self._parts.accounts.get(broker_id)
        return _rupees_in(text)


def _unknown_day(calendar: Calendar, day: date) -> str:
    """Say what still happens on a day that the calendar does not know (K04)."""
    window = calendar.exit_session(day, Segment.CASH, has_derivatives=True)
    if window is None:
        return "the calendar does not know today's hours: nothing is entered or squared off"
    hours = f"{window.open_at:%H:%M} to {window.close_at:%H:%M}"
    return f"the calendar does not know this day: no entries, exits from {hours}"


def _rupees_in(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", "").replace("₹", "").strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise UserError(
            f"Found {text[:30]!r}; expected an amount of rupees above 0, like 2,50,000."
        )
    return amount
