"""Methods about photos, documents and albums, and their files."""

import json
import secrets
from typing import Any

from sandbox.telegram.call import Call
from sandbox.telegram.errors import bad_request
from sandbox.telegram.media import (
    KINDS,
    MAX_ALBUM,
    ServerRefusal,
    Source,
    caption_of,
    document_of,
    identity_of,
    media_of,
    photo_of,
)
from sandbox.telegram.methods_messages import apply_edit
from sandbox.telegram.model import Json

__all__ = ["METHODS"]

_MAX_DOWNLOAD = 20 * 1024 * 1024


def _source(call: Call) -> Source:
    return Source(call.sim.storage, call.bot.id, call.parameters)


def _caption(call: Call) -> Json:
    parameters = call.parameters
    return caption_of(
        parameters.text("caption"),
        parameters.text("parse_mode"),
        call.entities_of("caption_entities"),
    )


def send_photo(call: Call) -> Json:
    """Send a picture."""
    conversation = call.open_chat()
    caption = _caption(call)
    file = _source(call).file(call.parameters.text("photo") or "", "photo", "photo")
    if file is None:
        raise bad_request("there is no photo in the request")
    content = photo_of(file) | caption
    if call.parameters.flag("has_spoiler"):
        content["has_media_spoiler"] = True
    if caption and call.parameters.flag("show_caption_above_media"):
        content["show_caption_above_media"] = True
    return call.show(call.post(conversation, content))


def send_document(call: Call) -> Json:
    """Send a file."""
    conversation = call.open_chat()
    caption = _caption(call)
    source = _source(call)
    file = source.file(call.parameters.text("document") or "", "document", "document")
    if file is None:
        raise bad_request("there is no document in the request")
    thumbnail = source.file(call.parameters.text("thumbnail") or "", "thumbnail", "photo")
    return call.show(call.post(conversation, document_of(file, thumbnail) | caption))


def send_media_group(call: Call) -> list[Json]:
    """Send photos, or documents, as one album; one alone is an ordinary message."""
    conversation = call.open_chat()
    contents = _album(call)
    if not contents:
        raise bad_request("There are no messages to send")
    if len(contents) > MAX_ALBUM:
        raise bad_request("Too many messages to send as an album")
    if len({content.get("show_caption_above_media", False) for content in contents}) > 1:
        raise bad_request("Parameter show_caption_above_media must be the same for all messages")
    if len({kind for content in contents for kind in KINDS if kind in content}) > 1:
        raise bad_request("Document can't be mixed with other media types")
    album = str(secrets.randbits(60)) if len(contents) > 1 else None
    return [call.show(call.post(conversation, one, album=album)) for one in contents]


def _album(call: Call) -> list[Json]:
    raw = _required_json(call, "media JSON object")
    if not isinstance(raw, list):
        raise bad_request("Expected an Array of InputMedia")
    source, contents = _source(call), []
    for number, one in enumerate(raw, 1):
        try:
            contents.append(media_of(source, one, is_album=True))
        except ServerRefusal as refusal:
            raise bad_request(
                f'Failed to send message #{number} with the error message "{refusal.text}"'
            ) from refusal
    return contents


def _required_json(call: Call, what: str) -> Any:
    given = call.parameters.values.get("media")
    if given is None or given == "":
        raise bad_request('Parameter "media" is required')
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise bad_request(f"Can't parse {what}") from None


def edit_message_media(call: Call) -> Json:
    """Change the photo or document of a message, or give a text one; the old caption goes."""
    conversation = call.open_chat()
    markup = call.reply_markup()
    raw = _required_json(call, "input media JSON object")
    message = call.message(conversation, "edit")
    if message.bot_id != call.bot.id or message.is_service or message.forward_origin:
        raise bad_request("Message media can't be edited")
    content = media_of(_source(call), raw, is_album=False)
    if message.album is not None and not any(
        kind in content and kind in message.content for kind in KINDS
    ):
        raise bad_request("Can't change media type in the album")
    return apply_edit(call, message, content, markup.inline)


def get_file(call: Call) -> Json:
    """Give the path under which a file can be downloaded."""
    file = call.sim.storage.file("id", call.parameters.text("file_id") or "")
    if file is None or file.owner not in {None, call.bot.id}:
        raise bad_request("invalid file_id")
    if len(file.content) > _MAX_DOWNLOAD:
        raise bad_request("file is too big")
    return {**identity_of(file), "file_path": file.path}


METHODS = {
    "sendPhoto": send_photo,
    "sendDocument": send_document,
    "sendMediaGroup": send_media_group,
    "editMessageMedia": edit_message_media,
    "getFile": get_file,
}
