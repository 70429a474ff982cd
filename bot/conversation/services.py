"""The services that every handler uses: control, stored chat state, and login buttons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.conversation.login_buttons import LoginButtons
from bot.conversation.nonces import Nonces
from bot.conversation.prompts import Prompts
from bot.edge.menu import CommandHelp
from bot.edge.polling import PollerHealth
from bot.parameters import BotParameters
from core.domain.account import Account
from core.engine.control.control import Control
from core.errors import UserError
from core.ports.clock import Clock
from core.ports.store import Change, Store
from core.ports.vault import Vault

__all__ = ["ChatServices"]

_CHATS = "chats"


@dataclass(frozen=True, slots=True)
class ChatServices:
    """The services, the same for every visit."""

    parameters: BotParameters
    control: Control
    store: Store
    vault: Vault
    clock: Clock
    nonces: Nonces
    prompts: Prompts
    logins: LoginButtons
    commands: tuple[CommandHelp, ...]
    poller_health: Callable[[], PollerHealth]

    async def selected(self, chat_id: int) -> Account:
        """Return the account that this chat shows: the one chosen last, else the default.

        Raises:
            UserError: There is no account yet.
        """
        accounts = await self.control.accounts.all()
        if not accounts:
            raise UserError("There is no account yet. Use /add to connect the first one.")
        row = await self.store.get(_CHATS, str(chat_id))
        wanted = row.get("selected") if row else None
        return next((one for one in accounts if one.broker_id == wanted), accounts[0])

    async def select(self, chat_id: int, broker_id: str) -> None:
        """Record which account this chat shows."""
        change = Change(set={"selected": broker_id})
        await self.store.update(_CHATS, {"_id": str(chat_id)}, change, upsert=True)
