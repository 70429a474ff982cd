"""A request's parameters: query string, urlencoded form, JSON or multipart, with uploads.

The body is parsed from bytes, so that it can be read twice: a fault matches on it first.
"""

import json
from dataclasses import dataclass, field
from email.message import Message as EmailMessage
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.telegram.errors import bad_request

__all__ = ["Parameters", "Upload", "read_parameters"]


@dataclass(frozen=True)
class Upload:
    """An uploaded file."""

    name: str
    mime: str
    content: bytes


@dataclass(frozen=True)
class Parameters:
    """Typed access to what a client sent; a number may come as text and JSON as a string."""

    values: dict[str, Any] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.uploads

    def text(self, name: str, default: str | None = None) -> str | None:
        """Give a text."""
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        """Give a whole number; what is none counts as the default, as on the public server."""
        try:
            return int(str(self.values.get(name, default)).strip())
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        """Give a truth value."""
        return str(self.values.get(name, "")).lower() in {"true", "yes", "1"}

    def structure(self, name: str) -> Any:
        """Give a JSON value; None when it is absent or no JSON."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return None

    def upload(self, name: str) -> Upload | None:
        """Give a file sent under the parameter's own name or by `attach://`."""
        value = self.values.get(name)
        if isinstance(value, str) and value.startswith("attach://"):
            return self.uploads.get(value.removeprefix("attach://"))
        return self.uploads.get(name)


_READ = web.RequestKey("parameters", Parameters)


async def read_parameters(request: web.Request) -> Parameters:
    """Read every parameter of a request, the body's over the query's; it is read once.

    Raises:
        BotApiError: The body is not what its content type says.
    """
    found = request.get(_READ)
    if found is None:
        found = request[_READ] = await _read(request)
    return found


async def _read(request: web.Request) -> Parameters:
    values: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    body = await request.read()
    kind = request.content_type.lower()
    if not body:
        return Parameters(values, uploads)
    if kind == "application/json":
        values.update(_json_object(body))
    elif kind == "multipart/form-data":
        fields, uploads = _multipart(body, request.headers.get("Content-Type", ""))
        values.update(fields)
    else:
        values.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return Parameters(values, uploads)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise bad_request("can't parse request body as a JSON Object")
    return {key: value for key, value in parsed.items() if value is not None}


def _multipart(body: bytes, content_type: str) -> tuple[dict[str, str], dict[str, Upload]]:
    header = EmailMessage()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise bad_request("boundary not found in the multipart request")
    fields: dict[str, str] = {}
    uploads: dict[str, Upload] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if part.startswith(b"--"):
            break
        raw_head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        head = BytesHeaderParser().parsebytes(raw_head + b"\r\n\r\n")
        name = head.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        if head.get_filename() is None:
            fields[name] = content.decode("utf-8", "replace")
        else:
            uploads[name] = Upload(head.get_filename() or name, head.get_content_type(), content)
    return fields, uploads
