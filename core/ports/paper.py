"""The ports of paper accounts: their prices, and their money, which no broker would let one set."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from core.ports.broker import MarketDataSource
from core.ports.store import StoreView

__all__ = ["PaperMoney", "PaperPriceSource"]


class PaperPriceSource(MarketDataSource, Protocol):
    """The prices of the other accounts."""

    async def has_market(self) -> bool:
        """Whether any account is connected that could give prices, logged in or not."""
        ...


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
