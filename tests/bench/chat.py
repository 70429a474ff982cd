"""``python -m tests.bench.chat``: a controller of the bench with the real bot, as ``Child`` starts it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from bot.application import Bot, build_bot
from bot.conversation.nonces import Nonces
from bot.parameters import BotParameters
from bot.views.callbacks import encode
from bot.views.verbs import Verb
from core.bootstrap import PROFILES
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.engine.workers.supervisor import Service
from tests.bench.controller import Controlled, Spec, answer, controlled
from tests.bench.messenger import FIRST_USER

__all__ = ["TOKEN"]

TOKEN = "7000000001:ours-simulated_token"
_SCREENS = (encode(Verb.HELP), encode(Verb.STRATEGIES))


@dataclass
class _Chat:
    """The bot of a controller; it is asked for what users tap."""

    spec: Spec
    one: Controlled | None = None
    bot: Bot | None = None

    @property
    def users(self) -> range:
        return range(FIRST_USER, FIRST_USER + self.spec.users)

    def talking(self, one: Controlled) -> Mapping[str, Service]:
        """Build the bot over a controller, as ``console.process`` does."""
        self.one = one
        parameters = BotParameters(TOKEN, PROFILES, self.spec.telegram)
        under = one.foundation
        bot = build_bot(parameters, one.system.control, under.store, under.vault, under.clock)
        self.bot = bot

        async def run() -> None:
            await one.system.control.owners.settle(self.users)
            await bot.run()

        return {"outbox": one.system.sender(bot.notifier), "bot": run}


class _Tapped:
    """What ``Child`` may ask: all that a controller is asked, and what users tap."""

    def __init__(self, chat: _Chat, one: Controlled) -> None:
        self._chat = chat
        self._one = one
        self._value = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._one, name)

    async def screens(self, each: int) -> dict[str, list[str]]:
        """Return the buttons of screens, for each user: no two alike one after the other."""
        return {
            str(user_id): [
                encode(Verb.ACCOUNT, self._account_of(user_id))
                if at % 2
                else _SCREENS[at // 2 % len(_SCREENS)]
                for at in range(each)
            ]
            for user_id in self._chat.users
        }

    async def nonces(self, each: int) -> dict[str, list[str]]:
        """Issue nonces that change a limit, and return the buttons that spend them."""
        self._value += each
        return {
            str(user_id): [await self._limit_button(user_id, at) for at in range(each)]
            for user_id in self._chat.users
        }

    async def modes(self, each: int) -> dict[str, list[str]]:
        """Issue nonces that change modes, which wakes workers, and return their buttons."""
        modes = list(TradingMode)
        return {
            str(user_id): [
                await self._mode_button(user_id, modes[at % len(modes)]) for at in range(each)
            ]
            for user_id in self._chat.users
        }

    async def both(self, each: int) -> dict[str, list[str]]:
        """Return screens and, behind each, the button that sets NORMAL again: trading goes on."""
        return {
            user_id: [
                await self._mode_button(int(user_id), TradingMode.NORMAL) if at % 2 else data
                for at, data in enumerate(found)
            ]
            for user_id, found in (await self.screens(each)).items()
        }

    async def _limit_button(self, user_id: int, at: int) -> str:
        args = {"scope": self._account_of(user_id), "kind": LimitKind.POSITION_VALUE.value}
        nonce = await self._issued(Verb.SET_LIMIT, user_id, args)
        return encode(Verb.SET_LIMIT, nonce, 10_000_000 + self._value + at)

    async def _mode_button(self, user_id: int, mode: TradingMode) -> str:
        args = {"target": self._account_of(user_id), "mode": mode.value}
        return encode(Verb.CHANGE_MODE, await self._issued(Verb.CHANGE_MODE, user_id, args))

    async def _issued(self, verb: Verb, user_id: int, args: Mapping[str, str]) -> str:
        under = self._one.foundation
        return await Nonces(under.store, under.clock).issue(verb, user_id, user_id, args)

    def _account_of(self, user_id: int) -> str:
        accounts = self._one.accounts
        return accounts[(user_id - FIRST_USER) % len(accounts)]


async def _serve(spec: Spec) -> None:
    chat = _Chat(spec)
    async with controlled(spec, chat.talking) as one:
        try:
            await answer(_Tapped(chat, one))
        finally:
            if chat.bot is not None:
                await chat.bot.stop()


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    asyncio.run(_serve(Spec(**json.loads(sys.argv[1]))))
