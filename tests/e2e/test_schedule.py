"""What runs when, on which accounts, with which data: the scheduler over the whole engine.

The made-up day of ``tests/data/replay`` is replayed in lockstep (tests/fakes/lockstep.py); strategies
follow a script, with a slot every five minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.mode import TradingMode
from core.domain.order import OrderState, Purpose
from core.domain.target import Context, Direction, Target
from core.domain.views import SizeKind
from core.errors import UserError
from tests.fakes.lockstep import Rig, ist
from tests.fakes.scripted import Opened, Scripted, at, kite
from tests.faults.reads import refreshed

pytestmark = [pytest.mark.dates, pytest.mark.slow, pytest.mark.timeout(900)]

LONG, SHORT, FLAT = Direction.LONG, Direction.SHORT, Direction.FLAT
CHASE_S = 15.0


async def entries(engine: Rig, account: Account) -> list[str]:
    """Return the states of an account's entries, oldest first."""
    orders = await engine.orders(account)
    return [str(order.state) for order in orders if order.purpose is Purpose.ENTRY]


# --- slots -------------------------------------------------------------------------------------


@pytest.mark.row("D2")
async def test_a_slot_runs_once_across_a_restart(opened: Opened):
    """An engine that starts again in the same slot enters nothing a second time."""
    async with opened(Scripted("calm", {"09:30": LONG})) as engine:
        account = await kite(engine)
        await engine.minute(at("09:30"))
        await engine.restart()
        await engine.minute(at("09:30"))
        await engine.minute(at("09:31"))
        assert await engine.runs("calm") == ["09:30"]
        assert await entries(engine, account) == ["FILLED"]
        assert await engine.notices("slot_missed") == []


@pytest.mark.row("D2")
@pytest.mark.invariant("I1")
async def test_a_slot_whose_end_was_not_noted_is_not_run_again(opened: Opened):
    """A crash between the run's commit and the note that the slot is done costs no second order."""
    async with opened(Scripted("calm", {"09:30": LONG})) as engine:
        account = await kite(engine)
        await engine.minute(at("09:30"))
        await engine.stop()
        await engine.system.scheduler._strategies.mark_slot("calm", at("09:25"))
        await engine.restart()
        await engine.minute(at("09:30"))
        assert await engine.runs("calm") == ["09:30"]
        assert len(engine.writes(account)) == 1
        assert await entries(engine, account) == ["FILLED"]


@pytest.mark.row("D2")
async def test_a_late_slot_drops_its_entry_and_says_so(opened: Opened):
    """Two minutes late nothing is entered, and one notice names the slots; the next fresh entry goes."""
    async with opened(Scripted("calm", {"09:30": LONG, "09:50": FLAT, "10:00": LONG})) as engine:
        account = await kite(engine)
        for slot in ("09:30", "09:35", "09:40"):  # all of which the controller was held up in
            engine.step(at(slot))
        await engine.minute(at("09:42"))
        await engine.minute(at("09:43"))
        assert await engine.orders(account) == []
        (missed,) = await engine.notices("slot_missed")
        assert (missed["strategy"], missed["late_s"], missed["missed"]) == ("calm", 120, 2)
        assert await engine.runs("calm") == ["09:40"]
        await engine.minute(at("09:45"))
        assert await engine.orders(account) == []
        await engine.minute(at("10:00"))
        assert await entries(engine, account) == ["FILLED"]


@pytest.mark.row("D2")
async def test_a_late_slot_still_exits(opened: Opened):
    """The exit of a slot that comes late fires all the same."""
    async with opened(Scripted("calm", {"09:30": LONG, "09:40": FLAT})) as engine:
        account = await kite(engine)
        await engine.minute(at("09:30"))
        assert await engine.held(account) == {"calm SBIN": 1}
        await engine.restart()
        for slot in ("09:35", "09:40", "09:45", "09:50"):  # before it was up again
            engine.step(at(slot))
        await engine.minute(at("09:52"))
        assert await engine.held(account) == {}
        (missed,) = await engine.notices("slot_missed")
        assert missed["late_s"] == 120
        assert await engine.runs("calm") == ["09:30", "09:50"]


@pytest.mark.row("D2")
@pytest.mark.parametrize(
    ("day", "why"),
    [
        ("2021-05-13", "a holiday"),
        ("2021-05-15", "a Saturday"),
        ("2040-05-12", "a Saturday beyond the calendar"),
        ("2040-08-15", "Independence Day beyond the calendar"),
    ],
)
async def test_nothing_runs_on_a_day_without_a_session(opened: Opened, day: str, why: str):
    """Holiday and weekend, known or not: no run, no notice, and "run now" is refused."""
    strategy = Scripted("calm", {"09:30": LONG})
    async with opened(strategy) as engine:
        await engine.enable_strategy("calm")
        for clock in ("09:30", "10:00", "15:00"):
            engine.clock.step(ist(f"{day} {clock}"))
            await engine.system.scheduler.tick()
        assert strategy.decided == [], why
        assert await engine.runs("calm") == []
        assert await engine.notices("slot_missed") == []
        with pytest.raises(UserError, match="closed"):
            await engine.system.control.runs.file(engine.command(), "calm")


# --- square-off --------------------------------------------------------------------------------


async def chase(engine: Rig, account: Account, exits: int) -> None:
    """Let the time of a chase pass and wait until the broker has that many exits."""
    engine.clock.elapse(CHASE_S + 1)
    engine.system.hint(account.broker_id)
    await engine.until(lambda: len(sent_exits(engine, account)) == exits, f"exit {exits}")


def sent_exits(engine: Rig, account: Account) -> list[str]:
    writes = engine.writes(account)
    return [w["tag"] for w in writes if w["action"] == "place" and w["side"] == "SELL"]


@pytest.mark.row("D7")
async def test_a_square_off_is_chased_until_flat_and_alarmed_at_the_deadline(opened: Opened):
    """An exit that rests unfilled is cancelled and sent anew; at 15:10 an alarm names what remains."""
    async with opened(Scripted("calm", {"14:50": LONG})) as engine:
        account = await kite(engine, quantity=10)
        await engine.minute(at("14:50"))
        assert await engine.held(account) == {"calm SBIN": 10}
        order = {"method": "POST", "path": "/orders/regular"}
        fault = engine.sandbox.fault("no_fill", match=order, times=0)
        engine.step(at("15:00"))
        await engine.system.scheduler.tick()
        await engine.until(lambda: len(sent_exits(engine, account)) == 1, "the first exit")
        await chase(engine, account, 2)
        engine.step(at("15:09"))
        await engine.system.scheduler.tick()
        assert await engine.notices("square_off_alarm") == []
        engine.step(at("15:10"))
        for _ in range(2):
            await engine.system.scheduler.tick()
        (alarm,) = await engine.notices("square_off_alarm")
        assert alarm["positions"] == ["NSE:SBIN +10"]
        assert alarm["broker_id"] == account.broker_id
        engine.sandbox.ask("DELETE", f"/faults/{fault}")
        await chase(engine, account, 3)
        await engine.settle()
        assert await engine.held(account) == {}
        assert {p["quantity"] for p in engine.book(account)["positions"]} == {0}
        exits = [o.state for o in await engine.orders(account) if o.purpose is Purpose.EXIT]
        assert exits == [OrderState.CANCELED, OrderState.CANCELED, OrderState.FILLED]


@pytest.mark.row("D7")
async def test_a_disabled_strategy_is_squared_off(opened: Opened):
    """A position outlives its strategy's switch, but not the square-off; no slot runs meanwhile."""
    async with opened(Scripted("calm", {"14:50": LONG})) as engine:
        account = await kite(engine)
        await engine.minute(at("14:50"))
        await engine.system.control.strategy_settings.set_enabled(
            engine.command(), "calm", enabled=False
        )
        await engine.minute(at("14:55"))
        assert await engine.held(account) == {"calm SBIN": 1}
        await engine.minute(at("15:00"))
        assert await engine.held(account) == {}
        assert await engine.runs("calm") == ["14:50"]


@pytest.mark.row("D7", "D9")
async def test_a_square_off_late_in_the_session_takes_the_stop_away_first(opened: Opened):
    """An engine that was down at 15:00 squares off when it is back; the stop makes way."""
    async with opened(Scripted("calm", {"14:50": LONG}, stop={LONG: Decimal("300.00")})) as engine:
        account = await kite(engine)
        await engine.minute(at("14:50"))
        await engine.stop()
        engine.step(at("15:07"))
        await engine.restart()
        await engine.minute(at("15:07"))
        assert await engine.held(account) == {}
        writes = [(w["action"], w["order_type"]) for w in engine.writes(account)]
        assert writes == [
            ("place", "MARKET"),
            ("place", "SL-M"),
            ("cancel", None),
            ("place", "MARKET"),
        ]


@pytest.mark.row("D7")
async def test_an_entry_that_fills_after_the_square_off_began_is_squared_off(opened: Opened):
    """The 14:55 entry rests until after 15:00; what it then fills does not stay."""
    async with opened(Scripted("calm", {"14:55": LONG})) as engine:
        account = await kite(engine, quantity=3)
        order = {"method": "POST", "path": "/orders/regular"}
        engine.sandbox.fault("no_fill", match=order)
        engine.step(at("14:55"))
        await engine.system.scheduler.tick()
        await engine.until(lambda: len(engine.writes(account)) == 1, "the entry")
        engine.step(at("15:00"))
        await engine.system.scheduler.tick()
        assert engine.book(account)["trades"] == []
        engine.step(at("15:01"))
        (entry,) = engine.book(account)["orders"]
        engine.sandbox.ask("POST", f"/orders/{entry['order_id']}/fill", {})
        assert engine.book(account)["trades"]
        assert await refreshed(engine.worker(account)) == ""
        await engine.minute(at("15:01"))
        assert await engine.held(account) == {}
        assert {p["quantity"] for p in engine.book(account)["positions"]} == {0}
        assert await engine.notices("square_off_alarm") == []


@pytest.mark.row("D7")
async def test_nothing_is_entered_once_the_square_off_has_begun(opened: Opened):
    """A run that a user asks for after 15:00 may exit, not enter."""
    async with opened(Scripted("calm", {"14:55": FLAT, "15:05": LONG})) as engine:
        account = await kite(engine)
        await engine.minute(at("15:05"))
        run_id = await engine.system.control.runs.file(engine.command(), "calm")
        async with asyncio.timeout(150):
            while await engine.system.run_requests.result(run_id) is None:
                await asyncio.sleep(0.02)
        await engine.settle()
        assert engine.writes(account) == []
        (line,) = (await engine.system.control.views.run(run_id)).lines
        assert "squared off" in line.note


# --- strategies beside one another -------------------------------------------------------------


class Broken(Scripted):
    """Raises from 09:35 on, in other words each time."""

    def decide(self, context: Context) -> Sequence[Target]:
        if context.slot_at >= at("09:35"):
            raise ValueError("out of ideas")
        return super().decide(context)


@pytest.mark.row("D7")
async def test_a_strategy_that_raises_stops_neither_the_others_nor_its_own_square_off(
    opened: Opened,
):
    """Its run is told once; the other strategy trades on; its position is flat by 15:00."""
    broken, calm = Broken("broken", {"09:30": LONG}), Scripted("calm", {"09:40": SHORT})
    async with opened(broken, calm) as engine:
        account = await kite(engine, quantity=2)
        for clock in ("09:30", "09:35", "09:40", "09:45"):
            await engine.minute(at(clock))
        assert await engine.held(account) == {"broken SBIN": 2, "calm SBIN": -2}
        (failed,) = await engine.notices("run_failed")
        assert failed["strategy"] == "broken" and "out of ideas" in failed["detail"]
        await engine.minute(at("15:00"))
        assert await engine.held(account) == {}
        assert {p["quantity"] for p in engine.book(account)["positions"]} == {0}


@pytest.mark.row("D3", "D9")
async def test_a_reversal_closes_then_enters_and_moves_the_stop(opened: Opened):
    """From three long to three short at one slot: stop away, exit, entry, a stop above; once each."""
    stop = {LONG: Decimal("300.00"), SHORT: Decimal("500.00")}
    async with opened(Scripted("calm", {"09:30": LONG, "09:50": SHORT}, stop=stop)) as engine:
        account = await kite(engine, quantity=3)
        await engine.minute(at("09:30"))
        await engine.minute(at("09:50"))
        assert await engine.held(account) == {"calm SBIN": -3}
        writes = [
            (w["action"], w["side"], w["order_type"], w["quantity"]) for w in engine.writes(account)
        ]
        assert writes == [
            ("place", "BUY", "MARKET", 3),
            ("place", "SELL", "SL-M", 3),
            ("cancel", None, None, None),
            ("place", "SELL", "MARKET", 3),
            ("place", "SELL", "MARKET", 3),
            ("place", "BUY", "SL-M", 3),
        ]
        prices = [(str(fill.side), fill.price) for fill in await engine.fills(account)]
        opening = Decimal("402.95")
        assert prices[1:] == [("SELL", opening), ("SELL", opening)]


# --- accounts ----------------------------------------------------------------------------------


@pytest.mark.row("D3", "S2")
async def test_a_late_joiner_waits_for_the_next_fresh_entry(opened: Opened):
    """An account enabled in the middle of a position enters with the next signal, not at once."""
    script = {"09:30": LONG, "09:50": FLAT, "10:00": SHORT}
    strategy = Scripted("calm", script)
    async with opened(strategy) as engine:
        first = await kite(engine)
        await engine.minute(at("09:30"))
        late = await engine.connect(FYERS, "Late", engine.app("fyers", 0))
        await engine.minute(at("09:35"))
        await engine.minute(at("09:40"))
        assert await engine.held(first) == {"calm SBIN": 1}
        assert await engine.orders(late) == [] and engine.writes(late) == []
        await engine.minute(at("09:50"))
        assert await engine.held(first) == {}
        await engine.minute(at("10:00"))
        assert await engine.held(first) == await engine.held(late) == {"calm SBIN": -1}
        # One decision a slot, however many accounts follow it.
        assert strategy.decided == ["09:30", "09:35", "09:40", "09:50", "10:00"]


