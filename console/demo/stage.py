"""The surroundings of a demo: its directory, market clock, ports, and its children's settings.

A directory that the user named is kept, and with it the clock: after a restart market time goes on
from the same anchor, while that is a time of the same trading day. A demo that is continued later
starts at the next trading morning instead.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from console.demo.child import DemoFailed
from console.demo.options import DemoOptions
from core.bootstrap import PROFILES
from core.config import setting_name
from core.domain.sessions import IST

__all__ = ["CHAT", "DemoClock", "Ports", "Stage", "set_stage", "trading_day_after"]

CHAT = 1001
"""The user of the chat page, and the id of the chat with the bot."""
_TOKEN = "100000001:DEMO-bot-token-of-the-sandbox-000000"  # noqa: S105 - any text is a bot there

_FIRST_DAY = date(2026, 11, 20)
_LAST_DAY = date(2026, 12, 31)
_HOLIDAYS = frozenset({date(2026, 11, 24), date(2026, 12, 25)})
_SATURDAY = 5
_LOWEST_PORT = 17_000
_OUTGOING_FROM = 32_768
_MORNING = time(9, 10)
# Late enough that nobody waits long for 09:30, when the strategy may enter, and early enough that a
# slow machine has connected both accounts by then.
_MORNING_OF_AUTOPLAY = time(9, 16)
_EVENING = time(15, 15)
_SPEED = 10.0
_SPEED_OF_AUTOPLAY = 30.0
_FASTEST = 60.0
# A clock has no way to stand, and each of its parts begins later than the one before. One that
# stands for long creeps slower: it must not be past the moment at which it goes on.
_CREEPING = 0.001
_JUST_BEFORE = timedelta(milliseconds=200)


def _now() -> datetime:
    """Return real time: the demo makes the clock that its children follow."""
    return datetime.now(UTC)  # noqa: TID251 - no clock exists before this one


@dataclass(frozen=True, slots=True)
class DemoClock:
    """Market time was ``sim`` at ``wall`` and runs ``speed`` times as fast; both are aware.

    A clock that was moved ahead has what it was before in front, so that what happened then keeps
    its time.
    """

    sim: datetime
    wall: datetime
    speed: float
    before: str = ""

    def __str__(self) -> str:
        return f"{self.before};{self.anchor}" if self.before else self.anchor

    @property
    def anchor(self) -> str:
        """The clock as it runs now, without what it was before."""
        return f"{self.sim.isoformat()}@{self.wall.isoformat()}*{self.speed:g}"

    def moved_to(self, market: datetime, real: datetime, until: datetime) -> DemoClock:
        """Return this clock, moved ahead at ``real`` to stand just before ``market`` until then.

        One that stands already stands on, however often this is asked.
        """
        if self.before and real < self.wall:
            if market < self.sim:
                # By as much as the sandbox's answer took: it goes on a moment later.
                later = (self.sim - market) / self.speed + timedelta(microseconds=1)
                market, until = market + later * self.speed, until + later
            return replace(self, sim=market, wall=until)
        speed = min(_CREEPING, _JUST_BEFORE / (until - real))
        # A clock that has only just begun has no time before.
        just_before = max(market - _JUST_BEFORE, self.sim + (market - self.sim) / 2)
        creeping = DemoClock(just_before, real, speed, str(self))
        return DemoClock(market, until, self.speed, str(creeping))

    def market_at(self, real: datetime) -> datetime:
        """Return market time (IST) at a real time."""
        if real < self.wall and self.before:
            return DemoClock.parse(self.before).market_at(real)
        return (self.sim + (real - self.wall) * self.speed).astimezone(IST)

    def now(self) -> datetime:
        """Return market time now."""
        return self.market_at(_now())

    @classmethod
    def parse(cls, text: str) -> DemoClock:
        """Read ``SIM@WALL*SPEED``; a missing WALL is now, a missing SPEED is 1.

        Raises:
            DemoFailed: A part cannot be read.
        """
        before, _, last = text.rpartition(";")
        rest, star, speed = last.partition("*")
        sim, at, wall = rest.partition("@")
        try:
            factor = float(speed) if star else 1.0
            anchor = _aware(wall) if at else _now()
            found = cls(_aware(sim), anchor, factor, before)
        except ValueError as error:
            raise DemoFailed(
                f"--clock: found {text!r}; expected SIM@WALL*SPEED with ISO times ({error})."
            ) from None
        if not 0 < factor <= _FASTEST:
            raise DemoFailed(f"--clock: found speed {factor:g}; expected above 0 and up to 60.")
        return found


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the simulators listen, by name."""

    by_name: Mapping[str, int]

    @classmethod
    def parse(cls, line: str) -> Ports:
        """Read the line that the sandbox prints; raises ``DemoFailed``."""
        try:
            return cls({str(name): int(port) for name, port in json.loads(line).items()})
        except (AttributeError, TypeError, ValueError):
            raise DemoFailed(f"the sandbox printed {line[:100]!r} instead of its ports.") from None

    def url(self, name: str, scheme: str = "http") -> str:
        """Return the root address of a simulator."""
        if name not in self.by_name:
            raise DemoFailed(f"the sandbox has no simulator {name!r}.")
        return f"{scheme}://127.0.0.1:{self.by_name[name]}"


