"""What a poll brought: strangers are dropped unread, the rest is parsed one by one (rows G1, R2).

An update is looked at as Telegram wrote it. Whoever is not served costs neither an object nor a
write: thousands of their messages must not stand between an owner and a panic. One that cannot be
parsed is left out, by its id and kind; the others of its poll go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from telegram import Bot, Update

from bot.edge.authorization import Authorization
from bot.edge.crowd import Crowd, crowd_of
from bot.edge.pairing import Pairing
from core.ports.clock import Clock

__all__ = ["KINDS", "Intake", "update_ids"]

KINDS = (Update.MESSAGE, Update.CALLBACK_QUERY, Update.MY_CHAT_MEMBER)
"""The kinds of updates that are asked for; a poll can bring others for a short time."""
_PRIVATE = "private"
_A_LINE_S = 60.0
_NAMED = 5
_UNSERVED = "{} of users who are not served, dropped: HEARD"
_EARLY = (
    "The bot hears in Telegram, and answers nobody yet: HEARD. Send it the /pair line that this "
    "start has printed."
)
"""On the console: whoever tries the new bot out must not take it for dead."""
_log = logging.getLogger(__name__)

Written = Mapping[str, Any]


def update_ids(written: Sequence[object]) -> list[int]:
    """Return the ids of updates; what has none is none."""
    return [one["update_id"] for one in written if _has_id(one)]  # type: ignore[index]


def _has_id(one: object) -> bool:
    return isinstance(one, Mapping) and type(one.get("update_id")) is int


class Intake:
    """Sifts and parses.

    Args:
        gate: Knows who is served.
        pairing: Hears strangers while nobody is.
        bot: What the parsed updates can be answered through.
        clock: For how often it is said who was dropped.
        tell: Shows a line on the console.
    """

    def __init__(
        self,
        gate: Authorization,
        pairing: Pairing,
        bot: Bot,
        clock: Clock,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._gate = gate
        self._pairing = pairing
        self._bot = bot
        show = tell or _log.warning
        self._dropped = _Tally(clock, _UNSERVED.format("updates"), _log.warning)
        self._codes = _Tally(clock, _UNSERVED.format("wrong pairing codes"), show)
        self._early = _Tally(clock, _EARLY, show)

    async def served(self) -> frozenset[int]:
        """Return the ids of those who are served.

        Raises:
            StoreError: It cannot be known.
        """
        return await self._gate.owners()

    def skip(self, body: bytes, served: frozenset[int]) -> Crowd | None:
        """Drop a poll of strangers and return what it was, or None when it has to be sifted."""
        # While nobody is served, anybody may send the pairing code.
        crowd = crowd_of(body, served, _NAMED + 1) if served else None
        if crowd is not None:
            self._dropped.count(*crowd.users, updates=crowd.count)
            self._dropped.say()
        return crowd

    async def sift(self, written: Sequence[object]) -> list[Update]:
        """Return the updates of a poll that are worth storing, in their order.

        Raises:
            StoreError: It cannot be known who is served.
        """
        owners = await self._gate.owners() if written else frozenset()
        found = []
        for one in written:
            if not isinstance(one, Mapping) or not _has_id(one):
                _log.warning("Telegram sent something that is no update")
            elif await self._is_wanted(one, owners) and (update := self._parsed(one)) is not None:
                found.append(update)
        for tally in (self._dropped, self._codes, self._early):
            tally.say()
        return found

    async def _is_wanted(self, one: Written, owners: frozenset[int]) -> bool:
        user_id, is_private = _sender(one)
        if user_id in owners and is_private:
            return True
        message = one.get(Update.MESSAGE)
        if not owners and user_id and is_private and isinstance(message, Mapping):
            if await self._pairing.may_begin(user_id, message):
                return True
            if str(message.get("text")).lower().startswith("/pair"):
                self._codes.count(user_id)
            else:
                self._early.count(user_id)
            return False
        self._dropped.count(user_id)
        return False

    def _parsed(self, one: Written) -> Update | None:
        try:
            return Update.de_json(dict(one), self._bot)
        except Exception as error:  # noqa: BLE001 - whatever the library makes of foreign data
            # Never with its words or a traceback: they repeat what was typed, a secret perhaps.
            kind = next((kind for kind in KINDS if kind in one), "another kind")
            _log.error(
                "update %s (%s) cannot be read and is left out: %s",
                one["update_id"],
                kind,
                type(error).__name__,
            )
            return None


def _sender(one: Written) -> tuple[int, bool]:
    """Return who sent an update, 0 for nobody, and whether in their private chat with the bot."""
    for kind in KINDS:
        body = one.get(kind)
        if isinstance(body, Mapping):
            user, place = body.get("from"), body
            if kind == Update.CALLBACK_QUERY:
                place = _mapping(body.get("message"))
            chat = _mapping(place.get("chat"))
            user = _mapping(user)
            user_id = user.get("id")
            if type(user_id) is not int or user.get("is_bot") is True:
                return 0, False
            return user_id, chat.get("type") == _PRIVATE and chat.get("id") == user_id
    return 0, False


def _mapping(value: object) -> Written:
    return value if isinstance(value, Mapping) else {}


class _Tally:
    """Says what was dropped: at once, then one line a minute, however much it is.

    Args:
        clock: For the minute.
        line: What is said, with a place for how much it was and whose.
        write: Takes a line.
    """

    def __init__(self, clock: Clock, line: str, write: Callable[[str], None]) -> None:
        self._clock = clock
        self._line = line
        self._write = write
        self._count = 0
        self._users: dict[int, None] = {}
        self._said_at: float | None = None

    def count(self, *user_ids: int, updates: int = 1) -> None:
        """Count updates, and some who sent them."""
        self._count += updates
        for user_id in user_ids:
            if len(self._users) <= _NAMED:
                self._users[user_id] = None

    def say(self) -> None:
        """Write the line, when it is time."""
        now = self._clock.monotonic()
        if not self._count or (self._said_at is not None and now - self._said_at < _A_LINE_S):
            return
        users = [str(one) for one in self._users]
        more = ", …" if len(users) > _NAMED else ""
        heard = f"{self._count} ({', '.join(users[:_NAMED])}{more})"
        self._write(self._line.replace("HEARD", heard))
        self._count, self._said_at = 0, now
        self._users.clear()