@pytest.mark.row("S1", "C3", "C5")
async def test_a_migration_drains_the_old_account_and_trades_on_the_new_one(opened: Opened):
    """EXIT_ONLY and NORMAL: the old one leaves with the strategy's exit and enters no more."""
    script = {"09:30": LONG, "09:45": FLAT, "09:55": LONG}
    async with opened(Scripted("calm", script)) as engine:
        old = await kite(engine, quantity=4)
        await engine.minute(at("09:30"))
        new = await engine.connect(FYERS, "New", engine.app("fyers", 0))
        control = engine.system.control
        await control.modes.set(engine.command(), TradingMode.EXIT_ONLY, old.broker_id)
        (drain,) = await control.views.drain()
        assert [(p.instrument.symbol, p.quantity) for p in drain.positions] == [("SBIN", 4)]
        await engine.minute(at("09:45"))
        assert await engine.held(old) == {}
        await engine.minute(at("09:55"))
        assert await engine.held(old) == {}
        assert await engine.held(new) == {"calm SBIN": 1}
        assert [w["side"] for w in engine.writes(old)] == ["BUY", "SELL"]
        notes = {
            x.broker_id: x.note for x in (await control.views.run("calm|2021-05-12T09:55")).lines
        }
        assert notes == {old.broker_id: "exit only: no entry is sent", new.broker_id: ""}


@pytest.mark.row("D4")
async def test_two_strategies_on_one_instrument_keep_their_own_ledgers(opened: Opened):
    """Ten long and four short are six at the broker; each exit closes its own strategy's units."""
    bull = Scripted("bull", {"09:30": LONG, "09:45": FLAT})
    bear = Scripted("bear", {"09:35": SHORT, "09:55": FLAT})
    async with opened(bull, bear) as engine:
        account = await kite(engine, quantity=10)
        await engine.system.control.strategy_settings.assign(
            engine.command(), "bear", account.broker_id, size_value=Decimal(4)
        )
        seen = {}
        for clock in ("09:30", "09:35", "09:40", "09:45", "09:50", "09:55"):
            await engine.minute(at(clock))
            (position,) = engine.book(account)["positions"]
            seen[clock] = (await engine.held(account), position["quantity"])
        assert seen == {
            "09:30": ({"bull SBIN": 10}, 10),
            "09:35": ({"bull SBIN": 10, "bear SBIN": -4}, 6),
            "09:40": ({"bull SBIN": 10, "bear SBIN": -4}, 6),
            "09:45": ({"bear SBIN": -4}, -4),
            "09:50": ({"bear SBIN": -4}, -4),
            "09:55": ({}, 0),
        }


@pytest.mark.row("D4")
async def test_a_share_of_a_users_own_figure_sizes_each_account(opened: Opened):
    """7.5 % of 1,00,000 at 400.70 are 18.7 shares, so 18; half of that on the other account: 9."""
    async with opened(Scripted("calm", {"09:30": LONG})) as engine:
        full = await kite(engine)
        half = await engine.connect(FYERS, "Half", engine.app("fyers", 0))
        control = engine.system.control
        for account, multiplier in ((full, "1"), (half, "0.5")):
            await control.settings.set(engine.command(), f"capital|{account.broker_id}", "1,00,000")
            await control.strategy_settings.assign(
                engine.command(),
                "calm",
                account.broker_id,
                size_kind=SizeKind.CAPITAL_SHARE,
                size_value=Decimal("7.5"),
                multiplier=Decimal(multiplier),
            )
        await engine.minute(at("09:30"))
        assert await engine.held(full) == {"calm SBIN": 18}
        assert await engine.held(half) == {"calm SBIN": 9}


@pytest.mark.row("D4")
async def test_a_share_that_buys_nothing_is_told_and_not_ordered(opened: Opened):
    """A tenth of a percent of 1,00,000 buys no share: no order, and the run says why."""
    async with opened(Scripted("calm", {"09:30": LONG})) as engine:
        account = await kite(engine)
        control = engine.system.control
        await control.settings.set(engine.command(), f"capital|{account.broker_id}", "1,00,000")
        await control.strategy_settings.assign(
            engine.command(),
            "calm",
            account.broker_id,
            size_kind=SizeKind.CAPITAL_SHARE,
            size_value=Decimal("0.1"),
        )
        await engine.minute(at("09:30"))
        assert engine.writes(account) == []
        run = await control.views.run("calm|2021-05-12T09:30")
        assert [line.note for line in run.lines] == ["its size does not buy one lot"]
