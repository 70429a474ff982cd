"""The chat's command menu: made from the registry, set only in the chats of owners."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from telegram import Bot, BotCommand, BotCommandScopeChat, BotCommandScopeDefault
from telegram.error import TelegramError

__all__ = ["CommandHelp", "Menu"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command's name and what it is for."""

    name: str
    summary: str


class Menu:
    """Sets the menu of an owner's chat, once in the life of the process."""

    def __init__(self, api: Bot, commands: Sequence[CommandHelp]) -> None:
        self._api = api
        self._commands = [BotCommand(one.name, one.summary) for one in commands]
        self._has_menu: set[int] = set()

    async def clear_default(self) -> None:
        """Delete a menu that an earlier program may have set for everybody."""
        await self._api.delete_my_commands(scope=BotCommandScopeDefault())

    async def ensure(self, chat_id: int) -> None:
        """Set the menu of a chat, unless it is set."""
        if chat_id in self._has_menu:
            return
        try:
            await self._api.set_my_commands(self._commands, scope=BotCommandScopeChat(chat_id))
        except TelegramError as error:
            # An owner who never wrote has no chat yet: the next visit tries again.
            _log.info("no menu in chat %s yet: %s", chat_id, error)
        else:
            self._has_menu.add(chat_id)
