"""Photos and documents as the Bot API takes them: uploads, file ids, InputMedia, captions.

What is refused, and in which words, is read in the sources of the public server (Client.cpp of May
2026, and TDLib for what the server only passes on).
"""

from __future__ import annotations

import mimetypes
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from sandbox.telegram.errors import BotApiError, bad_request
from sandbox.telegram.model import Json
from sandbox.telegram.parameters import Parameters, Upload
from sandbox.telegram.storage import Storage, StoredFile
from sandbox.telegram.text import format_caption

__all__ = [
    "KINDS",
    "MAX_ALBUM",
    "PICTURES",
    "ServerRefusal",
    "Source",
    "caption_of",
    "document_of",
    "identity_of",
    "media_of",
    "photo_of",
    "store",
]

KINDS = ("photo", "document")
"""What this simulator knows of media, as fields of a message."""

MAX_ALBUM = 10
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif"})
"""What a page shows in place; everything else is downloaded."""

_FOLDERS = {"photo": "photos", "document": "documents"}
_UNSUPPORTED = frozenset({"animation", "audio", "video", "live_photo"})
_MAX_PHOTO = 10 * 1024 * 1024
_MAX_SIDES = 10_000
_MAX_RATIO = 20
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


class ServerRefusal(BotApiError):
    """Refused by Telegram's own servers after the upload: in an album the message is named."""

    def __init__(self, text: str) -> None:
        super().__init__(400, f"Bad Request: {text}")
        self.text = text


@dataclass(frozen=True)
class Source:
    """Where media come from: the parameters of a call, and whose files count.

    Attributes:
        storage: Keeps the files.
        owner: The bot's id; a file id of another bot is unknown to it.
        parameters: With the uploads.
    """

    storage: Storage
    owner: int
    parameters: Parameters = field(default_factory=Parameters)

    def file(self, given: str, name: str, kind: str) -> StoredFile | None:
        """Find what is sent: an upload under ``name`` or by ``attach://``, or a known file id.

        Returns:
            The file; None when nothing is given, or an upload that is not there.

        Raises:
            BotApiError: The file cannot be used.
        """
        upload = self._upload(given, name)
        if upload is not None:
            return store(self.storage, upload, kind, self.owner)
        if not given or given.startswith("attach://"):
            return None
        if given.startswith(("http://", "https://")):
            raise bad_request("Failed to get HTTP URL content")
        found = self.storage.file("id", given)
        if found is None or found.owner not in {None, self.owner}:
            raise bad_request("Wrong file identifier/HTTP URL specified")
        if not found.path.startswith(_FOLDERS[kind]):
            other = next(one for one, folder in _FOLDERS.items() if found.path.startswith(folder))
            raise bad_request(f"Can't use file of type {other.title()} as {kind.title()}")
        return found

    def _upload(self, given: str, name: str) -> Upload | None:
        attached = given.removeprefix("attach://") if given.startswith("attach://") else name
        return self.parameters.uploads.get(attached) if attached else None


def store(storage: Storage, upload: Upload, kind: str, owner: int | None) -> StoredFile:
    """Keep an upload.

    Raises:
        BotApiError: It is empty, or too big for a photo.
    """
    size = len(upload.content)
    if not size:
        raise bad_request("file must be non-empty")
    if kind == "photo" and size > _MAX_PHOTO:
        raise bad_request(
            f"file of size {size} bytes is too big for a photo; the maximum size is"
            f" {_MAX_PHOTO} bytes"
        )
    file_id = f"{kind[0].upper()}{secrets.token_urlsafe(24)}"
    suffix = "." + upload.name.rpartition(".")[2] if "." in upload.name else ""
    path = f"{_FOLDERS[kind]}/file_{file_id[-10:]}{suffix}"
    guessed = mimetypes.guess_type(upload.name)[0]
    mime = upload.mime if upload.mime != "text/plain" or not guessed else guessed
    kept = StoredFile(file_id, path, upload.name, mime, upload.content, owner)
    storage.save_file(kept)
    return kept


def identity_of(file: StoredFile) -> Json:
    """Give what every object of a file begins with."""
    unique = f"A{file.id[-14:]}"
    return {"file_id": file.id, "file_unique_id": unique, "file_size": len(file.content)}


