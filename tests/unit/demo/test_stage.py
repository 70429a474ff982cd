"""Where and when a demo takes place: a fresh one, one that is taken up again, a recorded day."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from console.demo.actor import Actor
from console.demo.child import DemoFailed
from console.demo.guide import guide
from console.demo.options import DemoOptions
from console.demo.stage import DemoClock, Ports, set_stage
from core.adapters.clock import clock_from_setting
from core.domain.sessions import IST
from sandbox.sessions import is_trading_day

pytestmark = [pytest.mark.dates, pytest.mark.row("F1")]

PORTS = Ports.parse('{"control": 1, "kite": 2, "fyers": 3, "telegram": 4}')


def kept(directory: Path, *, clock: str, seen: str) -> None:
    text = json.dumps({"clock": clock, "market_seen": seen, "listen_port": 0})
    (directory / "demo.json").write_text(text)


def wall(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def _speed_of_autoplay(directory: Path) -> float:
    directory.mkdir()
    return set_stage(directory, DemoOptions(autoplay=True)).clock.speed


def test_a_fresh_demo_starts_on_a_trading_morning(tmp_path: Path) -> None:
    """Whatever the real hour, market time starts at 09:10 IST of a day on which the exchange opens."""
    stage = set_stage(tmp_path, DemoOptions())
    now = stage.clock.now()
    assert is_trading_day(now.date())
    assert time(9, 10) <= now.time() < time(9, 12)
    assert DemoClock.parse(str(stage.clock)) == stage.clock
    assert 1 < stage.clock.speed < _speed_of_autoplay(tmp_path / "other")


def test_the_same_day_goes_on_from_the_same_anchor(tmp_path: Path) -> None:
    """A restart within the trading day changes nothing about the clock, nor the port if it is free."""
    first = set_stage(tmp_path, DemoOptions())
    first.waits = False
    first.save()
    second = set_stage(tmp_path, DemoOptions())
    assert (second.clock, second.listen_port) == (first.clock, first.listen_port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.listen_port))
        taken.listen()
        assert set_stage(tmp_path, DemoOptions()).listen_port != first.listen_port


@pytest.mark.parametrize(
    ("seen", "morning"),
    [("2026-11-20T12:00", "2026-11-23"), ("2026-11-23T12:00", "2026-11-25")],
    ids=["over a weekend", "over a holiday"],
)
def test_a_later_day_starts_on_the_next_trading_morning(
    tmp_path: Path, seen: str, morning: str
) -> None:
    """A demo that lay for days goes on at 09:10 of the next trading day, not in some night."""
    kept(tmp_path, clock=f"{seen}+05:30@{wall(days=3)}*10", seen=f"{seen}+05:30")
    now = set_stage(tmp_path, DemoOptions()).clock.now()
    assert is_trading_day(now.date())
    assert now.date().isoformat() == morning
    assert time(9, 10) <= now.time() < time(9, 12)


def test_a_clock_that_is_moved_ahead_is_one_clock_for_all(tmp_path: Path) -> None:
    """The controller's clock knows what was before, the sandbox goes on from the step, and a restart too."""
    stage = set_stage(tmp_path, DemoOptions(clock="2026-11-20T09:10*10"))
    stage.waits = False
    before = datetime.now(UTC)
    for stands_s in (30, 60):
        until = before + timedelta(seconds=stands_s)
        stage.follow(f"2026-11-20T14:55+05:30@{until.isoformat()}*10", stands_s)
    after = stage.clock.wall
    assert after >= before + timedelta(seconds=60)
    controller = clock_from_setting(stage.controller_environment(PORTS)["SAARTHI_CLOCK"])
    for real in (before - timedelta(seconds=2), after, after + timedelta(minutes=3)):
        sandbox = DemoClock.parse(stage.clock.anchor).market_at(real)
        assert (controller.market_at(real) == sandbox) is (real >= after)
    assert controller.market_at(before - timedelta(seconds=2)).hour == 9
    standing = after - timedelta(seconds=50)
    just_before = controller.market_at(after) - timedelta(seconds=0.5)
    assert just_before <= controller.market_at(standing) < controller.market_at(after)
    assert stage.clock.market_at(standing) == controller.market_at(standing)
    again = set_stage(tmp_path, DemoOptions())
    assert again.clock == stage.clock
    assert again.clock.anchor in again.sandbox_arguments(DemoOptions())


