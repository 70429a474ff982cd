"""A broker that answers orders after a fixed time and does nothing else worth a millisecond.

``python -m tests.bench.door --delay-ms 30`` speaks as much of Kite's API as a controller needs: the
login, the account's reads, bars and quotes at a flat price, and market orders, which fill with their
answer or ``--fill-ms`` after it; fills are pushed (``tests.bench.door_stream``). The simulator of the sandbox takes milliseconds of CPU an order (ledger, faults, matching,
its own store) and would hide what is measured here at 200 orders at once. Controller and peers send
to the same door. It notes when each order's last byte came in and when its answer went out, by the
machine's monotonic clock, which is one for all processes (``GET /_door/seen``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.adapters.clock import MARKET_ZONE, clock_from_setting
from core.ports.clock import Clock
from tests.bench.door_stream import A_MINUTE, PRICE, DoorStream

__all__ = ["SHARES", "Door", "serving", "share"]

SHARES = 100
_OPENS, _CLOSES = (9, 15), (15, 30)
_STATUS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}
_COLUMNS = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,"
    "lot_size,instrument_type,segment,exchange"
)


def share(number: int) -> str:
    """Return the symbol of a share that is listed here."""
    return f"SHARE{number:03d}"


def token(number: int) -> int:
    """Return its token; the last byte says that it is a share of the NSE."""
    return (1000 + number) * 256 + 1


@dataclass
class _Account:
    """What one app has done today."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    net: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Units bought and sold by symbol and product."""
    behaves: str = ""
    """How it answers: '' as it should, or ``hung``, ``throttled``, ``expired``."""


class Door:
    """The state behind every connection."""

    def __init__(self, clock: Clock, delay_s: float, fill_s: float = 0.0) -> None:
        self._clock = clock
        self._delay_s = delay_s
        self._fill_s = fill_s
        self.stream = DoorStream(clock)
        self._filled: list[tuple[str, float]] = []
        self._accounts: dict[str, _Account] = {}
        self._seen: list[tuple[str, str, float, float]] = []
        self._count = 0
        self._asked = 0

    def answer(self, asked: _Asked, reply: Callable[[int, Any], None]) -> None:
        """Answer a request, now or after the delay of an order."""
        parts = urlsplit(asked.target)
        path, query = parts.path, parse_qs(parts.query)
        if path.startswith("/_door/"):
            reply(200, self._control(path, query))
            return
        self._asked += 1
        form = {name: values[0] for name, values in parse_qs(asked.body).items()}
        if path == "/instruments":
            reply(200, _master())
        elif path == "/session/token":
            key = form.get("api_key", "")
            reply(200, _good({"access_token": f"t{key}", "user_id": f"U{key}"}))
        else:
            self._answer_account(asked, path, (query, form), reply)

    def _answer_account(
        self,
        asked: _Asked,
        path: str,
        given: tuple[dict[str, list[str]], dict[str, str]],
        reply: Callable[[int, Any], None],
    ) -> None:
        account = self._accounts.setdefault(asked.api_key, _Account())
        if account.behaves == "hung":
            return
        if account.behaves == "expired":
            reply(403, _bad("TokenException", "Incorrect `api_key` or `access_token`."))
        elif asked.method == "POST" and path.startswith("/orders/"):
            if account.behaves == "throttled":
                reply(429, _bad("NetworkException", "Too many requests"))
                return
            loop = asyncio.get_running_loop()
            arrived = time.perf_counter()
            loop.call_later(
                self._delay_s, self._take, account, asked.api_key, given[1], arrived, reply
            )
        elif asked.method == "DELETE":
            reply(*self._cancel(account, path.rpartition("/")[2]))
        else:
            found = self._read(account, asked.api_key, path, given[0])
            reply(
                *((404, _bad("GeneralException", path)) if found is None else (200, _good(found)))
            )

    def _control(self, path: str, query: dict[str, list[str]]) -> Any:
        if path == "/_door/behave":
            for key in query["api_key"]:
                how = query.get("how", [""])[0]
                self._accounts.setdefault(key, _Account()).behaves = how
            return {}
        if path == "/_door/filled":
            filled, self._filled = self._filled, []
            return filled
        if path == "/_door/requests":
            asked, self._asked = self._asked, 0
            return asked
        seen, self._seen = self._seen, []
        return seen

    def _take(
        self,
        account: _Account,
        api_key: str,
        form: dict[str, str],
        arrived: float,
        reply: Callable[[int, Any], None],
    ) -> None:
        """Answer an order, and let it fill."""
        self._count += 1
        number = f"{self._count:015d}"
        named = ("exchange", "tradingsymbol", "transaction_type", "product", "order_type", "tag")
        row: dict[str, Any] = {name: form.get(name) for name in named}
        row |= {"order_id": number, "exchange_order_id": number, "status": "OPEN"}
        row |= {"quantity": int(form["quantity"]), "filled_quantity": 0, "average_price": 0}
        row |= self._stamps()
        account.orders.append(row)
        if not self._fill_s:
            self._fill(account, api_key, row)
        reply(200, _good({"order_id": number}))
        self._seen.append((api_key, form.get("tag", ""), arrived, time.perf_counter()))
        if self._fill_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._fill_s, self._fill, account, api_key, row)

    def _fill(self, account: _Account, api_key: str, row: dict[str, Any]) -> None:
        if row["status"] != "OPEN":
            return
        is_sale, quantity = row["transaction_type"] == "SELL", row["quantity"]
        account.net.setdefault((row["tradingsymbol"], row["product"]), [0, 0])[is_sale] += quantity
        row |= {"status": "COMPLETE", "filled_quantity": quantity, "average_price": PRICE}
        row |= self._stamps()
        self._filled.append((row["tag"] or "", time.perf_counter()))
        self.stream.push(api_key, row)

    def _cancel(self, account: _Account, number: str) -> tuple[int, Any]:
        row = next((one for one in account.orders if one["order_id"] == number), None)
        if row is None or row["status"] != "OPEN":
            return 400, _bad("OrderException", "Order cannot be cancelled as it is not open.")
        row |= {"status": "CANCELLED", **self._stamps()}
        return 200, _good({"order_id": number})

    def _stamps(self) -> dict[str, str]:
        at = f"{self._clock.market_now():%Y-%m-%d %H:%M:%S}"
        return {"order_timestamp": at, "exchange_timestamp": at, "exchange_update_timestamp": at}

    def _read(self, account: _Account, api_key: str, path: str, query: dict[str, list[str]]) -> Any:
        if path.startswith("/instruments/historical/"):
            return {"candles": self._candles(query)}
        answers: dict[str, Callable[[], Any]] = {
            "/orders": lambda: account.orders,
            "/trades": lambda: [_trade(row) for row in account.orders if row["filled_quantity"]],
            "/portfolio/positions": lambda: {"net": _positions(account), "day": []},
            "/portfolio/holdings": list,
            "/user/profile": lambda: {"user_id": f"U{api_key}", "user_name": api_key},
            "/user/margins/equity": lambda: {
                "net": 1e6,
                "utilised": {"debits": 0},
                "available": {"opening_balance": 1e6},
            },
            "/quote": lambda: {name: self._quote(name) for name in query["i"]},
        }
        found = answers.get(path)
        return found() if found else None

    def _quote(self, name: str) -> dict[str, Any]:
        at = f"{self._clock.market_now():%Y-%m-%d %H:%M:%S}"
        number = int(name.rpartition("SHARE")[2])
        limits = {"lower_circuit_limit": PRICE * 0.8, "upper_circuit_limit": PRICE * 1.2}
        seen = {"timestamp": at, "last_trade_time": at, "last_price": PRICE}
        return {"instrument_token": token(number), "ohlc": {"close": PRICE}, **seen, **limits}

    def _candles(self, query: dict[str, list[str]]) -> list[list[Any]]:
        start, end = (
            datetime.fromisoformat(query[name][0]).replace(tzinfo=MARKET_ZONE)
            for name in ("from", "to")
        )
        end, found = min(end, self._clock.market_now()), []
        at = start.replace(second=0, microsecond=0)
        while at <= end:
            if _OPENS <= (at.hour, at.minute) < _CLOSES:
                found.append([f"{at:%Y-%m-%dT%H:%M:%S%z}", *[PRICE] * 4, A_MINUTE])
            at += timedelta(minutes=1)
        return found


