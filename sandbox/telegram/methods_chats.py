"""Methods about chats, their members and what is pinned in them."""

from sandbox.telegram.call import Call
from sandbox.telegram.errors import bad_request
from sandbox.telegram.model import Bot, Conversation, Json, Message
from sandbox.telegram.serializers import message_object, update_kind

__all__ = ["METHODS"]

_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_send_welcome_messages",
)
_CHANNEL_RIGHTS = ("can_post_messages", "can_edit_messages", "can_manage_direct_messages")
_GROUP_RIGHTS = ("can_pin_messages",)


def pin_chat_message(call: Call) -> bool:
    """Pin a message; a service message says so in the chat."""
    conversation = call.open_chat()
    message = call.message(conversation, "pin")
    if message.is_service:
        raise bad_request("message can't be pinned")
    if message.is_pinned:
        return True
    message.is_pinned = True
    call.sim.save_message(message)
    service = Message(
        conversation.key,
        call.sim.next_message_id(conversation),
        int(call.sim.now()),
        {"pinned_id": message.id},
        bot_id=call.bot.id,
    )
    call.sim.save_message(service)
    for bot in call.sim.bots_in(conversation):
        body = message_object(call.sim, service)
        call.sim.queue(bot).put(update_kind(conversation), conversation.key, body)
    return True


def unpin_chat_message(call: Call) -> bool:
    """Unpin a message, or the one pinned last."""
    conversation = call.open_chat()
    pinned = call.sim.pinned(conversation)
    wanted = call.parameters.integer("message_id")
    message = next((m for m in pinned if wanted in {0, m.id}), None)
    if message is None:
        raise bad_request("message to unpin not found")
    message.is_pinned = False
    call.sim.save_message(message)
    return True


def unpin_all_chat_messages(call: Call) -> bool:
    """Unpin everything."""
    conversation = call.open_chat()
    for message in call.sim.pinned(conversation):
        message.is_pinned = False
        call.sim.save_message(message)
    return True


def get_chat(call: Call) -> Json:
    """Give the full description of a chat."""
    conversation = call.chat()
    full: Json = {
        **conversation.chat,
        "accent_color_id": abs(conversation.id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": False,
            "limited_gifts": False,
            "unique_gifts": False,
            "premium_subscription": False,
            "gifts_from_channels": False,
        },
    }
    if username := conversation.chat.get("username"):
        full["active_usernames"] = [username]
    pinned = call.sim.pinned(conversation)
    if pinned:
        full["pinned_message"] = message_object(call.sim, pinned[0], depth=0)
    return full


def _administrator(conversation: Conversation, bot: Bot) -> Json:
    is_channel = conversation.chat["type"] == "channel"
    rights = _RIGHTS + (_CHANNEL_RIGHTS if is_channel else _GROUP_RIGHTS)
    return {
        "status": "administrator",
        "user": bot.as_user(),
        "can_be_edited": False,
        "is_anonymous": False,
        **dict.fromkeys(rights, True),
    }


def get_chat_member(call: Call) -> Json:
    """Return a user's membership in a chat."""
    conversation = call.chat()
    user_id = call.parameters.integer("user_id")
    for bot in call.sim.bots_in(conversation):
        if bot.id == user_id:
            is_private = conversation.is_private
            member: Json = {"status": "member", "user": bot.as_user()}
            return member if is_private else _administrator(conversation, bot)
    if user_id not in call.sim.users:
        raise bad_request("user not found" if user_id > 0 else "invalid user_id specified")
    user = call.sim.user(user_id).as_user()
    return {"status": "member" if user_id in conversation.members else "left", "user": user}


def get_chat_administrators(call: Call) -> list[Json]:
    """List the administrators, which are the bots."""
    conversation = call.chat()
    if conversation.is_private:
        raise bad_request("there are no administrators in the private chat")
    return [_administrator(conversation, bot) for bot in call.sim.bots_in(conversation)]


def get_chat_member_count(call: Call) -> int:
    """Count the users and bots of a chat."""
    conversation = call.chat()
    return len(conversation.members) + len(call.sim.bots_in(conversation))


METHODS = {
    "pinChatMessage": pin_chat_message,
    "unpinChatMessage": unpin_chat_message,
    "unpinAllChatMessages": unpin_all_chat_messages,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "getChatAdministrators": get_chat_administrators,
    "getChatMemberCount": get_chat_member_count,
}
