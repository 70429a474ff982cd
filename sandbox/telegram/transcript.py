"""A conversation as a user sees it now: for the control API and for the chat page."""

from sandbox.telegram.methods_profile import commands_for, menu_button_for
from sandbox.telegram.model import Bot, Conversation, Json, Message
from sandbox.telegram.simulator import Simulator

__all__ = ["bot_view", "message_view", "snapshot", "transcript"]


def message_view(sim: Simulator, message: Message) -> Json:
    """Show one message; of a deleted one only that it was there."""
    content = message.content
    view: Json = {
        "id": message.id,
        "from": "user" if message.user_id is not None else "bot",
        "user_id": message.user_id,
        "name": _name(sim, message),
        "date": message.date,
        "market_at": message.market_at,
        "guest": _is_guest(sim, message),
        "text": content.get("text", content.get("caption", "")),
        "entities": content.get("entities", content.get("caption_entities", [])),
        "keyboard": _keyboard(message),
        "photo": _photo(content),
        "document": content.get("document"),
        "album": message.album,
        "spoiler": content.get("has_media_spoiler", False),
        "caption_above": content.get("show_caption_above_media", False),
        "edited": message.edited_at is not None,
        "pinned": message.is_pinned,
        "deleted": message.is_deleted,
        "protected": message.is_protected,
        "reply_to": message.reply_to,
        "prompt": message.prompt,
        "forwarded_from": _forwarded_from(message.forward_origin),
    }
    if message.is_service:
        view["service"] = {"type": "pinned_message", "message_id": content["pinned_id"]}
    return view


def _name(sim: Simulator, message: Message) -> str:
    if message.user_id is not None:
        return sim.user(message.user_id).first_name
    bot = next((bot for bot in sim.bots.values() if bot.id == message.bot_id), None)
    return bot.first_name if bot else ""


def _is_guest(sim: Simulator, message: Message) -> bool:
    return any(bot.id == message.bot_id and bot.host is not None for bot in sim.bots.values())


def _keyboard(message: Message) -> list[list[Json]]:
    rows: list[list[Json]] = (message.inline or {}).get("inline_keyboard", [])
    return [[_button(button) for button in row] for row in rows]


def _button(button: Json) -> Json:
    view: Json = {"text": button["text"]}
    if "callback_data" in button:
        view["data"] = button["callback_data"]
    if "copy_text" in button:
        view["copy_text"] = button["copy_text"]["text"]
    if "disabled" in button:
        view["disabled"] = True
    view.update({key: button[key] for key in ("url", "style") if key in button})
    return view


def _photo(content: Json) -> Json | None:
    return content["photo"][-1] if content.get("photo") else None


def _forwarded_from(origin: Json | None) -> str | None:
    if origin is None:
        return None
    if "sender_user" in origin:
        return str(origin["sender_user"]["first_name"])
    return str(origin.get("chat", {}).get("title", ""))


def transcript(sim: Simulator, conversation: Conversation, after: int = 0) -> Json:
    """Show a conversation's messages after an id, and every toast."""
    messages = [message_view(sim, m) for m in sim.thread(conversation) if m.id > after]
    toasts = [
        callback.toast()
        for callback in sim.callbacks.values()
        if callback.conversation == conversation.key
    ]
    return {"chat": conversation.chat, "messages": messages, "toasts": toasts}


def bot_view(sim: Simulator, bot: Bot, conversation: Conversation | None, user_id: int) -> Json:
    """Show a bot with the menu that this user has, and the commands of its guests."""
    menus = [commands_for(one, conversation, user_id) for one in (bot, *sim.guests(bot.token))]
    return {
        "id": bot.id,
        "name": bot.first_name,
        "username": bot.username,
        "description": bot.descriptions.get("description", ""),
        "commands": [command for menu in menus for command in menu],
        "menu_button": menu_button_for(bot, str(conversation.id if conversation else user_id)),
    }


def snapshot(sim: Simulator, bot: Bot, conversation: Conversation | None, user_id: int) -> Json:
    """Show everything that a page needs to draw a conversation."""
    view = {"messages": [], "toasts": []} if conversation is None else transcript(sim, conversation)
    view["messages"] = [m for m in view["messages"] if not m["deleted"]]
    bots = [one for one in sim.bots.values() if one.host is None]
    waiting = [t["callback_query_id"] for t in view["toasts"] if not t["answered"]]
    return {
        "bot": bot_view(sim, bot, conversation, user_id),
        "bots": [{"id": b.id, "name": b.first_name, "username": b.username} for b in bots],
        "market": sim.market_view(),
        "user": sim.user(user_id).as_user(),
        "chat": conversation.chat if conversation else None,
        "messages": view["messages"],
        "pinned": [m.id for m in sim.pinned(conversation)] if conversation else [],
        "waiting": waiting,
    }
