"""The world that all simulators share, and the restart and reset of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

from sandbox.accounts import Accounts
from sandbox.clock import ClockSpec, MarketClock, parse_clock
from sandbox.exchange import Exchange
from sandbox.faults import Faults
from sandbox.following import FollowedBars
from sandbox.instruments import Instrument, changed_instrument, put, restore
from sandbox.ledger import Ledger
from sandbox.market import Market
from sandbox.prices import ReplayBars, SyntheticBars
from sandbox.push_sockets import PushSockets
from sandbox.sessions import change_day, restore_days
from sandbox.settings import Settings
from sandbox.simulators import simulated_brokers
from sandbox.state import State

__all__ = ["DEFAULT_REDIRECT_BASE", "World", "build_world"]

DEFAULT_REDIRECT_BASE = "http://127.0.0.1:8443"


@dataclass
class World:
    """What the simulators share.

    Attributes:
        state_dir: The ``--state`` directory; None keeps everything in memory. A simulator with
            state of its own keeps it in ``state`` under kinds of its own, or in this directory.
        urls: Address of each simulator by name, once it listens.
        parts: What a simulator wants to keep for its control routes, by its own name.
        reset_hooks: Called by ``POST /reset`` after the shared state was emptied.
        clock_hooks: Called after each step of the market clock.
    """

    clock: MarketClock
    state: State
    market: Market
    accounts: Accounts
    exchange: Exchange
    ledger: Ledger
    faults: Faults
    settings: Settings
    sockets: PushSockets
    state_dir: Path | None = None
    urls: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    reset_hooks: list[Callable[[], None]] = field(default_factory=list)
    clock_hooks: list[Callable[[], None]] = field(default_factory=list)

    def step(
        self, *, to: str | None = None, by: float | None = None, stands_s: float = 0.0
    ) -> None:
        """Step the market clock and let happen what happens on the way; it may stand there."""
        self.exchange.advance()
        self.clock.step(to=to, by=by, stands_s=stands_s)
        self.state.put("clock", "stepped", self.clock.stepped.total_seconds())
        self.state.put("clock", "stands_until", self.clock.stands_until)
        self.exchange.advance()
        for hook in self.clock_hooks:
            hook()

    def change_instrument(self, key: str, fields: dict[str, Any]) -> Instrument:
        """Change an instrument, or add one, and keep the change over restarts.

        Raises:
            InstrumentError: The change cannot be made.
        """
        changed = changed_instrument(key, fields)
        put(changed)
        kept = self.state.get("instrument", key) or {}
        self.state.put("instrument", key, kept | fields)
        return changed

    def change_day(self, day: date, opens: time | None, closes: time | None) -> None:
        """Give a day a special session or close it, and keep that over restarts.

        Raises:
            SessionError: No session can have these hours.
        """
        change_day(day, opens, closes)
        hours = [opens.isoformat(), closes.isoformat()] if opens and closes else []
        self.state.put("day", day.isoformat(), hours)

    def reset(self) -> None:
        """Put everything back to the start; the clock's steps too."""
        self.state.clear()
        restore()
        restore_days()
        self.sockets.drop()
        self.ledger.clear()
        self.faults.remove()
        self.clock.stepped, self.clock.stands_until = timedelta(), 0.0
        _keep_anchor(self.state, self.clock.spec)
        self.accounts.load()
        self.market.load()
        self.exchange.load()
        for hook in self.reset_hooks:
            hook()

    def close(self) -> None:
        """Close the files."""
        self.state.close()
        self.ledger.close()


def _read_day(day: str, hours: list[str]) -> tuple[date, time | None, time | None]:
    if not hours:
        return date.fromisoformat(day), None, None
    opens, closes = (time.fromisoformat(text) for text in hours)
    return date.fromisoformat(day), opens, closes


def _keep_anchor(state: State, spec: ClockSpec) -> None:
    state.put("clock", "anchor", spec.format())


def _clock(state: State, text: str | None) -> MarketClock:
    """Return the clock: as asked for, with its anchor and steps from an earlier run."""
    asked = parse_clock(text) if text else None
    kept = state.get("clock", "anchor")
    if asked is not None and kept and "@" not in (text or ""):
        old = parse_clock(kept)
        if (old.sim, old.speed) == (asked.sim, asked.speed):
            asked = old
    if asked is not None and kept and parse_clock(kept) != asked:
        state.put("clock", "stepped", 0.0)
        state.put("clock", "stands_until", 0.0)
    stepped = timedelta(seconds=float(state.get("clock", "stepped") or 0.0))
    spec = asked or (parse_clock(kept) if kept else None)
    clock = MarketClock(spec, stepped, float(state.get("clock", "stands_until") or 0.0))
    _keep_anchor(state, clock.spec)
    return clock


def build_world(
    *,
    clock: str | None = None,
    state_dir: Path | None = None,
    replay: Path | None = None,
    redirect_base: str = DEFAULT_REDIRECT_BASE,
) -> World:
    """Build the shared world.

    Args:
        clock: ``SIM@WALL*SPEED``; real time when None.
        state_dir: Where everything is kept over restarts.
        replay: A directory of recorded bars instead of the synthetic market.
        redirect_base: See ``sandbox.accounts``.

    Raises:
        ClockError: The clock cannot be read.
        ReplayError: The recording cannot be used.
    """
    restore()
    restore_days()
    source = FollowedBars(ReplayBars(replay) if replay else SyntheticBars())
    state = State(state_dir)
    for day, hours in state.group("day").items():
        change_day(*_read_day(day, hours))
    for key, fields in state.group("instrument").items():
        put(changed_instrument(key, fields))
    market_clock = _clock(state, clock)
    market = Market(market_clock, source, state)
    brokers = simulated_brokers()
    accounts = Accounts(market_clock, state, redirect_base, brokers)
    faults = Faults(state)
    return World(
        clock=market_clock,
        state=state,
        market=market,
        accounts=accounts,
        exchange=Exchange(market_clock, market, accounts, state, brokers),
        ledger=Ledger(market_clock, state_dir),
        faults=faults,
        settings=Settings(state),
        sockets=PushSockets(accounts, faults),
        state_dir=state_dir,
    )
