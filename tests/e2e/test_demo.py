"""``saarthi demo``: the story played by itself, and a start and an end that leave nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.demo import Demo, is_alive
from tests.fakes.sandbox_process import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

Start = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start demos that end with the test; their own temporary directories lie in ``tmp_path``."""
    started: list[Demo] = []

    def begin(*options: str, **environment: str) -> Demo:
        started.append(Demo(*options, temporary=tmp_path, **environment))
        return started[-1]

    yield begin
    for demo in started:
        demo.end()


def ledger(data: Path) -> list[dict[str, Any]]:
    """Return what the simulated brokers wrote down, lines of one order write put together."""
    rows: dict[int, dict[str, Any]] = {}
    for line in (data / "sandbox" / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        rows.setdefault(entry["seq"], {}).update(entry)
    return list(rows.values())


def trades(data: Path) -> list[dict[str, Any]]:
    """Return every trade at the simulated brokers."""
    lines = (data / "sandbox" / "state.jsonl").read_text(encoding="utf-8").splitlines()
    return [value for kind, _, value in map(json.loads, lines) if kind == "trade" and value]


def story_steps(output: list[str]) -> list[str]:
    return [line.split(": ", 1)[1].strip() for line in output if re.search(r"  seen +\d+: ", line)]


STORY = (
    "Zerodha - Main is added",
    "Zerodha - Main is logged in",
    "Fyers - Growth is added",
    "Fyers - Growth is logged in",
    "both accounts are enabled",
    "a scheduled run enters on both accounts",
    "a stop is hit on both accounts, each with its result",
    "a position of Fyers - Growth is closed in the broker's app",
    "its stop goes, and Fyers - Growth is not left short",
    "Zerodha - Main is set to exit only",
    "Zerodha - Main closes what it holds",
    "Fyers - Growth enters, Zerodha - Main may not",
    "the login of Fyers - Growth ends: one message asks for it",
    "Fyers - Growth is logged in again, and the warning goes",
    "a guard is set on the day's result of Fyers - Growth",
    "the guard fires and closes what Fyers - Growth holds",
    "a limit on the value of an order is set for Zerodha - Main",
    "a run says what the limit denies, with the numbers",
    "STOP asks once, naming the accounts",
    "panic closes everything and counts down",
    "Fyers - Growth is disabled",
    "the brokers' own records agree with the chat",
)


@pytest.mark.row("F2")
@pytest.mark.row("S1")
@pytest.mark.row("S2")
@pytest.mark.timeout(900)
def test_the_story_plays_by_itself(start: Start, tmp_path: Path) -> None:
    """Autoplay ends with 0, each step seen; the brokers' ledger bears the story out."""
    demo = start("--autoplay", "--port", "0", "--data", str(tmp_path / "kept"))
    assert demo.wait(800) == 0, "".join(demo.output[-80:] + demo.errors)
    steps = story_steps(demo.output)
    assert [told for told in STORY if not any(told in step for step in steps)] == []
    assert demo.output[-1] == f"{len(steps)} steps, all seen\n"

    rows = [row for row in ledger(tmp_path / "kept") if row["action"] == "place"]
    assert {row["broker"] for row in rows if row["applied"]} == {"kite", "fyers"}
    assert max(Counter(row["tag"] for row in rows).values()) == 1
    held: defaultdict[str, int] = defaultdict(int)
    for trade in trades(tmp_path / "kept"):
        if trade["broker"] == "kite":
            held[trade["symbol"]] += trade["quantity"] * (1 if trade["side"] == "BUY" else -1)
    assert set(held.values()) == {0}, "the drained account entered again, or kept something"
    secrets = re.compile(r"k1k1k1|FYSECRET01")
    story = demo.output[demo.output.index("\n", 8) :]
    assert not any(secrets.search(line) for line in story)


@pytest.mark.row("F2")
def test_a_story_that_is_cut_short_is_no_success(start: Start) -> None:
    """Autoplay that is stopped before its end has not seen everything: 1, and nothing runs on."""
    demo = start("--autoplay", "--port", "0")
    eventually(lambda: story_steps(demo.output))
    family = demo.family()
    demo.signal(signal.SIGTERM)
    assert demo.wait() == 1
    assert demo.errors == ["stopped before the story was over\n"]
    assert_gone(family)


@pytest.mark.row("F1")
def test_ctrl_c_ends_it_without_a_trace(start: Start, tmp_path: Path) -> None:
    """Ctrl-C ends the demo with 0: no process, no file is left."""
    demo = start("--port", "0", SAARTHI_TELEGRAM_TOKEN="of somebody's real bot")
    assert requests.get(demo.chat(), timeout=90).status_code == 200
    for broker in ("Zerodha", "Fyers"):
        assert demo.line(rf"{broker} +API key \S+ +secret \S+ +user id at login \S+")
    control = demo.line(r"^control: (http://127\.0\.0\.1:\d+/) ")
    assert control, demo.output
    help_text = requests.get(control[1], timeout=90).text
    for route in ("POST   /market ", "POST   /tokens/expire ", "POST   /telegram/send "):
        assert re.search(rf"^{route} +\w.*\.$", help_text, re.MULTILINE), help_text
    family = demo.family()
    assert len(family) >= 3, family
    demo.signal(signal.SIGINT)
    assert demo.wait() == 0, "".join(demo.errors)
    assert_gone(family)
    assert list(tmp_path.iterdir()) == []
    assert demo.errors == []
    assert demo.output[-1].startswith("The demo has ended in order; ")


def assert_gone(family: dict[int, str]) -> None:
    """Every process of a demo has ended, or does so now."""
    eventually(lambda: not any(is_alive(pid) for pid in family))


@pytest.mark.row("F1")
def test_two_run_side_by_side_and_none_outlives_its_demo(start: Start) -> None:
    """Two have ports of their own; one that is killed, or loses a child, takes the rest of it along."""
    first, second = start("--port", "0"), start("--port", "0")
    assert first.chat() != second.chat()
    families = first.family(), second.family()
    assert not set(families[0]) & set(families[1])
    first.signal(signal.SIGKILL)
    first.wait()
    assert_gone(families[0])
    assert requests.get(second.chat(), timeout=90).status_code == 200
    assert all(is_alive(pid) for pid in families[1])

    os.kill(second.child("sandbox", "--telegram"), signal.SIGKILL)
    assert_ended_with(second, "the sandbox")
    assert_gone(families[1])


def assert_ended_with(demo: Demo, child: str) -> None:
    """The demo has ended because a program of it was killed, and says which."""
    assert demo.wait() == 1
    assert "".join(demo.errors).startswith(f"saarthi demo: {child} was killed (SIGKILL)")


def says(address: str, text: str) -> None:
    body = {"user": 1001, "chat": 1001, "text": text}
    requests.post(f"{address}api/send", json=body, timeout=90).raise_for_status()


def chat_shows(address: str, words: str) -> bool:
    """Tell whether the page's first picture of the chat holds the words."""
    with requests.get(f"{address}api/events?user=1001", stream=True, timeout=90) as answer:
        picture = next(line for line in answer.iter_lines() if line.startswith(b"data:"))
    return words in json.dumps(json.loads(picture[5:]), ensure_ascii=False)


@pytest.mark.row("F1")
def test_a_restart_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    """With ``--data`` a start after SIGTERM has the chat, the open question and the clock of the first."""
    data = tmp_path / "kept"
    first = start("--port", "0", "--data", str(data))
    address = first.chat()
    says(address, "/add")
    eventually(lambda: chat_shows(address, "With which broker?"))
    # With its first visitor the market's day begins: the clock is another one then.
    eventually(lambda: first.line("The controller is back"))
    before = json.loads((data / "demo.json").read_text())
    family = first.family()
    first.signal(signal.SIGTERM)
    assert first.wait() == 0, "".join(first.errors)
    assert_gone(family)

    second = start("--port", "0", "--data", str(data))
    address = second.chat()
    after = json.loads((data / "demo.json").read_text())
    assert after["clock"] == before["clock"]
    assert after["market_seen"] > before["market_seen"]
    assert chat_shows(address, "With which broker?")
    says(address, "/cancel")
    eventually(lambda: chat_shows(address, "Cancelled adding an account"))


def test_what_cannot_start_says_so_in_one_line(start: Start) -> None:
    """A busy port: 1 and one line; what else cannot be used is in tests/unit/demo/test_stage.py."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = start("--port", str(taken.getsockname()[1]))
        assert failed.wait() == 1
    assert "the sandbox ended" in failed.errors[0]
    assert len(failed.errors) == 1, failed.errors