def test_a_clock_that_waits_for_its_user_goes_on_where_it_stood(tmp_path: Path) -> None:
    """For days; whoever is told of it a moment late follows no step back, nor does one who looks."""
    stage = set_stage(tmp_path, DemoOptions())
    assert stage.waits
    begun, days = datetime.now(UTC), timedelta(days=30)
    begin = f"2026-11-20T09:10:30+05:30@{(begun + days).isoformat()}*10"
    stage.follow(begin, days.total_seconds())
    waiting = str(stage.clock)
    stage.follow(f"2026-11-20T09:10:29.4+05:30@{begun.isoformat()}*10", 3)
    stage.waits = False
    for text in (waiting, stage.controller_environment(PORTS)["SAARTHI_CLOCK"]):
        clock = clock_from_setting(text)
        assert clock.market_at(begun + timedelta(seconds=2)).strftime("%H:%M") == "09:10"
    assert clock_from_setting(waiting).market_at(begun + days / 2).strftime("%H:%M") == "09:10"
    assert clock.market_at(begun + timedelta(minutes=3)).hour == 9 < stage.clock.sim.minute
    assert clock.market_at(begun + timedelta(minutes=3)).minute > 30


def test_a_demo_that_nobody_came_to_begins_its_day_anew(tmp_path: Path) -> None:
    """At the time at which it stood, and waits again; one that somebody saw goes on."""
    first = set_stage(tmp_path, DemoOptions())
    until = timedelta(days=30)
    wall_then = (datetime.now(UTC) + until).isoformat()
    first.follow(f"2026-11-20T09:10:30+05:30@{wall_then}*10", until.total_seconds())
    again = set_stage(tmp_path, DemoOptions())
    assert again.waits and again.clock.before == ""
    assert abs(again.clock.now() - first.clock.now()) < timedelta(minutes=2)
    again.waits = False
    again.save()
    assert not set_stage(tmp_path, DemoOptions()).waits


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        (DemoOptions(), True),
        (DemoOptions(clock="2026-11-20T09:25*30"), True),
        (DemoOptions(clock="2026-11-20T09:25@2026-11-20T09:25*30"), False),
        (DemoOptions(autoplay=True), False),
    ],
)
def test_only_a_story_without_its_user_waits(
    tmp_path: Path, options: DemoOptions, *, waits: bool
) -> None:
    """Not one that plays by itself, nor one whose clock is tied to real time."""
    assert set_stage(tmp_path, options).waits is waits


def test_a_clock_of_ones_own_wins(tmp_path: Path) -> None:
    """``--clock`` replaces what was kept; WALL is now and SPEED is 1 where they are left out."""
    kept(tmp_path, clock=f"2026-11-20T12:00+05:30@{wall(days=3)}*10", seen="2026-11-20T12:00+05:30")
    before = datetime.now(UTC)
    clock = set_stage(tmp_path, DemoOptions(clock="2026-12-01T10:00")).clock
    assert (clock.sim, clock.speed) == (datetime(2026, 12, 1, 10, tzinfo=IST), 1)
    assert before <= clock.wall <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (DemoOptions(clock="noon"), "--clock: found 'noon'"),
        (DemoOptions(clock="2026-12-01T10:00*90"), "found speed 90"),
        (DemoOptions(replay=Path("none-of-these")), "found no csv file"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, options: DemoOptions, said: str) -> None:
    """The one line says which option, and what was found."""
    with pytest.raises(DemoFailed, match=r"^--") as failed:
        set_stage(tmp_path, options)
    assert said in str(failed.value)


