"""Actions of a user in a chat: send a message, tap a button, block the bot."""

import secrets
from collections.abc import Sequence
from typing import Any

from sandbox.telegram.media import (
    MAX_ALBUM,
    PICTURES,
    caption_of,
    document_of,
    photo_of,
    store,
)
from sandbox.telegram.methods_profile import commands_for
from sandbox.telegram.model import Bot, Callback, ChatUser, Conversation, Json, Message
from sandbox.telegram.parameters import Parameters, Upload
from sandbox.telegram.serializers import callback_object, message_object, update_kind
from sandbox.telegram.simulator import Simulator
from sandbox.telegram.text import format_text

__all__ = [
    "ActionRefused",
    "find_bot",
    "find_conversation",
    "send_files",
    "send_form",
    "send_text",
    "set_blocked",
    "tap",
]


class ActionRefused(Exception):
    """An impossible action; `status` and the text are the control API's answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def find_bot(sim: Simulator, bot_id: int | None) -> Bot:
    """Give the bot of an id; without one the first that ever called.

    Raises:
        ActionRefused: There is none.
    """
    for bot in sim.bots.values():
        if bot_id == bot.id or (bot_id is None and bot.host is None):
            return bot
    raise ActionRefused(
        404 if bot_id else 409,
        f"no bot {bot_id} has called yet" if bot_id else "no bot has called the Bot API yet",
    )


def find_conversation(sim: Simulator, chat_id: int, bot_id: int | None) -> Conversation:
    """Find a chat that exists; a private one is that with the named or the first bot.

    Raises:
        ActionRefused: There is no such chat.
    """
    for conversation in sim.conversations.values():
        if conversation.bot_token is None and conversation.id == chat_id:
            return conversation
    bots = [find_bot(sim, bot_id)] if bot_id else list(sim.bots.values())
    for bot in bots:
        found = sim.conversations.get(sim.private_key(bot, chat_id))
        if found is not None:
            return found
    raise ActionRefused(404, f"there is no chat {chat_id}")


def send_text(
    sim: Simulator,
    *,
    chat_id: int,
    user_id: int,
    text: str,
    reply_to: int | None = None,
    bot_id: int | None = None,
    name: str | None = None,
) -> Message:
    """Write a message as a user and hand it to the bots of the chat.

    Raises:
        ActionRefused: The chat, the bot or the replied message is not there.
        BotApiError: The text is empty or too long.
    """
    user = sim.user(user_id, name)
    conversation = _entered(sim, chat_id, user, bot_id)
    formatted = format_text(text, None)
    content: Json = {"text": formatted.text}
    if formatted.entities:
        content["entities"] = formatted.entities
    return _written(sim, conversation, user, content, reply_to)


def send_files(
    sim: Simulator,
    uploads: Sequence[Upload],
    *,
    chat_id: int,
    user_id: int,
    caption: str = "",
    as_documents: bool = False,
    reply_to: int | None = None,
    bot_id: int | None = None,
) -> list[Message]:
    """Send files as a user: pictures as photos unless asked otherwise, several as albums.

    Raises:
        ActionRefused: The chat, the bot or the replied message is not there, or there is no file.
        BotApiError: A file or the caption cannot be taken.
    """
    if not 1 <= len(uploads) <= MAX_ALBUM:
        raise ActionRefused(400, f"send 1 to {MAX_ALBUM} files, found {len(uploads)}")
    user = sim.user(user_id)
    conversation = _entered(sim, chat_id, user, bot_id)
    owner = sim.bots[conversation.bot_token].id if conversation.bot_token else None
    said = caption_of(caption, None, None)
    contents: list[Json] = []
    for upload in uploads:
        kind = "photo" if upload.mime in PICTURES and not as_documents else "document"
        file = store(sim.storage, upload, kind, owner)
        contents.append(photo_of(file) if kind == "photo" else document_of(file))
    contents[0] |= said
    kinds = [next(iter(content)) for content in contents]
    albums = {kind: str(secrets.randbits(60)) for kind in kinds if kinds.count(kind) > 1}
    return [
        _written(sim, conversation, user, content, reply_to, albums.get(kind))
        for kind, content in zip(kinds, contents, strict=True)
    ]


def send_form(sim: Simulator, form: Parameters) -> list[Message]:
    """Send what a form of files holds: `user_id`, `chat_id`, `bot_id`, `caption`, and the files.

    Raises:
        ActionRefused, BotApiError: As `send_files`.
    """
    user_id = form.integer("user_id")
    if not user_id:
        raise ActionRefused(400, "user_id must be a whole number")
    return send_files(
        sim,
        list(form.uploads.values()),
        chat_id=form.integer("chat_id") or user_id,
        user_id=user_id,
        caption=form.text("caption") or "",
        as_documents=form.flag("as_documents"),
        reply_to=form.integer("reply_to") or None,
        bot_id=form.integer("bot_id") or None,
    )


def _entered(sim: Simulator, chat_id: int, user: ChatUser, bot_id: int | None) -> Conversation:
    """Find or open the chat in which a user writes."""
    if chat_id > 0:
        if chat_id != user.id:
            raise ActionRefused(400, "a private chat has the id of its user")
        conversation = sim.open_private(find_bot(sim, bot_id), user)
    else:
        conversation = find_conversation(sim, chat_id, bot_id)
    if conversation.is_blocked and conversation.is_private:
        set_blocked(sim, conversation, is_blocked=False)
    return conversation


def _written(
    sim: Simulator,
    conversation: Conversation,
    user: ChatUser,
    content: Json,
    reply_to: int | None,
    album: str | None = None,
) -> Message:
    """Put a user's message into a chat and hand it to the bots there."""
    if reply_to is not None and sim.message(conversation, reply_to) is None:
        raise ActionRefused(404, f"there is no message {reply_to} to reply to")
    _join(sim, conversation, user.id)
    message = Message(
        conversation.key,
        sim.next_message_id(conversation),
        int(sim.now()),
        content,
        user_id=user.id,
        reply_to=reply_to,
        album=album,
    )
    sim.save_message(message)
    for bot in _addressed(sim, conversation, message):
        body = message_object(sim, message)
        sim.queue(bot).put(update_kind(conversation), conversation.key, body)
    return message


