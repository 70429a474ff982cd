"""The records of the simulated service: bots, users, conversations, messages, taps."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Bot", "Callback", "ChatUser", "Conversation", "Json", "Message", "PendingUpdate"]

Json = dict[str, Any]


@dataclass
class ChatUser:
    """A user of the chat service."""

    id: int
    first_name: str
    username: str | None = None

    def as_user(self) -> Json:
        """Give the Bot API's User object."""
        user: Json = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        if self.username:
            user["username"] = self.username
        return {**user, "language_code": "en"}


@dataclass
class Bot:
    """One bot for each token; the token is the key, the number before the colon its user id."""

    token: str
    id: int
    first_name: str
    username: str
    last_message_id: int = 0
    next_update_id: int = 1
    first_update_id: int = 0
    """Updates before it are confirmed."""
    commands: dict[str, list[Json]] = field(default_factory=dict)
    menu_buttons: dict[str, Json] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    allowed_updates: list[str] | None = None
    webhook: Json | None = None
    host: str | None = None
    """The token of the bot whose private chats this one shares (`POST /telegram/guests`)."""

    def as_user(self) -> Json:
        """Give the Bot API's User object."""
        return {
            "id": self.id,
            "is_bot": True,
            "first_name": self.first_name,
            "username": self.username,
        }


@dataclass
class Conversation:
    """A chat as its members see it. A private one belongs to one bot, a group to every bot."""

    key: str
    chat: Json
    bot_token: str | None = None
    is_blocked: bool = False
    is_deactivated: bool = False
    last_message_id: int = 0
    members: list[int] = field(default_factory=list)

    @property
    def id(self) -> int:
        """Return the chat's id, which for a private chat is the user's."""
        return int(self.chat["id"])

    @property
    def is_private(self) -> bool:
        """Return whether this is a user's private chat with a bot."""
        return bool(self.chat["type"] == "private")


@dataclass
class Message:
    """A message as stored; the Bot API's object is drawn from it on each use."""

    conversation: str
    id: int
    date: int
    content: Json
    bot_id: int | None = None
    user_id: int | None = None
    inline: Json | None = None
    prompt: Json | None = None
    reply_to: int | None = None
    thread_id: int | None = None
    forward_origin: Json | None = None
    edited_at: int | None = None
    is_deleted: bool = False
    is_pinned: bool = False
    is_protected: bool = False
    album: str | None = None
    market_at: float | None = None
    """Market time when it came, seconds of the epoch; None where market time is real time."""

    @property
    def is_service(self) -> bool:
        """Return whether this is a service message, which has no author."""
        return "pinned_id" in self.content


@dataclass
class PendingUpdate:
    """An update in a bot's queue."""

    update_id: int
    kind: str
    lane: str
    created_at: float
    body: Json


@dataclass
class Callback:
    """A tap on a callback button; it takes one answer."""

    id: str
    bot_token: str
    conversation: str
    message_id: int
    user_id: int
    data: str
    created_at: float
    is_answered: bool = False
    text: str | None = None
    show_alert: bool = False
    url: str | None = None

    def toast(self) -> Json:
        """Return what the user is shown when the answer carries a text."""
        return {
            "callback_query_id": self.id,
            "message_id": self.message_id,
            "user_id": self.user_id,
            "data": self.data,
            "answered": self.is_answered,
            "text": self.text,
            "show_alert": self.show_alert,
            "url": self.url,
        }
