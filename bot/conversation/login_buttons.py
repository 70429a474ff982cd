"""Login buttons: to our own page, or to a fresh broker address at each tap (B1, B4)."""

from __future__ import annotations

from collections.abc import Iterable

from telegram import InlineKeyboardButton

from bot.parameters import BotParameters
from bot.views.accounts import begun_by_login
from bot.views.screen import PRIMARY, Screen, button, is_linkable, link_button
from bot.views.verbs import Verb
from core.domain.account import Account
from core.engine.accounts.logins import Logins

__all__ = ["LoginButtons"]


class LoginButtons:
    """Makes login buttons: to our own page, or to a fresh broker address at each tap (B1, B4)."""

    def __init__(self, logins: Logins, parameters: BotParameters) -> None:
        self._logins = logins
        self._parameters = parameters

    async def button(self, account: Account) -> InlineKeyboardButton:
        """Return the login button of an account."""
        label = f"Log in to {account.label}"
        if self._parameters.public_url:
            offer = await self._logins.offer(account.broker_id)
            if offer.page_url and is_linkable(offer.page_url):
                return link_button(label, offer.page_url, style=PRIMARY)
        return button(label, Verb.LOGIN, account.broker_id, style=PRIMARY)

    async def begun(self, screen: Screen, account: Account | None) -> Screen:
        """Return a view of an account, begun with its login where it waits for one (B7)."""
        if account is None or not account.needs_login:
            return screen
        return begun_by_login(screen, account, await self.button(account))

    async def rows(
        self, accounts: Iterable[Account]
    ) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
        """Return a row for each account."""
        return tuple([(await self.button(account),) for account in accounts])
