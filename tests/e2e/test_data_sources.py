"""Whose candles a run takes, and what happens without any (product.md D10), over the whole engine."""

from __future__ import annotations

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import TokenStatus
from core.domain.target import Direction
from tests.fakes.scripted import Opened, Scripted, at, kite

pytestmark = [pytest.mark.dates, pytest.mark.slow, pytest.mark.timeout(900)]

LONG, FLAT = Direction.LONG, Direction.FLAT
CANDLES = {"path": "/instruments/historical/*"}


@pytest.mark.row("D10")
async def test_missing_data_is_said_once_and_stops_entries_only_while_it_lasts(opened: Opened):
    """No source answers: no entry and one notice, whatever each slot heard; with data it goes on."""
    script = {"09:30": LONG, "09:45": LONG, "10:00": FLAT, "10:05": LONG}
    async with opened(Scripted("calm", script)) as engine:
        account = await kite(engine)
        fault = engine.sandbox.fault("http", match=CANDLES, times=0, status=503)
        await engine.minute(at("09:30"))
        engine.sandbox.ask("DELETE", f"/faults/{fault}")
        fault = engine.sandbox.fault("http", match=CANDLES, times=0, status=500)
        await engine.minute(at("09:35"))
        await engine.minute(at("09:40"))
        assert len(await engine.notices("no_data")) == 1
        assert engine.writes(account) == []
        engine.sandbox.ask("DELETE", f"/faults/{fault}")
        await engine.minute(at("09:45"))
        assert await engine.held(account) == {"calm SBIN": 1}
        assert len(await engine.notices("no_data")) == 1
        engine.sandbox.fault("http", match=CANDLES, times=0, status=500)
        await engine.minute(at("09:50"))
        await engine.minute(at("09:55"))
        assert len(await engine.notices("no_data")) == 2
        assert await engine.held(account) == {"calm SBIN": 1}


@pytest.mark.row("D10")
async def test_a_plan_without_data_falls_to_the_next_source_and_is_no_login_problem(
    opened: Opened,
):
    """A Kite app of the personal plan trades on the other account's candles; no login is asked for."""
    async with opened(Scripted("calm", {"09:30": LONG, "09:35": FLAT})) as engine:
        app = engine.app("kite", 0)
        fields = ("broker", "api_key", "api_secret", "user_id", "user_name", "cash")
        engine.sandbox.ask(
            "POST", "/accounts", {name: app[name] for name in fields} | {"plan": "personal"}
        )
        without = await kite(engine)
        other = await engine.connect(FYERS, "Data", engine.app("fyers", 0))
        await engine.minute(at("09:30"))
        await engine.minute(at("09:35"))
        assert await engine.notices("no_data") == []
        for account in (without, other):
            assert len(await engine.fills(account)) == 2
        ready = {r.account.broker_id: r for r in await engine.system.control.health.readiness()}
        assert ready[without.broker_id].is_ready and not ready[without.broker_id].has_data
        assert ready[other.broker_id].has_data
        now = await engine.system.accounts.get(without.broker_id)
        assert (now.token_status, now.parked_reason) == (TokenStatus.VALID, "")
        assert await engine.notices("token_warning") == []
        assert await engine.notices("account_parked") == []


@pytest.mark.row("D10")
async def test_the_chosen_data_account_is_asked_first_and_the_others_stand_in(opened: Opened):
    """Candles of the chosen account are used; when its login dies the next one gives them."""
    async with opened(Scripted("calm", {"09:30": LONG, "09:40": FLAT})) as engine:
        trader = await kite(engine)
        app = engine.app("kite", 1)
        chosen = await engine.connect(ZERODHA, "Data", app, enable=False)
        control = engine.system.control
        await control.settings.set(engine.command(), "data_account", "Data")
        sources = engine.system.runner._market_data.sources
        assert [a.broker_id for a in await sources()] == [chosen.broker_id, trader.broker_id]
        mine = {"path": CANDLES["path"], "api_key": trader.api_key}
        fault = engine.sandbox.fault("http", match=mine, times=0, status=500)
        await engine.minute(at("09:30"))
        assert await engine.held(trader) == {"calm SBIN": 1}
        engine.sandbox.ask("DELETE", f"/faults/{fault}")
        where = {"broker": "kite", "api_key": chosen.api_key}
        engine.sandbox.ask("POST", "/tokens/expire", where)
        await engine.minute(at("09:40"))
        assert await engine.held(trader) == {}
        assert await engine.notices("no_data") == []


@pytest.mark.row("D10")
async def test_a_missing_instrument_master_holds_back_its_own_accounts_alone(opened: Opened):
    """Where a master cannot be had, nothing is entered and the run says so; the others trade."""
    async with opened(Scripted("calm", {"09:30": LONG, "09:40": FLAT, "09:45": LONG})) as engine:
        engine.sandbox.fault("http", "fyers", match={"path": "/sym_details/*"}, times=0, status=503)
        account = await kite(engine)
        blind = await engine.connect(FYERS, "Blind", engine.app("fyers", 0), reads=False)
        await engine.minute(at("09:30"))
        assert await engine.held(account) == {"calm SBIN": 1}
        assert engine.writes(blind) == []
        run = await engine.system.control.views.run("calm|2021-05-12T09:30")
        notes = {line.broker_id: line.note for line in run.lines}
        assert notes[blind.broker_id] == (
            "the broker's list of instruments is not loaded yet: not entered"
        )
        assert "instruments" in engine.worker(blind).trouble
        now = await engine.system.accounts.get(blind.broker_id)
        assert now.token_status is TokenStatus.VALID
        engine.sandbox.ask("DELETE", "/faults")
        engine.clock.elapse(31)
        engine.system.hint(blind.broker_id)
        await engine.until(lambda: engine.worker(blind).trouble == "", "the master")
        await engine.minute(at("09:40"))
        await engine.minute(at("09:45"))
        assert await engine.held(blind) == {"calm SBIN": 1}
