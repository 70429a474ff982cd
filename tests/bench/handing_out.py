"""A Bot API that hands updates out as fast as it can, in a process of its own.

``python -m tests.bench.handing_out`` prints its port. It stands for Telegram in ``flood``: what
strangers and the owner write is made beforehand, so that a poll costs it next to nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["OWNER"]

OWNER = 1001
_POLL = 100
_A_SECOND, _AT_A_TIME, _BETWEEN_S = 1000, 10, 0.4
_LONGEST_POLL_S = 20.0


def _update(update_id: int, user_id: int, text: str) -> str:
    """Return an update as Telegram writes it, with the fields that a private chat has."""
    person = {
        "id": user_id,
        "is_bot": False,
        "first_name": "Somebody",
        "username": f"user{user_id}",
        "language_code": "en",
    }
    message: dict[str, Any] = {
        "message_id": update_id,
        "from": person,
        "chat": {"id": user_id, "first_name": "Somebody", "type": "private"},
        "date": int(time.time()),
        "text": text,
    }
    if text.startswith("/"):
        message["entities"] = [{"offset": 0, "length": len(text), "type": "bot_command"}]
    return json.dumps({"update_id": update_id, "message": message})


@dataclass
class _Page:
    """What one poll is given.

    Attributes:
        last: The highest id in it.
        texts: Its updates.
        answer: The whole answer, once nothing more fits in.
    """

    last: int = 0
    texts: list[str] = field(default_factory=list)
    answer: bytes = b""

    def written(self) -> bytes:
        """Return the answer to a poll."""
        return self.answer or _answer('{"ok":true,"result":[' + ",".join(self.texts) + "]}")


@dataclass
class _Service:
    """The Bot API, as far as the bot asks it, and what the measurement asks."""

    pages: deque[_Page] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    next_id: int = 1
    at: float = 0.0
    text: str = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                target = head.split(" ", 2)[1]
                length = head.lower().partition("content-length: ")[2].split("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                writer.write(await self._answered(target, body))
                await writer.drain()

    async def _answered(self, target: str, body: bytes) -> bytes:
        parts = urlsplit(target)
        method = parts.path.rpartition("/")[2]
        if method == "getUpdates":
            return await self._updates(int(json.loads(body).get("offset") or 0))
        if method in ("write", "panic", "during"):
            strangers = int(dict(parse_qsl(parts.query))["strangers"])
            told: dict[str, Any] = await getattr(self, method)(strangers)
            return _answer(json.dumps(told))
        result: object = True
        if method == "getMe":
            result = {"id": 7000000001, "is_bot": True, "first_name": "B", "username": "b_bot"}
        elif method == "sendMessage":
            self.at, self.text = time.perf_counter(), str(json.loads(body).get("text", ""))
            self.asked.set()
            chat = {"id": OWNER, "type": "private", "first_name": "A"}
            result = {"message_id": self.next_id, "date": int(time.time()), "chat": chat}
        return _answer(json.dumps({"ok": True, "result": result}))

    async def _updates(self, offset: int) -> bytes:
        while self.pages and self.pages[0].last < offset:
            self.pages.popleft()
        if not self.pages:
            self.arrived.clear()
            self.polled.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_POLL_S):
                    await self.arrived.wait()
        if not self.pages:
            return _answer('{"ok":true,"result":[]}')
        # What is written from now on comes in another page.
        self.pages[0].answer = self.pages[0].written()
        return self.pages[0].answer

    async def write(self, strangers: int) -> dict[str, Any]:
        """Let strangers write, and then the owner, for whoever polls next."""
        self._write(10**6 + number for number in range(strangers))
        self._put(OWNER, "/panic")
        for page in self.pages:
            page.answer = page.written()
        return {"last": self.next_id}

    async def panic(self, strangers: int) -> dict[str, Any]:
        """Let strangers write, and then the owner; tell after how long the question came."""
        await self.polled.wait()
        self.polled.clear()
        self.asked.clear()
        await self.write(strangers)
        return {"seconds": [await self._asked_after()], "text": self.text}

    async def during(self, strangers: int) -> dict[str, Any]:
        """Let strangers write at a pace, and the owner a few times among them."""
        seconds = []
        await self.polled.wait()
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._keep_writing(strangers))
            while not writing.done():
                await asyncio.sleep(_BETWEEN_S)
                self.asked.clear()
                self._put(OWNER, "/panic")
                seconds.append(await self._asked_after())
        return {"seconds": seconds, "text": self.text}

    async def _keep_writing(self, strangers: int) -> None:
        for _ in range(strangers // _AT_A_TIME):
            self._write(10**6 + number for number in range(_AT_A_TIME))
            self.arrived.set()
            await asyncio.sleep(_AT_A_TIME / _A_SECOND)

    def _write(self, users: Any) -> None:
        for user_id in users:
            self._put(user_id, "hello")

    def _put(self, user_id: int, text: str) -> None:
        self.next_id += 1
        page = self.pages[-1] if self.pages else None
        if page is None or page.answer or len(page.texts) == _POLL:
            self.pages.append(page := _Page())
        page.last = self.next_id
        page.texts.append(_update(self.next_id, user_id, text))

    async def _asked_after(self) -> float:
        """Hand out what was written; return after how many seconds the question came."""
        began = time.perf_counter()
        self.arrived.set()
        async with asyncio.timeout(60):
            await self.asked.wait()
        return self.at - began


def _answer(text: str) -> bytes:
    body = text.encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


async def _serve() -> None:
    server = await asyncio.start_server(_Service().talk, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
