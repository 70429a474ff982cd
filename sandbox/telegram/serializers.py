"""The Bot API's objects, drawn from the records on each use.

`reply_to_message` and `pinned_message` are drawn afresh too, so that nothing of a message outlives
its deletion.
"""

from sandbox.telegram.model import Bot, Callback, Conversation, Json, Message
from sandbox.telegram.simulator import Simulator

__all__ = ["bot_profile", "callback_object", "message_object", "update_kind"]

_CONTENT_KEYS = (
    "text",
    "entities",
    "link_preview_options",
    "photo",
    "document",
    "has_media_spoiler",
    "caption",
    "caption_entities",
    "show_caption_above_media",
)


def message_object(sim: Simulator, message: Message, depth: int = 1) -> Json:
    """Give the Message object; `depth` levels of replied or pinned messages are drawn inside."""
    conversation = sim.conversations[message.conversation]
    body: Json = {"message_id": message.id}
    body.update(_sender(sim, conversation, message))
    body["date"] = message.date
    body["chat"] = conversation.chat
    if message.thread_id is not None:
        body["message_thread_id"] = message.thread_id
        body["is_topic_message"] = True
    if message.forward_origin is not None:
        body["forward_origin"] = message.forward_origin
    if message.edited_at is not None:
        body["edit_date"] = message.edited_at
    if message.album is not None:
        body["media_group_id"] = message.album
    if message.is_protected:
        body["has_protected_content"] = True
    body.update({key: message.content[key] for key in _CONTENT_KEYS if key in message.content})
    if depth > 0:
        body.update(_related(sim, conversation, message, depth - 1))
    if message.inline is not None:
        body["reply_markup"] = message.inline
    return body


def _sender(sim: Simulator, conversation: Conversation, message: Message) -> Json:
    if conversation.chat["type"] == "channel":
        return {"sender_chat": conversation.chat}
    if message.user_id is not None:
        return {"from": sim.user(message.user_id).as_user()}
    bot = next((bot for bot in sim.bots.values() if bot.id == message.bot_id), None)
    return {"from": bot.as_user()} if bot else {}


def _related(sim: Simulator, conversation: Conversation, message: Message, depth: int) -> Json:
    related: Json = {}
    if message.reply_to is not None:
        replied = sim.message(conversation, message.reply_to)
        if replied is not None:
            related["reply_to_message"] = message_object(sim, replied, depth)
    if message.is_service:
        pinned_id = message.content["pinned_id"]
        related["pinned_message"] = _maybe_inaccessible(sim, conversation, pinned_id, depth)
    return related


def _maybe_inaccessible(
    sim: Simulator, conversation: Conversation, message_id: int, depth: int
) -> Json:
    message = sim.message(conversation, message_id)
    if message is None:
        return {"chat": conversation.chat, "message_id": message_id, "date": 0}
    return message_object(sim, message, depth)


def callback_object(sim: Simulator, callback: Callback) -> Json:
    """Give the CallbackQuery object; the message of a tap may be gone by now."""
    conversation = sim.conversations[callback.conversation]
    return {
        "id": callback.id,
        "from": sim.user(callback.user_id).as_user(),
        "message": _maybe_inaccessible(sim, conversation, callback.message_id, 1),
        "chat_instance": str(abs(conversation.id) * 7919 + 104729),
        "data": callback.data,
    }


def update_kind(conversation: Conversation, *, is_edit: bool = False) -> str:
    """Name the kind of update that a message makes."""
    noun = "channel_post" if conversation.chat["type"] == "channel" else "message"
    return f"edited_{noun}" if is_edit else noun


def bot_profile(bot: Bot) -> Json:
    """Give what getMe answers: the User object with the abilities of a bot."""
    return {
        **bot.as_user(),
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }
