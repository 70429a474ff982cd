"""Random days in memory: strategy, user, broker, people besides and ends of the process, by a seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from core.domain.target import Direction
from tests.campaign.compared import compare
from tests.campaign.rest import come_to_rest
from tests.campaign.scripted import Wish, WishingStrategy
from tests.campaign.story import story_of
from tests.campaign.troubles import PLACE_TROUBLES, READ_TROUBLES, WRITE_TROUBLES
from tests.campaign.umpire import Umpire, Verdict
from tests.campaign.users import Users
from tests.campaign.virtual import VirtualLoop, run_virtually
from tests.campaign.world import INFY, SBIN, World
from tests.faults.watch import Rule

__all__ = ["Menu", "play_day", "random_day"]

_ENDPOINTS = ("orders", "trades", "positions", "holdings", "funds", "quotes", "candles", "*")
_LONGEST_S = 7200.0
"""So long in virtual time no day is: one that does not end is a world that is broken."""
_LATENCIES_S = (0.005, 0.04, 0.04, 0.3, 0.8)
"""Of a request; with the longest, what is pushed crosses what is read and what is sent."""
_DECISION_DIES_S = 150.0
_NO_STOPS = 0.15
"""Of the days have a broker that takes no stop."""
_MORNING = datetime(2026, 11, 23, 10, 0, 40, tzinfo=IST)
_CLOSING = datetime(2026, 11, 23, 14, 50, 40, tzinfo=IST)


@dataclass(frozen=True)
class Menu:
    """What may happen on a day, and how often.

    Attributes:
        minutes: How long things happen.
        pause_s: Mean seconds between two troubles.
        kills: How often the process ends.
        people: Whether others trade besides.
        modes: Whether the user changes modes.
        safeguards: Whether two users set limits and guards and start panics.
    """

    minutes: int = 8
    pause_s: float = 4.0
    kills: int = 5
    people: bool = True
    modes: bool = True
    safeguards: bool = True


class _Day:
    """One day as it is played."""

    def __init__(self, seed: int, menu: Menu, loop: VirtualLoop) -> None:
        self.chance = random.Random(f"day {seed}")
        self.menu = menu
        start = self.chance.choice([_MORNING, _MORNING, _CLOSING])
        names = {"alpha": SBIN, "beta": self.chance.choice([SBIN, INFY])}
        strategies = {name: WishingStrategy(name, where) for name, where in names.items()}
        for strategy in strategies.values():
            strategy.wishes = self._wishes(start)
        unrest = self.chance.choice([0.0006, 0.0012, 0.0025])
        latency_s = random.Random(f"latency {seed}").choice(_LATENCIES_S)
        self.world = World(
            seed, loop, start, strategies, unrest, pushes=seed % 2 == 0, latency_s=latency_s
        )
        self.umpire = Umpire(self.world)
        self._ending = asyncio.Lock()
        self.users = Users(self.world, random.Random(f"users {seed}"))

    def _wishes(self, start: datetime) -> list[Wish]:
        chance, at, found = self.chance, start.replace(second=0), []
        for _ in range(self.menu.minutes):
            at += timedelta(minutes=chance.randint(1, 3))
            direction = chance.choice(
                [Direction.LONG, Direction.LONG, Direction.SHORT, Direction.FLAT]
            )
            percent = chance.choice(["0.3", "0.6", "1", "2"])
            found.append(Wish(at, direction, Decimal(percent)))
        return found

    # The day

    async def play(self) -> Verdict:
        world, chance, menu = self.world, self.chance, self.menu
        await world.open()
        sizes = {"alpha": chance.choice([6, 25, 100]), "beta": chance.choice([5, 30])}
        await world.connect(ZERODHA, "One", sizes)
        if chance.random() < 0.4:
            await world.connect(FYERS, "Two", sizes)
        if random.Random(f"stops {world.seed}").random() < _NO_STOPS:
            world.client(world.accounts[-1]).refuses_stops = True
        for broker_id in world.accounts:
            venue = world.venue(broker_id)
            venue.on_fill = partial(self.umpire.filled, broker_id)
        for name in world.strategies:
            await self._enable(name)
        loop = world.loop
        helpers = [
            loop.create_task(world.every(1.0, self.umpire.observe), name="w:umpire"),
            loop.create_task(compare(world), name="w:comparer"),
            loop.create_task(self._reap(), name="w:reaper"),
            loop.create_task(self._kill_decisions(), name="w:decisions"),
            loop.create_task(self._kill(), name="w:killer"),
        ]
        until = loop.time() + menu.minutes * 60
        while loop.time() < until:
            await asyncio.sleep(chance.expovariate(1 / menu.pause_s))
            await self._trouble()
        async with self._ending:  # not in the middle, with no controller
            helpers[-1].cancel()
        await self.users.end()
        await come_to_rest(world, self.umpire.verdict)
        for helper in helpers:
            helper.cancel()
        return self.umpire.judge()

    async def _enable(self, name: str) -> None:
        await self.world.ask(
            "enable",
            lambda system, command: system.control.strategy_settings.set_enabled(
                command, name, enabled=True
            ),
        )

    # Ends of the process

    async def _kill(self) -> None:
        """End the process at moments by chance, and now and then in the middle of its recovery."""
        chance = self.chance
        mean = self.menu.minutes * 60 / max(1, self.menu.kills)
        while self.menu.kills:
            await asyncio.sleep(chance.uniform(0.3, 1.7) * mean)
            for _ in range(chance.choice([1, 1, 1, 3])):
                async with self._ending:
                    await self.world.restart(chance.uniform(0.5, 6.0))
                await asyncio.sleep(chance.uniform(0.0, 2.0))

    async def _kill_decisions(self) -> None:
        """Now and then kill what decides, in the middle."""
        chance = random.Random(f"decisions {self.world.seed}")
        while True:
            await asyncio.sleep(chance.expovariate(1 / _DECISION_DIES_S))
            if not self.world.deaths:
                self.world.decision_dies()

    async def _reap(self) -> None:
        """Start a controller again that ended at a chosen call."""
        while True:
            await asyncio.sleep(0.25)
            async with self._ending:
                life = self.world.life
                if life is not None and (life.watch.is_dead or life.task.done()):
                    await self.world.restart(self.chance.uniform(0.5, 5.0))

    def _doom(self) -> None:
        """Let the controller die at one of its next calls."""
        life = self.world.life
        if life is not None and life.watch.rule is None and self.menu.kills:
            name, side = self.chance.choice(
                [
                    ("place", "before"),
                    ("place", "after"),
                    ("cancel", "after"),
                    ("deliver", "after"),
                    ("*", ""),
                ]
            )
            life.watch.rule = Rule(name, side, 1 if name != "*" else self.chance.randint(1, 40))

    # Troubles

    async def _trouble(self) -> None:
        chance, menu = self.chance, self.menu
        kinds: list[tuple[float, Callable[[], object]]] = [
            (5, self._write_trouble),
            (5, self._read_trouble),
            (0.6, self._doom),
            (0.5, self._messenger),
            (0.3, self._store_away),
            (0.3, self._login_dies),
            (0.6, self._user_runs),
            (0.5, self._user_closes),
        ]
        if menu.people:
            kinds += [(0.7, self._hand_trade), (0.3, self._hand_cancel), (0.1, self._convert)]
        if menu.modes:
            kinds += [(0.4, self._mode), (0.2, self.world.redeliver)]
        if menu.safeguards:
            kinds += [
                (0.6, self.users.set_limits),
                (0.4, self.users.change_guard),
                (0.15, self.users.panic),
                (0.8, self.users.answer),
            ]
        (act,) = chance.choices([kind[1] for kind in kinds], [kind[0] for kind in kinds])
        done = act()
        if isinstance(done, Awaitable):
            await done

    def _someone(self) -> str:
        return self.chance.choice(self.world.accounts)

    def _write_trouble(self) -> None:
        chance = self.chance
        action = chance.choice(["place", "place", "cancel", "modify"])
        kinds = PLACE_TROUBLES if action == "place" else WRITE_TROUBLES
        if action == "place" and self.menu.safeguards:
            kinds = (*kinds, "lost tag")
        kind = chance.choice([*kinds, "fills"] if action == "cancel" else kinds)
        self.world.client(self._someone()).troubles.write(action, kind)

    def _read_trouble(self) -> None:
        chance = self.chance
        endpoint, kind = chance.choice(_ENDPOINTS), chance.choice(READ_TROUBLES)
        if endpoint == "positions" and chance.random() < 0.3:
            kind = "empty"
        troubles = self.world.client(self._someone()).troubles
        # Reads stand still for less than the horizon (a longer stand-still is a case of its own).
        troubles.read(endpoint, kind, chance.uniform(1, 9))

    def _messenger(self) -> None:
        chat = self.world.chat
        if self.chance.random() < 0.5:
            chat.away_until = chat.now() + self.chance.uniform(2, 20)
        else:
            chat.loses_answers += 1

    async def _store_away(self) -> None:
        world = self.world
        world.store_outages += 1
        if self.chance.random() < 0.3:
            world.database.lost_answers = 1  # what it did is done, and the controller is not told
            return
        world.database.is_away = True
        await asyncio.sleep(self.chance.uniform(0.5, 6))
        world.database.is_away = False

    async def _login_dies(self) -> None:
        who = self._someone()
        self.world.client(who).is_login_dead = True
        self.world.client(who).troubles.bitten["login dies"] += 1
        await asyncio.sleep(self.chance.uniform(2, 15))
        await self.world.log_in(who)

    # The user

    async def _user_runs(self) -> None:
        name = self.chance.choice(sorted(self.world.strategies))
        await self.world.ask("run", lambda system, command: system.control.runs.file(command, name))

    async def _user_closes(self) -> None:
        who, key = self._someone(), f"{self.chance.choice([SBIN, INFY])}|MIS"
        await self.world.ask(
            "close",
            lambda system, command: system.control.orders.close(
                command, who, key, despite_pause=True
            ),
        )

    async def _mode(self) -> None:
        mode = self.chance.choice([TradingMode.EXIT_ONLY, TradingMode.PAUSED])
        who = self.chance.choice([None, self._someone()])

        await self.world.set_mode(mode, who)
        await asyncio.sleep(self.chance.uniform(3, 30))
        await self.world.set_mode(TradingMode.NORMAL, who)

    # Others

    def _hand_trade(self) -> None:
        """A person trades in the broker's app, most often against what is held."""
        chance, venue = self.chance, self.world.venue(self._someone())
        instrument = chance.choice([SBIN, INFY])
        held = venue.net((instrument, Product.MIS))
        side = Side.of(-held) if held and chance.random() < 0.8 else chance.choice(list(Side))
        units = min(abs(held), 40) if held and chance.random() < 0.5 else chance.randint(1, 8)
        if held and side is Side.of(-held):
            units = min(units, abs(held))
        price = venue.market.price(instrument, venue.wall())
        rests = chance.random() < 0.25
        limit = price + side.sign * (Decimal(-2) if rests else Decimal(2))
        kind = OrderType.LIMIT if rests else OrderType.MARKET
        venue.by_hand(
            OrderRequest("", instrument, side, units, kind, Product.MIS, limit if rests else None)
        )

    def _hand_cancel(self) -> None:
        """A person cancels a working order in the broker's app."""
        venue = self.world.venue(self._someone())
        at_work = [order for order in venue.orders.values() if order.is_live]
        if at_work:
            venue.end(self.chance.choice(at_work), "CANCELLED", by="hand")

    def _convert(self) -> None:
        venue = self.world.venue(self._someone())
        held = venue.net((SBIN, Product.MIS))
        if held > 0:
            venue.convert(SBIN, Product.MIS, Product.CNC, self.chance.randint(1, held))


def random_day(seed: int, menu: Menu | None = None) -> Verdict:
    """Play one day and return what the umpire says."""

    async def day(loop: VirtualLoop) -> Verdict:
        played = _Day(seed, menu or Menu(), loop)
        async with asyncio.timeout(_LONGEST_S):
            verdict = await played.play()
        if verdict.faults:
            verdict.story = story_of(played.world)
        return verdict

    return run_virtually(day, seed)


def play_day(seed: int) -> Verdict:
    """Play the day of a seed: every third without people besides and without changes of mode.

    Every fourth is without limits, guards and panics, which keep much of a day from happening.
    """
    quiet = seed % 3 == 0
    return random_day(seed, Menu(people=not quiet, modes=not quiet, safeguards=bool(seed % 4)))
