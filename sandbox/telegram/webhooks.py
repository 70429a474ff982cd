"""Updates delivered to a bot's address instead of being polled.

Each lane (a chat, or a user's taps in it) keeps its order; lanes do not wait for one another.
What is not answered with 2xx is sent again after 1, 2, 4 .. 60 s or as `Retry-After` says, until
it is too old. A 2xx answer may name a method to run.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from sandbox.telegram.model import Bot, Json, PendingUpdate
from sandbox.telegram.simulator import Simulator

__all__ = ["WebhookDelivery"]

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_MAX_PAUSE_S = 60.0
_DEADLINE_S = 60.0
Execute = Callable[[Bot, str, Json], Awaitable[Any]]


class WebhookDelivery:
    """Delivers the updates of every bot that has a webhook.

    Args:
        sim: The simulator.
        execute: Runs a method that the answer to a delivery names.
    """

    def __init__(self, sim: Simulator, execute: Execute) -> None:
        self._sim = sim
        self._execute = execute
        self._busy: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver for as long as the server runs."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_DEADLINE_S), trust_env=False
        ) as session:
            try:
                while not self._sim.closing.is_set():
                    self._start_lanes(session)
                    await asyncio.sleep(0.05)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_lanes(self, session: aiohttp.ClientSession) -> None:
        for bot in self._sim.bots.values():
            if not bot.webhook:
                continue
            queue = self._sim.queue(bot)
            queue.expire()
            for update in queue.pending:
                lane = (bot.token, update.lane)
                running = sum(1 for token, _ in self._busy if token == bot.token)
                if lane in self._busy or running >= bot.webhook["max_connections"]:
                    continue
                self._busy.add(lane)
                task = asyncio.create_task(self._lane(session, bot, update.lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _lane(self, session: aiohttp.ClientSession, bot: Bot, lane: str) -> None:
        failures = 0
        try:
            while bot.webhook:
                queue = self._sim.queue(bot)
                queue.expire()
                update = next((u for u in queue.pending if u.lane == lane), None)
                if update is None:
                    return
                pause_s = await self._deliver(session, bot, update)
                if pause_s is None:
                    queue.remove(update)
                    failures = 0
                    continue
                await asyncio.sleep(pause_s or min(_MAX_PAUSE_S, 2.0**failures))
                failures += 1
        finally:
            self._busy.discard((bot.token, lane))

    async def _deliver(
        self, session: aiohttp.ClientSession, bot: Bot, update: PendingUpdate
    ) -> float | None:
        """Send one update; None when it was taken, else the seconds asked for (0: no wish)."""
        webhook = bot.webhook
        if not webhook:
            return 0.0
        headers = {SECRET_HEADER: webhook["secret_token"]} if webhook["secret_token"] else {}
        body = {"update_id": update.update_id, update.kind: update.body}
        try:
            async with session.post(
                webhook["url"], json=body, headers=headers, allow_redirects=False
            ) as answer:
                text = await answer.text()
                if 200 <= answer.status < 300:  # noqa: PLR2004 - the range of success
                    await self._run_answer(bot, text)
                    return None
                self._failed(
                    bot, f"Wrong response from the webhook: {answer.status} {answer.reason}"
                )
                wish = answer.headers.get("Retry-After", "")
                return float(wish) if wish.isdigit() else 0.0
        except TimeoutError:
            self._failed(bot, "Read timeout expired")
        except aiohttp.ClientError:
            self._failed(bot, "Connection refused")
        return 0.0

    def _failed(self, bot: Bot, text: str) -> None:
        if bot.webhook:
            bot.webhook["last_error_date"] = int(self._sim.now())
            bot.webhook["last_error_message"] = text
            self._sim.storage.save("bot", bot.token, bot)

    async def _run_answer(self, bot: Bot, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            return
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            return
        method = body.pop("method")
        if not method.lower().startswith("get") and "webhook" not in method.lower():
            await self._execute(bot, method, body)
