"""Methods that write, change and remove messages, and that answer taps."""

import secrets
from typing import Any

from sandbox.telegram.call import Call
from sandbox.telegram.errors import BotApiError, bad_request
from sandbox.telegram.media import caption_of
from sandbox.telegram.model import Conversation, Json, Message
from sandbox.telegram.text import format_text
from sandbox.telegram.text.formatting import FormattedText

__all__ = ["METHODS", "apply_edit"]

_DELETABLE_S = 48 * 3600
_MAX_AT_ONCE = 100
_MAX_ANSWER = 200
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)
_ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)


def _text_of(call: Call) -> FormattedText:
    return format_text(
        call.parameters.text("text"),
        call.parameters.text("parse_mode"),
        call.entities_of("entities"),
    )


def _text_content(call: Call, formatted: FormattedText) -> Json:
    content: Json = {"text": formatted.text}
    if formatted.entities:
        content["entities"] = formatted.entities
    preview = call.parameters.structure("link_preview_options")
    if isinstance(preview, dict) and preview:
        content["link_preview_options"] = preview
    elif call.parameters.flag("disable_web_page_preview"):
        content["link_preview_options"] = {"is_disabled": True}
    return content


def send_message(call: Call) -> Json:
    """Send a text."""
    conversation = call.open_chat()
    content = _text_content(call, _text_of(call))
    return call.show(call.post(conversation, content))


def _editable(call: Call) -> Message:
    conversation = call.open_chat()
    message = call.message(conversation, "edit")
    if message.bot_id != call.bot.id or message.is_service or message.forward_origin:
        raise bad_request("message can't be edited")
    return message


def apply_edit(call: Call, message: Message, content: Json, inline: Json | None) -> Json:
    """Put new content and keyboard into a message; raises 400 when nothing would change."""
    is_same = message.content == content and message.inline == inline
    if is_same:
        raise bad_request(_NOT_MODIFIED)
    if message.content != content:
        message.edited_at = int(call.sim.now())
    message.content, message.inline = content, inline
    call.sim.save_message(message)
    return call.show(message)


def edit_message_text(call: Call) -> Json:
    """Change a text; without a keyboard in the call the message loses its keyboard."""
    message = _editable(call)
    if "text" not in message.content:
        raise bad_request("there is no text in the message to edit")
    content = _text_content(call, _text_of(call))
    return apply_edit(call, message, content, call.reply_markup().inline)


def edit_message_caption(call: Call) -> Json:
    """Change the caption of a photo or document."""
    message = _editable(call)
    if "text" in message.content:
        raise bad_request("there is no caption in the message to edit")
    given = (call.parameters.text("caption"), call.parameters.text("parse_mode"))
    caption = caption_of(*given, call.entities_of("caption_entities"))
    if caption and call.parameters.flag("show_caption_above_media") and "photo" in message.content:
        caption["show_caption_above_media"] = True
    content = {k: v for k, v in message.content.items() if "caption" not in k} | caption
    return apply_edit(call, message, content, call.reply_markup().inline)


def edit_message_reply_markup(call: Call) -> Json:
    """Change or remove only the keyboard."""
    message = _editable(call)
    return apply_edit(call, message, message.content, call.reply_markup().inline)


def _check_deletable(call: Call, conversation: Conversation, message: Message) -> None:
    kind = conversation.chat["type"]
    age_s = call.sim.now() - message.date
    if kind in {"private", "group"} and age_s > _DELETABLE_S:
        raise bad_request("message can't be deleted for everyone")


def delete_message(call: Call) -> bool:
    """Delete one message; in private chats also the user's own."""
    conversation = call.chat()
    message = call.message(conversation, "delete")
    _check_deletable(call, conversation, message)
    call.sim.delete_message(message)
    return True


def delete_messages(call: Call) -> bool:
    """Delete many messages, passing over those that are not there or too old."""
    conversation = call.chat()
    for message_id in _message_ids(call):
        message = call.sim.message(conversation, message_id)
        if message is None:
            continue
        try:
            _check_deletable(call, conversation, message)
        except BotApiError:
            continue
        call.sim.delete_message(message)
    return True


def _message_ids(call: Call) -> list[int]:
    raw = call.parameters.structure("message_ids")
    if not isinstance(raw, list) or not raw:
        raise bad_request("message identifiers are not specified")
    if len(raw) > _MAX_AT_ONCE:
        raise bad_request("too many message identifiers specified")
    return sorted({int(value) for value in raw})


