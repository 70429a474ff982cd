"""Reads what a notice needs while it is rendered.

Its account, order or run may not exist any more when it is delivered: then the id is shown, or the
message says so, instead of failing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.conversation.login_buttons import LoginButtons
from bot.views.lines import terms_lines
from bot.views.markup import bold, esc
from core.domain.account import Account
from core.domain.inquiry import InquiryView
from core.domain.kept_out import kept_out, sends_nothing
from core.domain.money import signed_rupees
from core.domain.order import LIVE_STATES, Purpose, Side
from core.domain.views import OrderView, PositionView
from core.engine.control.control import Control
from core.errors import NotFound

__all__ = ["Lookups"]


class Lookups:
    """Reads accounts, orders and titles for the messages of notices."""

    def __init__(self, control: Control, logins: LoginButtons) -> None:
        self.control = control
        self._logins = logins

    async def account(self, broker_id: str) -> Account | None:
        """Return an account, or None when it is gone."""
        try:
            return await self.control.accounts.get(broker_id)
        except NotFound:
            return None

    async def label(self, broker_id: str) -> str:
        """Return an account's name, its id when it is gone."""
        account = await self.account(broker_id)
        return account.label if account else broker_id

    async def unsent(self, broker_id: str) -> str:
        """Return why nothing of strategies leaves an account now, a clause; '' where it does."""
        account = await self.account(broker_id)
        if account is None:
            return ""
        return sends_nothing(account, await self.control.modes.global_mode())

    async def kept_out(self, broker_id: str) -> str:
        """Return why nothing is entered on an account now, a clause; '' where it is."""
        account = await self.account(broker_id)
        if account is None:
            return ""
        return kept_out(account, await self.control.modes.global_mode())

    async def accounts(self, broker_ids: Sequence[str]) -> list[Account]:
        """Return those of the accounts that exist still."""
        found = [await self.account(broker_id) for broker_id in broker_ids]
        return [one for one in found if one is not None]

    async def order(self, client_order_id: str) -> OrderView:
        """Return an order; raises ``NotFound``."""
        return await self.control.views.order(client_order_id)

    async def orders(self, keys: Sequence[str]) -> list[OrderView]:
        """Return those of the orders that exist still."""
        found = []
        for key in keys:
            with suppress(NotFound):
                found.append(await self.order(key))
        return found

    async def held(self, broker_id: str) -> tuple[PositionView, ...]:
        """Return what an account holds with what protects it; nothing of one that is gone."""
        try:
            return await self.control.views.held(broker_id)
        except NotFound:
            return ()

    async def working(
        self, broker_id: str, instrument: str, product: str, side: Side, purpose: Purpose
    ) -> list[OrderView]:
        """Return what works at the broker of one position, side and purpose, oldest first."""
        try:
            orders = await self.control.views.orders(broker_id)
        except NotFound:
            return []
        wanted = (instrument, product, side, purpose)
        return [
            one
            for one in reversed(orders)
            if one.state in LIVE_STATES
            and (str(one.instrument), one.product.value, one.side, one.purpose) == wanted
        ]

    async def open_words(self, broker_id: str, instrument: str, product: str = "") -> str:
        """Return what a position stands at: ``Open -₹120.00 now.``; '' where it is not known."""
        amount = sum(
            (
                one.unrealised
                for one in await self.held(broker_id)
                if str(one.instrument) == instrument and product in {"", one.product.value}
            ),
            Decimal(0),
        )
        return f" Open {bold(signed_rupees(amount))} now." if amount else ""

    async def inquiry(self, client_order_id: str) -> InquiryView:
        """Return an order that is or was unresolved; raises ``NotFound``."""
        return await self.control.unresolved.view(client_order_id)

    async def order_lines(self, keys: Sequence[str]) -> list[str]:
        """Return lines for orders by id; a text that is no known id is shown as it is."""
        found = {one.key: one for one in await self.orders(keys)}
        lines = dict(zip(found, terms_lines(found.values(), "• "), strict=True))
        return [lines.get(key, f"• {esc(key)}") for key in keys]

    def strategy_title(self, name: str) -> str:
        """Return a strategy's title, its name when it is gone."""
        try:
            return self.control.strategies.title(name)
        except NotFound:
            return name

    async def login_rows(
        self, accounts: Sequence[Account]
    ) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
        """Return a login button for each account that needs one."""
        return await self._logins.rows(one for one in accounts if one.needs_login)