def _good(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


def _bad(kind: str, message: str) -> dict[str, Any]:
    return {"status": "error", "message": message, "data": None, "error_type": kind}


def _master() -> bytes:
    rows = (f"{token(n)},{n},{share(n)},,0.0,,0.0,0.05,1,EQ,NSE,NSE" for n in range(SHARES))
    return "\n".join((_COLUMNS, *rows, "")).encode()


def _trade(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "trade_id": row["order_id"], "fill_timestamp": row["exchange_timestamp"]}


def _positions(account: _Account) -> list[dict[str, Any]]:
    return [
        {
            "exchange": "NSE",
            "tradingsymbol": symbol,
            "product": product,
            "quantity": bought - sold,
            "average_price": PRICE if bought != sold else 0,
            "last_price": PRICE,
            "day_buy_quantity": bought,
            "day_sell_quantity": sold,
            "day_buy_value": bought * PRICE,
            "day_sell_value": sold * PRICE,
            "realised": 0,
            "unrealised": 0,
            "close_price": 0,
            "multiplier": 1,
        }
        for (symbol, product), (bought, sold) in account.net.items()
    ]


@dataclass(frozen=True)
class _Asked:
    """One request."""

    method: str
    target: str
    api_key: str
    body: str


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with ``Content-Length``, one request after the other: no more is spoken here."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        size = int(headers.get("content-length", 0))
        if len(body) < size:
            return
        self._received = body[size:]
        method, target, _ = lines[0].split(" ", 2)
        api_key = headers.get("authorization", "").removeprefix("token ").partition(":")[0]
        self._door.answer(_Asked(method, target, api_key, body[:size].decode()), self._reply)

    def _reply(self, status: int, body: Any) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        is_text = isinstance(body, bytes)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status} {_STATUS[status]}\r\n"
            f"Content-Type: {'text/csv' if is_text else 'application/json'}\r\n"
            f"Content-Length: {len(content)}\r\nDate: {formatdate(usegmt=True)}\r\n\r\n"
        )
        self._transport.write(head.encode() + content)


async def serving(door: Door) -> asyncio.Server:
    """Open the door on loopback, at a free port."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(door), "127.0.0.1", 0, backlog=1024)


async def _serve(door: Door) -> None:
    server, stream = await serving(door), await door.stream.serve()
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]} {stream}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.door", description=__doc__)
    parser.add_argument("--clock", required=True, help="market time, as SAARTHI_CLOCK says it")
    parser.add_argument("--delay-ms", type=float, default=30.0)
    parser.add_argument("--fill-ms", type=float, default=0.0)
    chosen = parser.parse_args()
    clock = clock_from_setting(chosen.clock)
    asyncio.run(_serve(Door(clock, chosen.delay_ms / 1e3, chosen.fill_ms / 1e3)))


if __name__ == "__main__":
    main()
