"""Paper accounts: how much money they begin with, and how much they have (row F6)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.domain.command import Command
from core.domain.identifiers import is_paper
from core.domain.money import rupees
from core.domain.typed_number import read_amount
from core.engine.accounts.accounts import Accounts
from core.errors import UserError
from core.ports.paper import PaperMoney
from core.ports.store import Store, StoreView

__all__ = ["FUNDS", "PaperAccounts"]

FUNDS = Decimal(1_000_000)
"""Rupees that a paper account begins with unless the user wants another amount."""
_RANGE = (Decimal(10_000), Decimal(100_000_000))


class PaperAccounts:
    """Opens and closes paper accounts, and sets their money; ``wake`` has a worker read anew."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        money: PaperMoney,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._money = money
        self._wake = wake

    @staticmethod
    def checked_funds(text: str) -> Decimal:
        """Return the rupees in a text; raises ``UserError``."""
        amount = read_amount(text)
        low, high = _RANGE
        if amount is None or not low <= amount <= high:
            raise UserError(
                f"Found {text[:30]!r}; expected rupees from {rupees(low, paise=False)} to "
                f"{rupees(high, paise=False)}, like 10,00,000 or 10L."
            )
        return amount

    async def open(self, view: StoreView, broker_id: str, *, funds: Decimal | None) -> None:
        """Begin an account's books, inside the transaction that connects it."""
        await self._money.open_account(view, broker_id, funds or FUNDS)

    async def close(self, view: StoreView, broker_id: str) -> None:
        """Forget an account's books, inside the transaction that disconnects it."""
        await self._money.close_account(view, broker_id)

    async def set_funds(self, command: Command, broker_id: str, text: str) -> Decimal:
        """Set an account's paper money; return it. Raises ``UserError``."""
        account = await self._accounts.get(broker_id)
        if not is_paper(broker_id):
            raise UserError(f"{account.label} is no paper account: its money is at the broker.")
        amount = self.checked_funds(text)
        await self._money.set_funds(broker_id, amount, nonce=f"paper-funds:{command.id}")
        self._wake(broker_id)
        return amount
