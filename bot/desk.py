"""What every handler works with: the facade, the chat's memory, and how to offer a login."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from telegram import InlineKeyboardButton

from bot.nonces import Nonces
from bot.parameters import BotParameters
from bot.polling import PollerHealth
from bot.screen import PRIMARY, button, is_linkable, link_button
from bot.wizard.prompts import Prompts
from core.domain.account import Account
from core.engine.control import Control
from core.errors import UserError
from core.ports.clock import Clock
from core.ports.store import Change, Store
from core.ports.vault import Vault

__all__ = ["CommandHelp", "Desk", "Logins"]

_CHATS = "chats"


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command's name and what it is for."""

    name: str
    summary: str


class Logins:
    """Makes login buttons: to our own page, or to a fresh broker address at each tap (B1, B4)."""

    def __init__(self, control: Control, parameters: BotParameters) -> None:
        self._control = control
        self._parameters = parameters

    async def button(self, account: Account) -> InlineKeyboardButton:
        """Return the login button of an account."""
        label = f"Log in to {account.label}"
        if self._parameters.public_url:
            offer = await self._control.login_offer(account.broker_id)
            if offer.page_url and is_linkable(offer.page_url):
                return link_button(label, offer.page_url, style=PRIMARY)
        return button(label, "login", account.broker_id, style=PRIMARY)

    async def rows(
        self, accounts: Iterable[Account]
    ) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
        """Return a row for each account."""
        return tuple([(await self.button(account),) for account in accounts])


@dataclass(frozen=True, slots=True)
class Desk:
    """The bot's tools, the same for every visit."""

    parameters: BotParameters
    control: Control
    store: Store
    vault: Vault
    clock: Clock
    nonces: Nonces
    prompts: Prompts
    logins: Logins
    commands: tuple[CommandHelp, ...]
    poller_health: Callable[[], PollerHealth]

    async def selected(self, chat_id: int) -> Account:
        """Return the account that this chat looks at: the remembered one, else the default.

        Raises:
            UserError: There is no account yet.
        """
        accounts = await self.control.accounts()
        if not accounts:
            raise UserError("There is no account yet. Use /add to connect the first one.")
        row = await self.store.get(_CHATS, str(chat_id))
        wanted = row.get("selected") if row else None
        return next((one for one in accounts if one.broker_id == wanted), accounts[0])

    async def select(self, chat_id: int, broker_id: str) -> None:
        """Remember which account this chat looks at."""
        change = Change(set={"selected": broker_id})
        await self.store.update(_CHATS, {"_id": str(chat_id)}, change, upsert=True)
