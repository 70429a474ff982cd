"""A controller in a process of its own, to be killed, and the test's hold on it.

``python -m tests.faults.controller`` reads one JSON line: the world it lives in, the moment at which
it kills itself (a ``Rule``), and the run it shall file. It prints a line when it stands, and lives
until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from core.domain.notice import Notice, NoticeKind
from core.ports.notifier import Delivered
from tests.faults.life import FYERS, KITE, THIRD, Told, World, living, until
from tests.faults.watch import Rule, Watch
from tests.fakes.sandbox_process import ROOT, Sandbox

__all__ = ["Doomed"]

_KNOWN = {who.api_key: who for who in (KITE, FYERS, THIRD)}


class _There(Sandbox):
    """A sandbox that somebody else started."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self._http = requests.Session()
        self._http.trust_env = False


class Scribe(Told):
    """Writes down what it delivers: the chat, which outlives the controller."""

    path: Path

    async def deliver(
        self,
        chat_id: int,
        notice: Notice,
        *,
        notice_id: str,
        message_id: int | None,
        is_repeat: bool,
    ) -> Delivered:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([chat_id, notice_id, is_repeat, notice.kind.value]) + "\n")
        return Delivered(message_id or 1)


async def _kill() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.Event().wait()


async def _live(task: dict[str, Any]) -> None:
    told = Scribe()
    told.path = Path(task["chat"])
    world = World(
        _There(task["ports"]),
        task["store_uri"],
        task["db"],
        Path(task["data"]),
        horizon_s=task["horizon_s"],
        order_deadline_s=task["order_deadline_s"],
        told=told,
        accounts={broker_id: _KNOWN[key] for broker_id, key in task["accounts"].items()},
    )
    rule = Rule(**task["rule"]) if task["rule"] else None
    async with living(world, Watch(rule, _kill)) as life:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        if task["run"]:
            for broker_id in world.accounts:
                await life.ready(broker_id)
            await life.run(task["run"], stop_percent=task["stop_percent"])
        await asyncio.Event().wait()


class Doomed:
    """A controller that will be killed: by itself at ``rule``, or by the test."""

    def __init__(
        self,
        world: World,
        rule: Rule | None = None,
        *,
        run: str | None = None,
        stop_percent: str = "0",
    ) -> None:
        world.data.mkdir(parents=True, exist_ok=True)
        self._world = world
        self._chat = world.data / "chat.jsonl"
        task = {
            "ports": world.sandbox.ports,
            "store_uri": world.store_uri,
            "db": world.db,
            "data": str(world.data),
            "horizon_s": world.horizon_s,
            "order_deadline_s": world.order_deadline_s,
            "accounts": {broker_id: who.api_key for broker_id, who in world.accounts.items()},
            "chat": str(self._chat),
            "rule": asdict(rule) if rule else None,
            "run": run,
            "stop_percent": stop_percent,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.controller"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.close()

    async def dies(self, *, within_s: float = 25.0) -> None:
        """Wait until it has killed itself, then let the next controller start at once."""

        async def is_dead() -> bool:
            return self._process.poll() is not None

        try:
            await until(is_dead, within_s=within_s, what="the crash")
        finally:
            await self._mourn()

    async def kill(self) -> None:
        """Kill it now."""
        self._process.kill()
        await self.dies()

    async def _mourn(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        assert self._process.stderr is not None and self._process.stdout is not None
        complaints = self._process.stderr.read()
        code = self._process.wait(5)
        self._process.stderr.close()
        self._process.stdout.close()
        assert code == -signal.SIGKILL, f"it ended with {code}: {complaints[-2000:]}"
        if self._chat.exists():
            for line in self._chat.read_text(encoding="utf-8").splitlines():
                chat_id, notice_id, is_repeat, kind = json.loads(line)
                notice = Notice(NoticeKind(kind))
                self._world.told.delivered.append((chat_id, notice_id, is_repeat, notice))
            self._chat.unlink()
        await self._world.bury()


if __name__ == "__main__":
    asyncio.run(_live(json.loads(sys.stdin.readline())))
