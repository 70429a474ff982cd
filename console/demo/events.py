"""What the demo can make happen outside the product: at the market, at a broker, with the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from http import HTTPStatus

import httpx

from console.demo.actor import Actor
from console.demo.stage import trading_day_after

__all__ = ["SLOW_FOR_S", "Events", "next_moments"]

SLOW_FOR_S = 60
_SLOW_BY_S = 6
_TICK = 0.05
_USUAL = ("SBIN", "RELIANCE")
_MOMENTS = (time(9, 29), time(14, 55))
_MORNING = time(8, 55)
_SOON = timedelta(minutes=2)


def next_moments(now: datetime) -> list[datetime]:
    """Return the moments of market time that it is worth to move the clock to, the next first."""
    today = [datetime.combine(now.date(), at, now.tzinfo) for at in _MOMENTS]
    morning = datetime.combine(trading_day_after(now.date()), _MORNING, now.tzinfo)
    return [one for one in (*today, morning) if one > now + _SOON][:2]


class Events:
    """Asks the sandbox's control port for what happens.

    Args:
        http: Talks to that port.
        actors: The accounts of the demo.
    """

    def __init__(self, http: httpx.AsyncClient, actors: Sequence[Actor]) -> None:
        self._http = http
        self.actors = tuple(actors)

    async def connected(self) -> list[Actor]:
        """Return the accounts that have been logged in, be it long ago; no other trades."""
        rows = (await self._http.get("/accounts")).raise_for_status().json()
        known = {(row["broker"], row["api_key"]) for row in rows if row["has_logged_in"]}
        return [one for one in self.actors if (one.broker, one.api_key) in known]

    async def symbols(self) -> list[str]:
        """Return what is worth moving: what an account holds, then two that always trade."""
        held: dict[str, None] = {}
        for one in self.actors:
            answer = await self._http.get(
                "/book", params={"broker": one.broker, "api_key": one.api_key}
            )
            if answer.status_code == HTTPStatus.OK:
                rows = answer.json()["positions"]
                held.update((row["symbol"], None) for row in rows if row["quantity"])
        return list(held | dict.fromkeys(_USUAL))[:6]

    async def move(self, symbol: str, percent: float) -> float:
        """Move a price by a percentage and let it go on from there; return the new price."""
        answer = await self._http.get("/market", params={"symbol": symbol})
        last = float(answer.raise_for_status().json()["last_price"])
        price = round(round(last * (1 + percent / 100) / _TICK) * _TICK, 2)
        await self._post("/market", symbol=symbol, last_price=price)
        await self._post("/market", symbol=symbol, last_price=None)
        return price

    async def end_login(self, actor: Actor) -> None:
        """Let a broker end the login of an account, as it does each morning at 06:00."""
        await self._post("/tokens/expire", broker=actor.broker, api_key=actor.api_key)

    async def slow_down(self, actor: Actor) -> None:
        """Let a broker answer late for a minute."""
        fault = {"target": actor.broker, "kind": "delay", "delay_s": _SLOW_BY_S}
        await self._post("/faults", **fault, times=0, lasts_s=SLOW_FOR_S)

    async def visitors(self) -> int:
        """Return how often somebody has opened the chat page, or written there."""
        answer = await self._http.get("/telegram/visitors")
        return int(answer.raise_for_status().json()["visitors"])

    async def note(self, text: str) -> None:
        """Show a text on the banner of the chat page."""
        await self._post("/telegram/banner", note=text)

    async def _post(self, path: str, **body: object) -> None:
        (await self._http.post(path, json=body)).raise_for_status()
