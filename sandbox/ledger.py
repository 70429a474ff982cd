"""The ledger: every order write that a simulated broker received, in order of arrival.

An entry is written when the whole request has been read, before anything is done about it, with
``applied`` false; a second line completes it once the write has created or altered an order. The
file is only ever appended to. A write that is answered with a fault, refused or throttled has its
entry too. A broker's application uses ``middleware`` with a function that describes the request,
and calls ``applied`` where the effect happens.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO, Any, Required, TypedDict

from aiohttp import web

from sandbox.clock import MarketClock, real_now

__all__ = ["Draft", "Ledger"]

_SEQUENCES = "ledger_sequences"


class Draft(TypedDict, total=False):
    """What a broker's application can say of an order write before handling it.

    ``action`` is ``place``, ``modify`` or ``cancel`` (the entry's ``method`` is the HTTP method);
    ``side`` is ``BUY`` or ``SELL``; absent fields become null.
    """

    broker: Required[str]
    api_key: Required[str | None]
    action: Required[str]
    tag: str | None
    symbol: str | None
    side: str | None
    quantity: int | None
    order_type: str | None
    product: str | None
    broker_order_id: str | None


_FIELDS = ("tag", "symbol", "side", "quantity", "order_type", "product", "broker_order_id")


class Ledger:
    """An append-only list of order writes.

    Args:
        clock: Stamps entries with market time (``at``); ``real_at`` is real time.
        directory: Where ``ledger.jsonl`` lives; None keeps the ledger in memory.
    """

    def __init__(self, clock: MarketClock, directory: Path | None = None) -> None:
        self._clock = clock
        self._entries: list[dict[str, Any]] = []
        self._path = directory / "ledger.jsonl" if directory else None
        self._file: IO[str] | None = None
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._load(self._path)
            self._file = self._path.open("a", encoding="utf-8")
            if self._is_torn(self._path):
                self._file.write("\n")

    @staticmethod
    def _is_torn(path: Path) -> bool:
        """Whether a crash left a last line without its end."""
        return bool(path.stat().st_size) and not path.read_bytes().endswith(b"\n")

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            self._merge(entry)

    def _merge(self, entry: dict[str, Any]) -> None:
        if entry["seq"] <= len(self._entries):
            self._entries[entry["seq"] - 1].update(entry)
        else:
            self._entries.append(entry)

    def _append(self, entry: dict[str, Any]) -> None:
        self._merge(entry)
        if self._file:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def record(self, draft: Draft, method: str, source_ip: str) -> int:
        """Enter a received order write and return its sequence number."""
        seq = len(self._entries) + 1
        entry: dict[str, Any] = {
            "seq": seq,
            "at": self._clock.now().isoformat(),
            "real_at": real_now(),
            "broker": draft["broker"],
            "api_key": draft["api_key"],
            "source_ip": source_ip,
            "method": method,
            "action": draft["action"],
        }
        for name in _FIELDS:
            entry[name] = draft.get(name)
        entry["applied"] = False
        self._append(entry)
        return seq

    def complete(self, seq: int, broker_order_id: str) -> None:
        """Mark an entry as having created or altered an order."""
        self._append({"seq": seq, "broker_order_id": broker_order_id, "applied": True})

    def applied(self, request: web.Request, broker_order_id: str, index: int = 0) -> None:
        """Mark the request's entry (the index-th of a basket) as applied."""
        sequences: list[int] = request.get(_SEQUENCES, [])
        if index < len(sequences):
            self.complete(sequences[index], broker_order_id)

    def entries(
        self, *, broker: str | None = None, api_key: str | None = None, tag: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the entries in order, filtered by what is given."""
        wanted = {"broker": broker, "api_key": api_key, "tag": tag}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return [
            entry
            for entry in self._entries
            if all(entry[name] == value for name, value in wanted.items())
        ]

    def middleware(self, describe: Callable[[web.Request], Awaitable[Sequence[Draft]]]) -> Any:
        """Return an aiohttp middleware that enters each order write of an application.

        Put it outside the fault middleware, so that faulted writes are entered too.

        Args:
            describe: Reads the request and returns its order writes, none for other requests.
        """

        @web.middleware
        async def enter(
            request: web.Request,
            handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        ) -> web.StreamResponse:
            drafts = await describe(request)
            request[_SEQUENCES] = [
                self.record(draft, request.method, request.remote or "") for draft in drafts
            ]
            return await handler(request)

        return enter

    def clear(self) -> None:
        """Forget everything; only ``POST /reset`` does this."""
        self._entries.clear()
        if self._path and self._file:
            self._file.close()
            self._file = self._path.open("w", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None