def test_a_recording_runs_on_its_last_day(tmp_path: Path) -> None:
    """A replay starts on the last recorded morning, and is not taken up after that day."""
    bars = "timestamp,open,high,low,close,volume\n2021-05-11T09:15:00+05:30,1,1,1,1,1\n"
    (tmp_path / "SBIN.csv").write_text(bars + "2021-05-12T09:15:00+05:30,1,1,1,1,1\n")
    (tmp_path / "INFY.csv").write_text(bars)
    options = DemoOptions(replay=tmp_path)
    now = set_stage(tmp_path, options).clock.now()
    assert now.isoformat()[:16] == "2021-05-12T09:10"
    kept(tmp_path, clock=f"2021-05-12T09:10@{wall(days=1)}*10", seen="2021-05-12T12:00+05:30")
    with pytest.raises(DemoFailed, match="the recorded day is over"):
        set_stage(tmp_path, options)


def test_autoplay_wants_a_place_of_its_own(tmp_path: Path) -> None:
    """The story begins with no account, so a directory that holds a demo is refused."""
    set_stage(tmp_path, DemoOptions())
    with pytest.raises(DemoFailed, match="holds a demo already"):
        set_stage(tmp_path, DemoOptions(autoplay=True))


@pytest.mark.row("G2")
def test_a_users_own_settings_stay_out(tmp_path: Path, own_settings: None) -> None:
    """The children know nothing of a real token, store or proxy; the sandbox gets no token at all."""
    stage = set_stage(tmp_path, DemoOptions())
    box, controller = stage.environment(), stage.controller_environment(PORTS)
    assert {name for name in box if name.startswith(("SAARTHI_", "MONGODB_"))} == set()
    assert "https_proxy" not in box
    assert box["PATH"] == os.environ["PATH"]
    assert "MONGODB_URI" not in controller
    assert "real" not in controller["SAARTHI_TELEGRAM_TOKEN"]
    assert controller["SAARTHI_TELEGRAM_API"] == "http://127.0.0.1:4"
    assert controller["SAARTHI_CHAT_URL"] == "http://127.0.0.1:4", "the chat page"
    assert str(tmp_path) in controller["SAARTHI_DATA"]
    assert not any("DEMO-bot-token" in word for word in stage.sandbox_arguments(DemoOptions()))


@pytest.fixture
def own_settings():
    own = {
        "SAARTHI_TELEGRAM_TOKEN": "1:real",
        "MONGODB_URI": "mongodb://real",
        "https_proxy": "http://proxy:1",
    }
    before = dict(os.environ)
    os.environ.update(own)
    yield
    for name in own:
        os.environ.pop(name)
        if name in before:
            os.environ[name] = before[name]


def test_what_was_kept_cannot_be_read(tmp_path: Path) -> None:
    """A damaged file of an earlier demo is named, and left as it is."""
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(DemoFailed, match=r"demo\.json: cannot be read"):
        set_stage(tmp_path, DemoOptions())
    assert (tmp_path / "demo.json").read_text() == "{"


@pytest.mark.parametrize("is_watched", [True, False])
def test_the_guide_begins_with_the_one_address_to_open(tmp_path: Path, *, is_watched: bool) -> None:
    """The chat's; who plays by hand gets the keys of the simulated brokers, and how to end it."""
    stage = set_stage(tmp_path, DemoOptions())
    actor = Actor("kite", "Zerodha", "Main", "key", "secret", "AB1234", "http://127.0.0.1/cb")
    text = guide(stage, PORTS, {"kite": actor}, is_watched=is_watched)
    assert text.startswith("chat: http://127.0.0.1:4/\n")
    assert text.count("chat:") == 1
    for words in ("API key key   secret secret", "Ctrl-C ends the demo"):
        assert (words in text) is not is_watched
    assert stage.controller_environment(PORTS)["SAARTHI_PUBLIC_URL"] == stage.public_url