def photo_of(file: StoredFile) -> Json:
    """Give the content of a photo.

    Raises:
        ServerRefusal: It is no picture, or one of impossible measures.
    """
    size = _image_size(file.content)
    if size is None:
        raise ServerRefusal("IMAGE_PROCESS_FAILED")
    shorter, longer = min(size), max(size)
    if not shorter or sum(size) > _MAX_SIDES or longer > _MAX_RATIO * shorter:
        raise ServerRefusal("PHOTO_INVALID_DIMENSIONS")
    return {"photo": [{**identity_of(file), "width": size[0], "height": size[1]}]}


def document_of(file: StoredFile, thumbnail: StoredFile | None = None) -> Json:
    """Give the content of a document."""
    document = {**identity_of(file), "file_name": file.name, "mime_type": file.mime}
    if thumbnail is not None:
        document["thumbnail"] = photo_of(thumbnail)["photo"][0]
    return {"document": document}


def caption_of(raw: Any, parse_mode: Any, entities: Any) -> Json:
    """Give the fields of a caption, none for an empty one."""
    formatted = format_caption(
        None if raw is None else str(raw), None if parse_mode is None else str(parse_mode), entities
    )
    content: Json = {}
    if formatted.text:
        content["caption"] = formatted.text
    if formatted.entities:
        content["caption_entities"] = formatted.entities
    return content


def media_of(source: Source, raw: Any, *, is_album: bool) -> Json:
    """Read one InputMedia object; give the content of its message.

    Raises:
        BotApiError: It is none, or its file cannot be used.
    """
    if not isinstance(raw, dict):
        raise bad_request("Can't parse InputMedia: expected an Object")
    caption = caption_of(raw.get("caption"), raw.get("parse_mode"), raw.get("caption_entities"))
    kind = raw.get("type")
    if not isinstance(kind, str):
        raise bad_request("Can't parse InputMedia: Can't find field \"type\"")
    given = str(raw.get("media") or "")
    if kind not in KINDS:
        if not given:
            raise bad_request("Can't parse InputMedia: media not found")
        raise _not_taken(kind, is_album=is_album)
    file = source.file(given, "", kind)
    if file is None:
        raise bad_request("Can't parse InputMedia: media not found")
    if kind == "photo":
        content = photo_of(file)
        if _is_true(raw.get("has_spoiler")):
            content["has_media_spoiler"] = True
    else:
        content = document_of(file, source.file(str(raw.get("thumbnail") or ""), "", "photo"))
    if kind == "photo" and caption and _is_true(raw.get("show_caption_above_media")):
        caption["show_caption_above_media"] = True
    return content | caption


def _not_taken(kind: str, *, is_album: bool) -> BotApiError:
    if kind == "animation" and is_album:
        return bad_request(
            "Can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup"
        )
    if kind in _UNSUPPORTED:  # the public server takes these
        return BotApiError(501, f"Not Implemented: the simulator knows no media of type {kind!r}")
    return bad_request(f'Can\'t parse InputMedia: type "{kind}" is unsupported')


def _is_true(raw: Any) -> bool:
    return str(raw).lower() in {"true", "yes", "1"}


def _image_size(content: bytes) -> tuple[int, int] | None:
    """Read width and height of a PNG, GIF or JPEG from its header."""
    try:
        if content.startswith(_PNG):
            width, height = struct.unpack(">II", content[16:24])
            return width, height
        if content[:6] in {b"GIF87a", b"GIF89a"}:
            width, height = struct.unpack("<HH", content[6:10])
            return width, height
        if content.startswith(_JPEG):
            return _jpeg_size(content)
    except struct.error:  # cut off in the header
        return None
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    index = 2
    while index + 9 < len(content) and content[index] == 0xFF:  # noqa: PLR2004 - marker byte
        if content[index + 1] in _FRAME_MARKERS:
            height, width = struct.unpack(">HH", content[index + 5 : index + 9])
            return width, height
        index += 2 + int(struct.unpack(">H", content[index + 2 : index + 4])[0])
    return None
