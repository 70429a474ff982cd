"""The chat service: users, bots, conversations and messages, and who is notified of a change.

`Simulator` holds every record and is the only writer of the storage. Methods of the Bot API act
through it, and so do users (`sandbox.telegram.user_actions`). Each change is pushed to the watchers
of the conversation, which are the open chat pages.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.clock import MarketClock
from sandbox.telegram.errors import bad_request
from sandbox.telegram.model import (
    Bot,
    Callback,
    ChatUser,
    Conversation,
    Json,
    Message,
    PendingUpdate,
)
from sandbox.telegram.queues import UpdateQueue
from sandbox.telegram.storage import Storage
from sandbox.telegram.tokens import bot_id_of

__all__ = ["ANSWER_DEADLINE_S", "Simulator"]

ANSWER_DEADLINE_S = 60.0
_BOT_NAME = "Saarthi"
_NAMES = {1001: "Asha"}
"""Who the chat page is by default; anybody else is named by their first message."""


class Simulator:
    """All conversations of the simulated service.

    Args:
        state_dir: Where the records survive a restart; None keeps them in memory.
        now: Real time in seconds, a parameter so that tests can let messages grow old.
        clock: Market time, which the page shows; None where it is real time.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        now: Callable[[], float] = time.time,
        *,
        clock: MarketClock | None = None,
    ) -> None:
        self.now = now
        self.clock = clock
        self.note = ""
        self.visitors = 0
        self.storage = Storage(state_dir)
        self.closing = asyncio.Event()
        self._update_floor = 1
        self._watchers: dict[str, set[asyncio.Queue[Json]]] = {}
        self._forget()
        self._load()

    def _forget(self) -> None:
        self.bots: dict[str, Bot] = {}
        self.users: dict[int, ChatUser] = {}
        self.conversations: dict[str, Conversation] = {}
        self.messages: dict[str, dict[int, Message]] = {}
        self.callbacks: dict[str, Callback] = {}
        self.queues: dict[str, UpdateQueue] = {}

    def _load(self) -> None:
        for _, body in self.storage.load("bot"):
            self._add_bot(Bot(**body))
        for _, body in self.storage.load("user"):
            self.users[body["id"]] = ChatUser(**body)
        for _, body in self.storage.load("conversation"):
            self.conversations[body["key"]] = Conversation(**body)
        for _, body in self.storage.load("message"):
            message = Message(**body)
            self.messages.setdefault(message.conversation, {})[message.id] = message
        self.messages = {key: dict(sorted(thread.items())) for key, thread in self.messages.items()}
        for _, body in self.storage.load("callback"):
            self.callbacks[body["id"]] = Callback(**body)
        self._load_updates()

    def _load_updates(self) -> None:
        stored: dict[str, list[PendingUpdate]] = defaultdict(list)
        for key, body in self.storage.load("update"):
            stored[key.rpartition("/")[0]].append(PendingUpdate(**body))
        for token, updates in stored.items():
            if token in self.queues:
                self.queues[token].restore(updates)

    def reset(self) -> None:
        """Forget every bot, chat, message, update and file.

        Update ids go on: a bot that remembers which it has seen must not drop the new ones.
        """
        self._update_floor = max([1, *(bot.next_update_id for bot in self.bots.values())])
        for queue in self.queues.values():
            queue.close()
        self.storage.clear()
        keys = list(self._watchers)
        self._forget()
        for key in keys:
            self.publish(key, {"type": "reset"})

    def close(self) -> None:
        """End long polls and page streams: the server stops."""
        self.closing.set()
        for queue in self.queues.values():
            queue.close()
        for key in list(self._watchers):
            self.publish(key, {"type": "closing"})

    # --- bots and users --------------------------------------------------------------------

    def bot(self, token: str) -> Bot:
        """Give the bot of a token, which comes into being with its first request.

        Raises:
            BotApiError: 401, when no token can look like this.
        """
        if token not in self.bots:
            bot_id = bot_id_of(token)
            bot = Bot(token, bot_id, _BOT_NAME, f"saarthi_{bot_id}_bot")
            bot.next_update_id = max(int(self.now()), self._update_floor)
            self._add_bot(bot)
            self.storage.save("bot", token, bot)
            self.publish("bots", {"type": "bot", "id": bot_id})
        return self.bots[token]

    def _add_bot(self, bot: Bot) -> None:
        self.bots[bot.token] = bot
        self.queues[bot.token] = UpdateQueue(bot, self.storage, self.now)

    def save_bot(self, bot: Bot) -> None:
        """Store a changed bot and notify the pages: its name, commands or menu may differ."""
        self.storage.save("bot", bot.token, bot)
        private = self.private_key(bot, 0).removesuffix("0")
        for key in list(self._watchers):
            if key.startswith((private, "chat:")):
                self.publish(key, {"type": "bot"})

    def user(self, user_id: int, first_name: str | None = None) -> ChatUser:
        """Return a user, created when first named."""
        user = self.users.get(user_id)
        if user is None:
            user = ChatUser(
                user_id, first_name or _NAMES.get(user_id, f"User {user_id}"), f"user{user_id}"
            )
            self.users[user_id] = user
            self.storage.save("user", str(user_id), user)
        elif first_name and user.first_name != first_name:
            user.first_name = first_name
            self.storage.save("user", str(user_id), user)
        return user

    # --- conversations ---------------------------------------------------------------------

    def private_key(self, bot: Bot, user_id: int) -> str:
        """Return the key of a user's conversation with a bot, or with the host of a guest."""
        host = self.bots[bot.host] if bot.host else bot
        return f"{host.id}:{host.token[-6:]}:{user_id}"

    def conversation(self, bot: Bot, chat_id: int | str) -> Conversation | None:
        """Find a chat as a bot sees it, by id or @username."""
        for conversation in self.conversations.values():
            if conversation.bot_token not in {None, bot.token, bot.host}:
                continue
            username = conversation.chat.get("username")
            if chat_id == conversation.id or (username and chat_id == f"@{username}"):
                return conversation
        return None

    def open_private(self, bot: Bot, user: ChatUser) -> Conversation:
        """Give a user's chat with a bot, made when it is the first time."""
        key = self.private_key(bot, user.id)
        if key not in self.conversations:
            chat: Json = {"id": user.id, "type": "private", "first_name": user.first_name}
            if user.username:
                chat["username"] = user.username
            self.save_conversation(Conversation(key, chat, bot.token, members=[user.id]))
        elif self.conversations[key].chat["first_name"] != user.first_name:
            self.conversations[key].chat["first_name"] = user.first_name
            self.save_conversation(self.conversations[key])
        return self.conversations[key]

    def save_conversation(self, conversation: Conversation) -> None:
        """Keep a new or changed conversation."""
        self.conversations[conversation.key] = conversation
        self.storage.save("conversation", conversation.key, conversation)

    def bots_in(self, conversation: Conversation) -> list[Bot]:
        """List the bots that see a conversation."""
        if conversation.bot_token is not None:
            return [self.bots[conversation.bot_token], *self.guests(conversation.bot_token)]
        return list(self.bots.values())

    def guests(self, host: str) -> list[Bot]:
        """List the bots that share the private chats of another."""
        return [bot for bot in self.bots.values() if bot.host == host]

    # --- messages --------------------------------------------------------------------------

    def next_message_id(self, conversation: Conversation) -> int:
        """Count on: over all of a bot's private chats, or within a group."""
        if conversation.bot_token is not None:
            bot = self.bots[conversation.bot_token]
            bot.last_message_id += 1
            self.storage.save("bot", bot.token, bot)
            return bot.last_message_id
        conversation.last_message_id += 1
        self.save_conversation(conversation)
        return conversation.last_message_id

    def thread(self, conversation: Conversation) -> Iterable[Message]:
        """List a conversation's messages from the oldest, deleted ones included."""
        return list(self.messages.get(conversation.key, {}).values())

    def message(self, conversation: Conversation, message_id: int | None) -> Message | None:
        """Find a message that is still there."""
        found = self.messages.get(conversation.key, {}).get(message_id or 0)
        return None if found is None or found.is_deleted else found

    def save_message(self, message: Message) -> None:
        """Keep a new or changed message and show it on the pages."""
        if message.market_at is None and self.clock is not None:
            message.market_at = self.clock.now().timestamp()
        self.messages.setdefault(message.conversation, {})[message.id] = message
        self.storage.save("message", f"{message.conversation}/{message.id:012d}", message)
        self.publish(message.conversation, {"type": "message", "id": message.id})

    def delete_message(self, message: Message) -> None:
        """Blank a message: a secret that was deleted must not be readable anywhere."""
        message.content, message.inline, message.prompt = {}, None, None
        message.forward_origin, message.is_pinned, message.is_deleted = None, False, True
        self.save_message(message)

    def pinned(self, conversation: Conversation) -> list[Message]:
        """List the pinned messages, the newest first."""
        return [m for m in reversed(list(self.thread(conversation))) if m.is_pinned]

    # --- taps --------------------------------------------------------------------------------

    def save_callback(self, callback: Callback) -> None:
        """Store a tap and notify the pages of its state."""
        self.callbacks[callback.id] = callback
        self.storage.save("callback", callback.id, callback)
        self.publish(callback.conversation, {"type": "toast", "toast": callback.toast()})

    def answerable(self, bot: Bot, callback_id: str) -> Callback:
        """Find a tap that still takes an answer.

        Raises:
            BotApiError: It is unknown, answered or too old.
        """
        callback = self.callbacks.get(callback_id)
        if (
            callback is None
            or callback.is_answered
            or callback.bot_token != bot.token
            or self.now() - callback.created_at > ANSWER_DEADLINE_S
        ):
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        return callback

    # --- updates and watchers ------------------------------------------------------------------

    def queue(self, bot: Bot) -> UpdateQueue:
        """Give a bot's update queue."""
        return self.queues[bot.token]

    def market_view(self) -> Json | None:
        """Show market time as a page can go on with it; None where it is real time."""
        if self.clock is None:
            return None
        now, speed = self.clock.now().timestamp(), self.clock.speed
        return {"now": now, "speed": speed, "stands_s": self.clock.stands_s, "note": self.note}

    def publish_market(self, note: str | None = None) -> None:
        """Tell every page that market time was stepped, or a new note for its banner."""
        self.note = self.note if note is None else note
        for key in list(self._watchers):
            self.publish(key, {"type": "market", "market": self.market_view()})

    def publish(self, key: str, event: Json) -> None:
        """Notify the watchers of a conversation."""
        for watcher in self._watchers.get(key, ()):
            watcher.put_nowait(event)

    @contextmanager
    def watch(self, key: str) -> Iterator[asyncio.Queue[Json]]:
        """Receive what happens in a conversation, for as long as the context lasts."""
        watcher: asyncio.Queue[Json] = asyncio.Queue()
        self._watchers.setdefault(key, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[key].discard(watcher)
