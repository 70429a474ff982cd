"""Methods about the bot itself: its name, descriptions, command menus and menu buttons."""

import re
from typing import Any

from sandbox.telegram.call import Call
from sandbox.telegram.errors import bad_request
from sandbox.telegram.model import Bot, Conversation, Json
from sandbox.telegram.serializers import bot_profile

__all__ = ["METHODS", "commands_for", "menu_button_for"]

_COMMAND = re.compile(r"^[a-z0-9_]{1,32}$")
_MAX_COMMANDS = 100
_MAX_COMMAND_DESCRIPTION = 256
_MAX_NAME = 64
_MAX_DESCRIPTION = 512
_MAX_SHORT_DESCRIPTION = 120
_SCOPES = frozenset(
    [
        "default",
        "all_private_chats",
        "all_group_chats",
        "all_chat_administrators",
        "chat",
        "chat_administrators",
        "chat_member",
    ]
)


def get_me(call: Call) -> Json:
    """Give the bot's own user."""
    return bot_profile(call.bot)


def _scope_key(call: Call) -> str:
    raw = call.parameters.structure("scope")
    scope: Json = raw if isinstance(raw, dict) else {}
    kind = str(scope.get("type", "default"))
    if kind not in _SCOPES:
        raise bad_request("unsupported type specified")
    parts = [kind]
    if kind.startswith("chat"):
        if not scope.get("chat_id"):
            raise bad_request("chat_id is empty")
        if call.sim.conversation(call.bot, _chat_id(scope["chat_id"])) is None:
            raise bad_request("chat not found")
        parts.append(str(scope["chat_id"]))
    if kind == "chat_member":
        parts.append(str(scope.get("user_id", "")))
    return ":".join(parts) + "|" + (call.parameters.text("language_code") or "")


def _chat_id(raw: Any) -> int | str:
    text = str(raw)
    return int(text) if text.lstrip("-").isdigit() else text


def set_my_commands(call: Call) -> bool:
    """Set the command menu of a scope."""
    raw = call.parameters.structure("commands")
    if not isinstance(raw, list):
        raise bad_request("expected an Array of BotCommand")
    if len(raw) > _MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    commands = [_command(item) for item in raw]
    key = _scope_key(call)
    call.bot.commands[key] = commands
    call.sim.save_bot(call.bot)
    return True


def _command(raw: Any) -> Json:
    if not isinstance(raw, dict):
        raise bad_request("expected an Object as BotCommand")
    name = str(raw.get("command", "")).strip().removeprefix("/").lower()
    description = str(raw.get("description", "")).strip()
    if not _COMMAND.match(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(description) <= _MAX_COMMAND_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}


def get_my_commands(call: Call) -> list[Json]:
    """Give the command menu of exactly one scope."""
    return call.bot.commands.get(_scope_key(call), [])


def delete_my_commands(call: Call) -> bool:
    """Remove the command menu of a scope; the next wider one shows through."""
    call.bot.commands.pop(_scope_key(call), None)
    call.sim.save_bot(call.bot)
    return True


def commands_for(bot: Bot, conversation: Conversation | None, user_id: int) -> list[Json]:
    """Return the menu that a user sees: that of the narrowest scope which has one."""
    chat_id = conversation.id if conversation else user_id
    is_private = conversation is None or conversation.is_private
    scopes = [f"chat_member:{chat_id}:{user_id}", f"chat:{chat_id}"]
    scopes += ["all_private_chats" if is_private else "all_group_chats", "default"]
    for scope in scopes:
        for language in ("en", ""):
            if commands := bot.commands.get(f"{scope}|{language}"):
                return commands
    return []


def set_chat_menu_button(call: Call) -> bool:
    """Set what the button beside the input does, for one private chat or for all."""
    raw = call.parameters.structure("menu_button")
    button: Json = raw if isinstance(raw, dict) else {"type": "default"}
    if button.get("type") not in {"default", "commands", "web_app"}:
        raise bad_request("unsupported type specified")
    key = str(call.chat().id) if call.parameters.text("chat_id") else ""
    call.bot.menu_buttons[key] = button
    call.sim.save_bot(call.bot)
    return True


def get_chat_menu_button(call: Call) -> Json:
    """Give the menu button of a private chat, or the default one."""
    return menu_button_for(call.bot, call.parameters.text("chat_id") or "")


def menu_button_for(bot: Bot, chat_id: str) -> Json:
    """Give the menu button that a chat shows."""
    for key in (chat_id, ""):
        button = bot.menu_buttons.get(key)
        if button is not None and button["type"] != "default":
            return button
    return {"type": "commands"} if bot.commands else {"type": "default"}


def set_my_name(call: Call) -> bool:
    """Rename the bot."""
    name = (call.parameters.text("name") or "").strip()
    if len(name) > _MAX_NAME:
        raise bad_request("BOT_TITLE_INVALID")
    if name:
        call.bot.first_name = name
        call.sim.save_bot(call.bot)
    return True


def get_my_name(call: Call) -> Json:
    """Give the bot's name."""
    return {"name": call.bot.first_name}


def _describe(call: Call, field: str, limit: int) -> bool:
    text = call.parameters.text(field) or ""
    if len(text) > limit:
        raise bad_request("BOT_DESCRIPTION_INVALID")
    call.bot.descriptions[field] = text
    call.sim.save_bot(call.bot)
    return True


def set_my_description(call: Call) -> bool:
    """Set what an empty chat shows."""
    return _describe(call, "description", _MAX_DESCRIPTION)


def get_my_description(call: Call) -> Json:
    """Give what an empty chat shows."""
    return {"description": call.bot.descriptions.get("description", "")}


def set_my_short_description(call: Call) -> bool:
    """Set what the profile shows."""
    return _describe(call, "short_description", _MAX_SHORT_DESCRIPTION)


def get_my_short_description(call: Call) -> Json:
    """Give what the profile shows."""
    return {"short_description": call.bot.descriptions.get("short_description", "")}


METHODS = {
    "getMe": get_me,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setChatMenuButton": set_chat_menu_button,
    "getChatMenuButton": get_chat_menu_button,
    "setMyName": set_my_name,
    "getMyName": get_my_name,
    "setMyDescription": set_my_description,
    "getMyDescription": get_my_description,
    "setMyShortDescription": set_my_short_description,
    "getMyShortDescription": get_my_short_description,
}
