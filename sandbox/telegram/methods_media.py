"""Methods about photos, documents and their files."""

import mimetypes
import secrets
import struct

from sandbox.telegram.call import Call
from sandbox.telegram.errors import BotApiError, bad_request
from sandbox.telegram.model import Json
from sandbox.telegram.parameters import Upload
from sandbox.telegram.text import format_caption

__all__ = ["METHODS"]

_MAX_PHOTO = 10 * 1024 * 1024
_MAX_DOWNLOAD = 20 * 1024 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def _image_size(content: bytes) -> tuple[int, int] | None:
    """Read width and height of a PNG, GIF or JPEG from its header."""
    if content.startswith(_PNG):
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content[:6] in {b"GIF87a", b"GIF89a"}:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    if content.startswith(_JPEG):
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    index = 2
    while index + 9 < len(content) and content[index] == 0xFF:  # noqa: PLR2004 - marker byte
        if content[index + 1] in _FRAME_MARKERS:
            height, width = struct.unpack(">HH", content[index + 5 : index + 9])
            return width, height
        index += 2 + int(struct.unpack(">H", content[index + 2 : index + 4])[0])
    return None


def _stored(call: Call, upload: Upload, folder: str) -> Json:
    file_id = f"{folder[:1].upper()}{secrets.token_urlsafe(24)}"
    suffix = "." + upload.name.rpartition(".")[2] if "." in upload.name else ""
    path = f"{folder}/file_{file_id[-10:]}{suffix}"
    guessed = mimetypes.guess_type(upload.name)[0]
    mime = upload.mime if upload.mime != "text/plain" or not guessed else guessed
    call.sim.storage.save_file(file_id, path, upload.name, mime, upload.content)
    return _identity(file_id, len(upload.content))


def _identity(file_id: str, size: int) -> Json:
    return {"file_id": file_id, "file_unique_id": f"A{file_id[-14:]}", "file_size": size}


def _source(call: Call, name: str, folder: str) -> tuple[Json, str, str, bytes]:
    """Find the file that a parameter sends: an upload or the id of an earlier file."""
    upload = call.parameters.upload(name)
    if upload is not None:
        if not upload.content:
            raise bad_request("file must be non-empty")
        identity = _stored(call, upload, folder)
    else:
        given = call.parameters.text(name)
        if not given:
            raise bad_request(f"there is no {name} in the request")
        if given.startswith(("http://", "https://")):
            raise bad_request("failed to get HTTP URL content")
        identity = {"file_id": given}
    row = call.sim.storage.file("id", identity["file_id"])
    if row is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    file_id, _path, file_name, mime, content = row
    return _identity(file_id, len(content)), file_name, mime, content


def _with_caption(call: Call, content: Json) -> Json:
    formatted = format_caption(
        call.parameters.text("caption"),
        call.parameters.text("parse_mode"),
        call.entities_of("caption_entities"),
    )
    if formatted.text:
        content["caption"] = formatted.text
    if formatted.entities:
        content["caption_entities"] = formatted.entities
    return content


def send_photo(call: Call) -> Json:
    """Send a picture."""
    conversation = call.open_chat()
    identity, _name, _mime, content = _source(call, "photo", "photos")
    if len(content) > _MAX_PHOTO:
        raise BotApiError(413, "Request Entity Too Large")
    size = _image_size(content)
    if size is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    photo = [{**identity, "width": size[0], "height": size[1]}]
    return call.show(call.post(conversation, _with_caption(call, {"photo": photo})))


def send_document(call: Call) -> Json:
    """Send a file."""
    conversation = call.open_chat()
    identity, name, mime, _content = _source(call, "document", "documents")
    document = {**identity, "file_name": name, "mime_type": mime}
    return call.show(call.post(conversation, _with_caption(call, {"document": document})))


def get_file(call: Call) -> Json:
    """Give the path under which a file can be downloaded."""
    row = call.sim.storage.file("id", call.parameters.text("file_id") or "")
    if row is None:
        raise bad_request("invalid file_id")
    if len(row[4]) > _MAX_DOWNLOAD:
        raise bad_request("file is too big")
    return {**_identity(row[0], len(row[4])), "file_path": row[1]}


METHODS = {"sendPhoto": send_photo, "sendDocument": send_document, "getFile": get_file}