@dataclass(slots=True)
class Stage:
    """One demo's directory, clock and port; the clock is another one when it was moved ahead.

    ``is_quick`` says that the demo's card has set up a strategy, ``waits`` that market time stands
    until somebody opens the chat page.
    """

    directory: Path
    clock: DemoClock
    listen_port: int
    is_quick: bool = False
    waits: bool = False

    @property
    def public_url(self) -> str:
        """Where the controller's pages are."""
        return f"http://127.0.0.1:{self.listen_port}"

    @property
    def clock_stands_s(self) -> float:
        """Real seconds for which a clock that was moved ahead still stands."""
        return max(0.0, (self.clock.wall - _now()).total_seconds())

    def log(self, name: str) -> Path:
        """Return the log file of a child."""
        return self.directory / f"{name}.log"

    def sandbox_arguments(self, options: DemoOptions) -> list[str]:
        """Return what starts the simulators."""
        arguments = ["sandbox", "--telegram", str(options.port), "--clock", self.clock.anchor]
        arguments += ["--state", str(self.directory / "sandbox")]
        arguments += ["--redirect-base", self.public_url]
        if options.replay is not None:
            arguments += ["--replay", str(options.replay.expanduser().resolve())]
        return arguments

    def environment(self) -> dict[str, str]:
        """Return the children's environment, without the user's own settings and proxies."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SAARTHI_", "MONGODB_")) and not name.lower().endswith("_proxy")
        }

    def controller_environment(self, ports: Ports) -> dict[str, str]:
        """Return the settings that point the controller at the sandbox."""
        roots = {
            setting_name(root.setting): ports.url(broker.api_name)
            for broker in PROFILES
            for root in broker.roots
        }
        streams = {
            setting_name(broker.stream.setting): ports.url(broker.api_name, "ws")
            for broker in PROFILES
            if broker.stream is not None
        }
        return self.environment() | {
            **roots,
            **streams,
            "SAARTHI_TELEGRAM_TOKEN": _TOKEN,
            "SAARTHI_TELEGRAM_API": ports.url("telegram"),
            "SAARTHI_CHAT_URL": ports.url("telegram"),
            "SAARTHI_OWNERS": str(CHAT),
            "SAARTHI_PUBLIC_URL": self.public_url,
            "SAARTHI_LISTEN": f"127.0.0.1:{self.listen_port}",
            "SAARTHI_DATA": str(self.directory / "saarthi"),
            "SAARTHI_CLOCK": str(self.clock),
            "SAARTHI_WARNING_INTERVAL_S": "60",
            "SAARTHI_ADDRESS_ECHO": f"{ports.url('control')}/address",
            "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE": "yes",
        }

    def follow(self, moved: str, stands_s: float) -> None:
        """Go on by the clock of the sandbox, which was moved ahead.

        Args:
            moved: That clock, ``SIM@WALL*SPEED``.
            stands_s: Real seconds for which it stands before it goes on.
        """
        real = _now()
        until = real + timedelta(seconds=max(stands_s, 0.001))
        market = DemoClock.parse(moved).market_at(until)
        self.clock = self.clock.moved_to(market, real, until)
        self.save()

    def save(self) -> None:
        """Save what a restart needs: the clock, and the market time that it has reached."""
        kept = {
            "clock": str(self.clock),
            "market_seen": self.clock.now().isoformat(),
            "listen_port": self.listen_port,
            "is_quick": self.is_quick,
            "waits": self.waits,
        }
        draft = self.directory / ".demo.json.new"
        draft.write_text(json.dumps(kept), encoding="utf-8")
        draft.replace(self.directory / "demo.json")


def set_stage(directory: Path, options: DemoOptions) -> Stage:
    """Return the surroundings of a demo, continued from what the directory holds.

    Raises:
        DemoFailed: The clock, the recording or what was kept cannot be used.
    """
    kept = _kept(directory / "demo.json")
    if kept and options.autoplay:
        raise DemoFailed(f"--autoplay starts from nothing, but {directory} holds a demo already.")
    port = _free_port(int(kept.get("listen_port") or 0))
    # One that was left before anybody came has seen nothing of its day.
    is_new = "clock" not in kept or bool(kept.get("waits")) or options.clock is not None
    waits = is_new and not options.autoplay and "@" not in (options.clock or "")
    stage = Stage(directory, _clock(options, kept), port, bool(kept.get("is_quick")), waits)
    stage.save()
    return stage


def _kept(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DemoFailed(f"{path}: cannot be read ({error}).") from None
    return found if isinstance(found, dict) else {}


def _clock(options: DemoOptions, kept: Mapping[str, Any]) -> DemoClock:
    if options.clock is not None:
        return DemoClock.parse(options.clock)
    speed = _SPEED_OF_AUTOPLAY if options.autoplay else _SPEED
    if "clock" not in kept:
        day = _FIRST_DAY if options.replay is None else _last_recorded_day(options.replay)
        begin = _MORNING_OF_AUTOPLAY if options.autoplay else _MORNING
        return DemoClock(datetime.combine(day, begin, IST), _now(), speed)
    clock = DemoClock.parse(kept["clock"])
    seen = _aware(kept["market_seen"]).astimezone(IST)
    now = clock.now()
    if kept.get("waits"):
        return replace(clock, sim=now, wall=_now(), before="")
    if now.date() == seen.date() and now.time() < _EVENING:
        return clock
    if options.replay is not None:
        raise DemoFailed("the recorded day is over; start with another --data, or give a --clock.")
    morning = datetime.combine(trading_day_after(seen.date()), _MORNING, IST)
    return replace(clock, sim=morning, wall=_now(), before="")


def trading_day_after(day: date) -> date:
    """Return the next day on which the simulated exchange trades."""
    day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day in _HOLIDAYS:
        day += timedelta(days=1)
    if day > _LAST_DAY:
        raise DemoFailed("this demo has traded through its year; start with another --data.")
    return day


def _last_recorded_day(replay: Path) -> date:
    """Return the last day in any file of a recording: it has the most history before it."""
    days: list[date] = []
    try:
        for path in replay.expanduser().glob("*.csv"):
            last = path.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
            days.append(datetime.fromisoformat(last.partition(",")[0]).date())
    except (OSError, ValueError) as error:
        raise DemoFailed(f"--replay: {replay} cannot be read ({error}).") from None
    if not days:
        raise DemoFailed(f"--replay: found no csv file in {replay}.")
    return max(days)


def _free_port(wanted: int) -> int:
    """Return the kept port when nobody listens there, else any free one.

    The controller binds it some seconds later. A port that the system hands out for outgoing
    connections could be taken meanwhile, so those above 32767 are the last resort.
    """
    first = _LOWEST_PORT + os.getpid() % (_OUTGOING_FROM - _LOWEST_PORT)
    kept = (wanted,) if wanted else ()
    for port in (*kept, *range(first, _OUTGOING_FROM), *range(_LOWEST_PORT, first), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no port is free on 127.0.0.1.")
