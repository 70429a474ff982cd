"""The port of paper accounts' money: what no broker outside would let anybody set."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from core.ports.store import StoreView

__all__ = ["PaperMoney"]


class PaperMoney(Protocol):
    """Opens, changes and closes the books of paper accounts."""

    async def open_account(self, view: StoreView, broker_id: str, funds: Decimal) -> None:
        """Begin an account's books, inside the transaction that connects it."""
        ...

    async def close_account(self, view: StoreView, broker_id: str) -> None:
        """Forget an account's books, inside the transaction that disconnects it."""
        ...

    async def set_funds(self, broker_id: str, amount: Decimal, *, nonce: str) -> None:
        """Give an account so much money, what its positions block included.

        Raises:
            AlreadyDone: ``nonce`` took effect before.
            UserError: They block more than that.
        """
        ...
