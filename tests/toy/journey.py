"""From /add to a filled order at Toy: the real programs, in a repository that Toy was added to.

Not collected by itself: tests/e2e/test_adding_a_broker.py runs it in such a repository.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from console.demo.actor import Actor
from console.demo.connecting import add
from console.demo.operator import Operator
from core.adapters.clock import clock_from_setting
from tests.fakes.clock import clock_text
from tests.fakes.installation import Installation
from tests.fakes.ports import free_port
from tests.fakes.sandbox_process import ROOT, Sandbox, eventually

pytestmark = pytest.mark.timeout(900)

BREAKOUT = "2026-11-23T09:31:02+05:30"
"""The run of this minute enters."""
SLOW = 0.05
STRATEGY = "Opening range breakout"


@dataclass
class Scene:
    """The simulators, the installation and the user."""

    sandbox: Sandbox
    here: Installation
    operator: Operator
    actor: Actor
    url: str


@contextlib.contextmanager
def running(here: Installation, log: Path) -> Iterator[None]:
    """Run the controller until the block ends; it must end well."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "console", "run"],
            cwd=ROOT,
            env=here.environment,
            stdout=out,
            stderr=out,
        )
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0, log.read_text(encoding="utf-8")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


async def until_healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(150):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"{url}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Everything runs; no account is connected."""
    url = f"http://127.0.0.1:{free_port()}"
    clock = clock_text(BREAKOUT, SLOW)
    sandbox = Sandbox(clock=clock)
    here = Installation(sandbox, tmp_path / "data", clock)
    here.extra = {"SAARTHI_PUBLIC_URL": url, "SAARTHI_LISTEN": url.removeprefix("http://")}
    callback = f"{url}/broker/callback/toy"
    actor = Actor("toy", "Toy", "Third", "toy-sim1", "wordsofthetoy", "TOY1", callback)
    try:
        with running(here, tmp_path / "log"):
            async with httpx.AsyncClient(
                base_url=sandbox.url("control"), trust_env=False, timeout=60
            ) as http:
                operator = Operator(http, clock_from_setting(clock).market_now)
                await until_healthy(url)
                yield Scene(sandbox, here, operator, actor, url)
    finally:
        sandbox.end()


async def test_toy_is_added_logged_in_and_trades(scene: Scene) -> None:
    """The wizard asks in Toy's words, its login leads back, and its order fills."""
    do, actor = scene.operator, scene.actor
    asked = await do.say("/add", "With which broker?", button="Toy")
    guide = await do.tap(asked, "Toy", "console.toy.example", actor.redirect_url, button="Continue")
    await do.tap(guide, "Cancel", "Cancelled")
    added = await add(do, actor)
    await do.logs_in(added, actor.label, actor.user_id)
    page = await do.say("/brokers", "Your accounts", actor.label)
    await do.tap(page, "Enable Third", "Your accounts", button="Disable Third")
    page = await do.say("/strategies", STRATEGY)
    page = await do.tap(page, STRATEGY, STRATEGY, button="Run now")
    asked = await do.tap(page, "Run now", STRATEGY, button="Run it now")
    await do.tap(asked, "Run it now", "runs now")
    eventually(lambda: [row for row in scene.here.ledger() if row["broker"] == "toy"])
    await do.waits(lambda: _says_filled(do, actor.label), "a filled order at Toy")


def _says_filled(do: Operator, label: str) -> bool:
    return any(
        message.holds(label) and (message.holds(" bought ") or message.holds(" sold "))
        for message in do.chat.shown()
    )


async def test_the_web_server_knows_toy(scene: Scene) -> None:
    """A postback that nobody signed is refused; a callback that nobody started has its page."""
    async with httpx.AsyncClient(base_url=scene.url, trust_env=False, timeout=60) as http:
        forged = await http.post("/postback/toy", json={"user": "TOY1", "order": "1", "mark": "x"})
        stranger = await http.get("/broker/callback/toy", params={"memo": "x", "ticket": "y"})
    assert (forged.status_code, stranger.status_code) == (403, 404)
