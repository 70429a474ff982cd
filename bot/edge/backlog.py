"""A plain connection for polls of what waits at Telegram already (rows G1, R2).

Behind strangers an owner waits for one poll after another, and in each of them an HTTP client that
can do everything takes four times as long as all else together. This one does one thing: it asks,
and reads an answer of a given length. Whatever else comes makes it give up; the poll is then asked
again in the ordinary way, with the same offset, so that nothing is lost or taken twice.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from yarl import URL

__all__ = ["Backlog"]

_POLL_WITHIN_S = 5.0
_RESTS_AT_MOST_S = 5.0
"""As in ``http``: a server may close what rests longer."""
_LARGEST_BODY = 64 * 2**20
_BUFFER = 2**20


@dataclass(slots=True)
class _Link:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0


class Backlog:
    """Polls with a time-out of zero.

    Args:
        url: Of ``getUpdates``, with the token: it is in no error and no log.
        certificates: Who is trusted; None for a Bot API without TLS.
    """

    def __init__(self, url: URL, certificates: ssl.SSLContext | None) -> None:
        self._url = url
        self._certificates = certificates
        self._connection: _Link | None = None
        self._head = (
            f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {url.authority}\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode()

    async def poll(self, offset: int) -> bytes | None:
        """Return the body of an answer 200, or None: then it is not known what was asked."""
        body: bytes | None = None
        try:
            async with asyncio.timeout(_POLL_WITHIN_S):
                body = await self._poll(offset)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # a time-out is an OSError
        finally:
            if body is None:
                self.close()
        return body

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.writer.transport.abort()
            self._connection = None

    async def _poll(self, offset: int) -> bytes | None:
        link = await self._open()
        asked = b'{"offset": %d, "timeout": 0}' % offset
        link.writer.write(self._head + b"%d\r\n\r\n" % len(asked) + asked)
        length, is_kept = _read_head(await link.reader.readuntil(b"\r\n\r\n"))
        body = await link.reader.readexactly(length)
        link.used_at = asyncio.get_running_loop().time()
        if not is_kept:
            self.close()
        return body

    async def _open(self) -> _Link:
        link, now = self._connection, asyncio.get_running_loop().time()
        if link and not link.reader.at_eof() and now - link.used_at < _RESTS_AT_MOST_S:
            return link
        self.close()
        host, port = self._url.raw_host, self._url.port
        if host is None or port is None:
            raise ValueError("an address without a host")
        reader, writer = await asyncio.open_connection(
            host, port, ssl=self._certificates, limit=_BUFFER
        )
        self._connection = _Link(reader, writer, now)
        return self._connection


def _read_head(head: bytes) -> tuple[int, bool]:
    """Return how long the body is, and whether the connection stays.

    Raises:
        ValueError: It is no plain answer 200 of a known length.
    """
    status, *lines = head[:-4].split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 200"):
        raise ValueError("not answered with 200")
    lengths, is_kept = [], True
    for line in lines:
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            lengths.append(value.strip())
        elif name in (b"transfer-encoding", b"content-encoding"):
            raise ValueError("not a plain body")
        elif name == b"connection":
            is_kept = b"close" not in value
    if len(lengths) != 1 or not lengths[0].isdigit() or int(lengths[0]) > _LARGEST_BODY:
        raise ValueError("of no known length")
    return int(lengths[0]), is_kept
