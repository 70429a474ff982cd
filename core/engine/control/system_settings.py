"""Settings that the chat can change: data account, day's summary, capitals (D4, D10, E2)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.domain.command import Command
from core.domain.money import rupees
from core.domain.typed_number import read_amount
from core.engine.accounts.accounts import Accounts
from core.engine.control.day_summaries import DAY_SUMMARY, OFF
from core.engine.runs.market_data import DATA_ACCOUNT
from core.engine.stored_settings import read_settings, remove_setting, write_setting
from core.errors import NotFound, UserError
from core.ports.store import Change, Store, StoreView

__all__ = ["SystemSettings"]

_ON = "on"
_CAPITAL_RANGE = (Decimal(1), Decimal(10_000_000_000))


class SystemSettings:
    """Reads and changes the settings of the installation that are not of one strategy."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    async def all(self) -> Mapping[str, str]:
        """Return what can be set, with its present value as text."""
        rows = await read_settings(self._store)
        chosen = rows.get(DATA_ACCOUNT, {}).get("value")
        found = {DATA_ACCOUNT: await self._label(chosen) if chosen else "automatic"}
        found[DAY_SUMMARY] = rows.get(DAY_SUMMARY, {}).get("value", _ON)
        for account in await self._accounts.all():
            value = rows.get(f"capital|{account.broker_id}", {}).get("value")
            found[f"capital|{account.broker_id}"] = (
                str(value) if value is not None else "funds at the start of the day"
            )
        return found

    async def _label(self, broker_id: str) -> str:
        try:
            return (await self._accounts.get(broker_id)).label
        except NotFound:
            return "automatic"

    async def set(self, command: Command, name: str, text: str) -> None:
        """Change one setting; raises ``UserError``."""
        value = await self._checked_setting(name, text.strip())

        async def body(view: StoreView) -> None:
            if value is None:
                await remove_setting(view, name)
                return
            await write_setting(view, name, Change(set={"value": value}))

        await self._store.transaction(body, nonce=f"setting:{command.id}")

    async def _checked_setting(self, name: str, text: str) -> str | Decimal | None:
        if text.lower() in {"", "automatic", "auto", "none"}:
            return None
        if name == DATA_ACCOUNT:
            for account in await self._accounts.all():
                if text.lower() in {account.broker_id, account.display_name.lower()}:
                    if account.broker.is_paper:
                        raise UserError(
                            f"{account.label} gives no prices: it trades at those of another "
                            "account."
                        )
                    return account.broker_id
            raise UserError(f"Found {text[:40]!r}; expected the name of an account, or automatic.")
        if name == DAY_SUMMARY:
            if text.lower() not in {_ON, OFF}:
                raise UserError(f"Found {text[:40]!r}; expected on or off.")
            return OFF if text.lower() == OFF else None
        kind, _, broker_id = name.partition("|")
        if kind != "capital":
            raise UserError(
                f"Found the setting {name[:40]!r}; /settings lists what can be changed."
            )
        await self._accounts.get(broker_id)
        return _rupees_in(text)


def _rupees_in(text: str) -> Decimal:
    amount = read_amount(text)
    low, high = _CAPITAL_RANGE
    if amount is None or not low <= amount <= high:
        raise UserError(
            f"Found {text[:30]!r}; expected rupees from {rupees(low, paise=False)} to "
            f"{rupees(high, paise=False)}, like 2,50,000 or 2.5L."
        )
    return amount