def _addressed(sim: Simulator, conversation: Conversation, message: Message) -> list[Bot]:
    """List the bots that a message is for: a guest reads along, and has its commands alone."""
    bots = sim.bots_in(conversation)
    text = str(message.content.get("text", ""))
    command = text.split(maxsplit=1)[0].removeprefix("/") if text.startswith("/") else None
    replied = sim.message(conversation, message.reply_to)
    for guest in (bot for bot in bots if bot.host is not None):
        names = [one["command"] for one in commands_for(guest, conversation, conversation.id)]
        if command in names or (replied is not None and replied.bot_id == guest.id):
            return [guest]
    return bots


def _join(sim: Simulator, conversation: Conversation, user_id: int) -> None:
    if user_id not in conversation.members:
        conversation.members.append(user_id)
        sim.save_conversation(conversation)


def tap(
    sim: Simulator,
    conversation: Conversation,
    *,
    user_id: int,
    message_id: int,
    text: str | None = None,
    data: str | None = None,
    is_forged: bool = False,
) -> Callback:
    """Tap a callback button of a message's current keyboard.

    Args:
        sim: The simulator.
        conversation: Where the message is.
        user_id: Who taps.
        message_id: The message with the keyboard.
        text: The button by its visible text.
        data: The button by its callback data.
        is_forged: Send `data` even if no button has it, as a changed or stale client can.

    Raises:
        ActionRefused: No such message or button, or one that makes no callback.
    """
    message = sim.messages.get(conversation.key, {}).get(message_id)
    if message is None or (message.is_deleted and not is_forged):
        raise ActionRefused(404, f"there is no message {message_id} in chat {conversation.id}")
    if is_forged and data is not None:
        return _call_back(sim, conversation, message, user_id, data)
    button = _button(message, text, data)
    if "callback_data" not in button:
        raise ActionRefused(400, _hint(button))
    return _call_back(sim, conversation, message, user_id, button["callback_data"])


def _button(message: Message, text: str | None, data: str | None) -> Json:
    if text is None and data is None:
        raise ActionRefused(400, "name the button by text or data")
    rows: list[list[Json]] = (message.inline or {}).get("inline_keyboard", [])
    buttons = [button for row in rows for button in row]
    for button in buttons:
        is_data = data is not None and button.get("callback_data") == data
        if is_data or (data is None and button["text"] == text):
            return button
    there = ", ".join(repr(button["text"]) for button in buttons) or "none"
    wanted = repr(data if data is not None else text)
    raise ActionRefused(404, f"message {message.id} has no button {wanted}; its buttons: {there}")


def _hint(button: Json) -> str:
    if "url" in button:
        return f"this button opens a link, open it yourself: {button['url']}"
    if "copy_text" in button:
        return f"this button copies a text: {button['copy_text']['text']}"
    if "disabled" in button:
        return "this button is disabled"
    return "this button makes no callback"


def _call_back(
    sim: Simulator, conversation: Conversation, message: Message, user_id: int, data: str
) -> Callback:
    owner = next((b for b in sim.bots_in(conversation) if b.id == message.bot_id), None)
    if owner is None:
        raise ActionRefused(400, "the message is not a bot's")
    callback = Callback(
        id=str(secrets.randbits(62) + 1),
        bot_token=owner.token,
        conversation=conversation.key,
        message_id=message.id,
        user_id=sim.user(user_id).id,
        data=data,
        created_at=sim.now(),
    )
    sim.save_callback(callback)
    lane = f"{conversation.key}/{user_id}"
    sim.queue(owner).put("callback_query", lane, callback_object(sim, callback))
    return callback


def set_blocked(sim: Simulator, conversation: Conversation, *, is_blocked: bool) -> None:
    """Let the user of a private chat block or unblock the bot, which is notified."""
    if conversation.is_blocked == is_blocked:
        return
    conversation.is_blocked = is_blocked
    sim.save_conversation(conversation)
    user = sim.user(conversation.id).as_user()
    for bot in sim.bots_in(conversation):
        free: dict[str, Any] = {"user": bot.as_user(), "status": "member"}
        kicked = {"user": bot.as_user(), "status": "kicked", "until_date": 0}
        body: Json = {
            "chat": conversation.chat,
            "from": user,
            "date": int(sim.now()),
            "old_chat_member": free if is_blocked else kicked,
            "new_chat_member": kicked if is_blocked else free,
        }
        sim.queue(bot).put("my_chat_member", conversation.key, body)
