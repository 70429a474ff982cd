"""What a fan-out is compared with: the same order requests without a controller, to the same door.

``bare`` is one aiohttp session that sends every order at once; ``sdk_loop`` is what many people run,
the official SDK's ``place_order`` for one account after the other; ``sdk_threads`` the same with a
thread an account. Connections are open before, as the controller's are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests

from core.adapters.zerodha.sdk import kite_sdk
from tests.bench.door import share

__all__ = ["Bare", "sdk_loop", "sdk_threads", "sdks"]

_ORDER = {
    "exchange": "NSE",
    "tradingsymbol": share(0),
    "transaction_type": "BUY",
    "quantity": 1,
    "product": "MIS",
    "order_type": "MARKET",
    "validity": "DAY",
    "market_protection": -1,
}


class Bare:
    """Sends orders of many accounts at once."""

    def __init__(self, door: str, session: aiohttp.ClientSession, keys: Sequence[str]) -> None:
        self._door = door
        self._session = session
        self._keys = keys
        self._serial = 0

    def _headers(self, key: str) -> dict[str, str]:
        return {"X-Kite-Version": "3", "Authorization": f"token {key}:t{key}"}

    async def warm(self) -> None:
        """Open a connection for each account."""
        await asyncio.gather(*(self._read(key) for key in self._keys))

    async def _read(self, key: str) -> None:
        async with self._session.get(
            f"{self._door}/user/profile", headers=self._headers(key)
        ) as answer:
            await answer.read()

    async def send(self) -> tuple[float, list[str]]:
        """Send one order an account; return seconds until the last answer, and the tags."""
        self._serial += 1
        tags = [f"BARE{self._serial:04d}N{number}" for number in range(len(self._keys))]
        began = time.perf_counter()
        await asyncio.gather(*map(self._place, self._keys, tags))
        return time.perf_counter() - began, tags

    async def _place(self, key: str, tag: str) -> None:
        headers = {**self._headers(key), "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({**_ORDER, "tag": tag})
        async with self._session.post(
            f"{self._door}/orders/regular", data=body, headers=headers
        ) as answer:
            found = await answer.json()
        assert found["status"] == "success", found


def sdks(door: str, keys: Sequence[str]) -> list[Any]:
    """Return a connected SDK for each account."""
    found = []
    for key in keys:
        kite = kite_sdk(door, key, f"t{key}")
        kite.reqsession = requests.Session()  # the SDK's own way to send
        kite.reqsession.trust_env = False
        kite.profile()
        found.append(kite)
    return found


def _place(kite: Any) -> None:
    terms = {**_ORDER, "market_protection": "-1"}
    assert kite.place_order(variety="regular", tag="SDK", **terms)


def sdk_loop(kites: Sequence[Any]) -> float:
    """Return how many seconds one order an account takes, one after the other."""
    began = time.perf_counter()
    for kite in kites:
        _place(kite)
    return time.perf_counter() - began


def sdk_threads(kites: Sequence[Any]) -> float:
    """Return how many seconds one order an account takes, each on a thread of its own."""
    with ThreadPoolExecutor(len(kites)) as pool:
        list(pool.map(id, kites))
        began = time.perf_counter()
        list(pool.map(_place, kites))
        return time.perf_counter() - began
