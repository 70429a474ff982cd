"""A controller in a process of its own, to be killed, and the test's hold on it.

``python -m tests.faults.controller`` is a nursery: for each JSON line it reads it forks a controller.
The line says which world it lives in, the moment at which it kills itself (a ``Rule``), and the run it
shall file. A controller lives until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests
from bson import json_util

from core.bootstrap import strategy_processes
from core.domain.notices.post import Post
from core.domain.notices.stored import from_document, to_document
from core.ports.notifier import Delivered
from tests.fakes.sandbox_process import ROOT, Sandbox
from tests.faults.life import FYERS, KITE, THIRD, Told, World, living
from tests.faults.pulse import REGISTRY_AT
from tests.faults.tether import die_with_parent, tethered
from tests.faults.watch import Rule, Watch

__all__ = ["Doomed", "Nursery"]

_AWARE = json_util.JSONOptions(tz_aware=True)
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
        post: Post,
        *,
        notice_id: str,
        message_id: int | None,
        is_repeat: bool,
    ) -> Delivered:
        with self.path.open("a", encoding="utf-8") as file:
            row = [chat_id, notice_id, is_repeat, to_document(post.notice), post.key]
            file.write(json_util.dumps(row) + "\n")
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
        has_streams=task["has_streams"],
        told=told,
        accounts={broker_id: _KNOWN[key] for broker_id, key in task["accounts"].items()},
    )
    rule = Rule(**task["rule"]) if task["rule"] else None
    decisions = strategy_processes(REGISTRY_AT)
    async with living(world, Watch(rule, _kill), decisions=decisions) as life:
        if task["run"]:
            for broker_id in world.accounts:
                await life.ready(broker_id)
            await life.run(task["run"], stop_percent=task["stop_percent"])
        await asyncio.Event().wait()


def _child(task: dict[str, Any], nurse: int) -> None:
    """Be a controller, in a process of its own, until killed."""
    die_with_parent(nurse)
    with Path(task["complaints"]).open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(file.fileno(), 1)
    try:
        asyncio.run(_live(task))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        os._exit(70)


def _nurse() -> None:
    """Fork one controller for each line of stdin, and say how each one ended.

    Everything is imported once, so that a controller stands in no time; no thread and no event loop
    runs here, so that a fork is clean.
    """
    nurse = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(json.loads(line), nurse)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


class Nursery:
    """The process that forks controllers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            tethered([sys.executable, "-m", "tests.faults.controller"]),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, task: Mapping[str, Any]) -> None:
        """Start a controller."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()

    def hear(self) -> int:
        """Return the next number: the pid of a new controller, then how it ended."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def end(self) -> None:
        """Close the nursery."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(300)  # it collects what it began first


class Doomed:
    """A controller that will be killed: by itself at ``rule``, or by the test."""

    def __init__(
        self,
        nursery: Nursery,
        world: World,
        rule: Rule | None = None,
        *,
        run: str | None = None,
        stop_percent: str = "0",
    ) -> None:
        world.data.mkdir(parents=True, exist_ok=True)
        self._nursery = nursery
        self._world = world
        self._chat = world.data / "chat.jsonl"
        self._complaints = world.data / "complaints.log"
        nursery.say(
            {
                "ports": world.sandbox.ports,
                "store_uri": world.store_uri,
                "db": world.db,
                "data": str(world.data),
                "horizon_s": world.horizon_s,
                "order_deadline_s": world.order_deadline_s,
                "has_streams": world.has_streams,
                "accounts": {name: who.api_key for name, who in world.accounts.items()},
                "chat": str(self._chat),
                "complaints": str(self._complaints),
                "rule": asdict(rule) if rule else None,
                "run": run,
                "stop_percent": stop_percent,
            }
        )
        self.pid = nursery.hear()

    async def dies(self, *, within_s: float = 150.0) -> None:
        """Wait until it has killed itself, then let the next controller start at once."""
        done = await self.ends(within_s=within_s)
        assert done, f"it did not die: {self._complaint()}"

    async def ends(self, *, within_s: float) -> bool:
        """Wait until it has killed itself, or kill it; return whether it did."""
        ended = asyncio.create_task(asyncio.to_thread(self._nursery.hear))
        done, _ = await asyncio.wait({ended}, timeout=within_s)
        if not done:
            os.kill(self.pid, signal.SIGKILL)
            await ended
        assert ended.result() == -signal.SIGKILL, f"{ended.result()}: {self._complaint()}"
        self._inherit()
        await self._world.bury()
        return bool(done)

    def _complaint(self) -> str:
        return self._complaints.read_text(encoding="utf-8")[-2000:]

    async def kill(self) -> None:
        """Kill it now."""
        os.kill(self.pid, signal.SIGKILL)
        await self.dies()

    def _inherit(self) -> None:
        """Take over what the chat has seen."""
        if not self._chat.exists():
            return
        for line in self._chat.read_text(encoding="utf-8").splitlines():
            chat_id, notice_id, is_repeat, document, key = json_util.loads(
                line, json_options=_AWARE
            )
            post = Post(from_document(document), key=key)
            self._world.told.delivered.append((chat_id, notice_id, is_repeat, post))
        self._chat.unlink()


if __name__ == "__main__":
    _nurse()