def answer_callback_query(call: Call) -> bool:
    """Answer a tap, once and soon; the text becomes a toast or an alert."""
    callback = call.sim.answerable(call.bot, call.parameters.text("callback_query_id") or "")
    text = call.parameters.text("text")
    if text is not None and len(text) > _MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    callback.is_answered = True
    callback.text = text or None
    callback.show_alert = call.parameters.flag("show_alert")
    callback.url = call.parameters.text("url")
    call.sim.save_callback(callback)
    return True


def send_chat_action(call: Call) -> bool:
    """Show that the bot is typing (or the like), for five seconds or until its next message."""
    conversation = call.open_chat()
    action = call.parameters.text("action") or ""
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    call.sim.publish(conversation.key, {"type": "action", "action": action, "bot_id": call.bot.id})
    return True


def _copied(call: Call, purpose: str, message_id: int | None = None) -> Message:
    source = call.chat("from_chat_id")
    if message_id is None:
        message = call.message(source, purpose)
    else:
        found = call.sim.message(source, message_id)
        if found is None:
            raise bad_request(f"message to {purpose} not found")
        message = found
    if message.is_service or message.is_protected:
        raise bad_request(f"message can't be {'copied' if purpose == 'copy' else 'forwarded'}")
    return message


def _origin(call: Call, message: Message) -> Json:
    if message.forward_origin is not None:
        return message.forward_origin
    source = call.sim.conversations[message.conversation]
    if source.chat["type"] == "channel":
        return {
            "type": "channel",
            "date": message.date,
            "chat": source.chat,
            "message_id": message.id,
        }
    if message.user_id is not None:
        sender = call.sim.user(message.user_id).as_user()
    else:
        sender = next(b.as_user() for b in call.sim.bots.values() if b.id == message.bot_id)
    return {"type": "user", "date": message.date, "sender_user": sender}


def forward_message(call: Call) -> Json:
    """Forward a message; callback buttons stay behind."""
    target = call.open_chat()
    message = _copied(call, "forward")
    origin = _origin(call, message)
    return call.show(call.post(target, dict(message.content), forward_origin=origin))


def _albums(messages: list[Message]) -> dict[str, str]:
    """Give the new albums of messages that are sent again: those of which two or more are."""
    there = [message.album for message in messages if message.album is not None]
    return {one: str(secrets.randbits(60)) for one in there if there.count(one) > 1}


def forward_messages(call: Call) -> list[Json]:
    """Forward several messages; those of an album are one again."""
    target = call.open_chat()
    messages = [_copied(call, "forward", message_id) for message_id in _message_ids(call)]
    albums = _albums(messages)
    sent: list[Json] = []
    for message in messages:
        album = albums.get(message.album or "")
        origin = _origin(call, message)
        copy = call.post(target, dict(message.content), forward_origin=origin, album=album)
        sent.append({"message_id": copy.id})
    return sent


def copy_messages(call: Call) -> list[Json]:
    """Send the contents of several messages again; those of an album are one again."""
    target = call.open_chat()
    messages = [_copied(call, "copy", message_id) for message_id in _message_ids(call)]
    albums = _albums(messages)
    sent: list[Json] = []
    for message in messages:
        content = dict(message.content)
        if call.parameters.flag("remove_caption"):
            content = {k: v for k, v in content.items() if "caption" not in k}
        sent.append(
            {"message_id": call.post(target, content, album=albums.get(message.album or "")).id}
        )
    return sent


def copy_message(call: Call) -> Json:
    """Send the content of a message again, with a new caption if one is given."""
    target = call.open_chat()
    content: dict[str, Any] = dict(_copied(call, "copy").content)
    if "caption" in call.parameters and "text" not in content:
        given = (call.parameters.text("caption"), call.parameters.text("parse_mode"))
        content = {k: v for k, v in content.items() if "caption" not in k}
        content |= caption_of(*given, call.entities_of("caption_entities"))
    return {"message_id": call.post(target, content).id}


METHODS = {
    "sendMessage": send_message,
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "deleteMessages": delete_messages,
    "answerCallbackQuery": answer_callback_query,
    "sendChatAction": send_chat_action,
    "forwardMessage": forward_message,
    "forwardMessages": forward_messages,
    "copyMessage": copy_message,
    "copyMessages": copy_messages,
}
