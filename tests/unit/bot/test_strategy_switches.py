"""What the switches of a strategy do, and what each asks (rows D4 and D6)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers.strategies import switch_off, switch_on
from bot.views.callbacks import Tap, handle
from bot.views.markup import clock_time
from bot.views.sizes import seen
from bot.views.verbs import Verb
from core.domain.instrument import InstrumentId
from core.domain.views import StrategyView
from tests.fakes.views import AT, a_position, a_strategy, an_account


def a_visit(strategy: StrategyView, verb: Verb, *choice: str, held: tuple[Any, ...] = ()) -> Any:
    """Return the visit of a tap on one of a strategy's buttons."""
    shown: list[Any] = []
    settings: list[dict[str, Any]] = []

    def gives(value: Any) -> Any:
        async def ask(*_: Any) -> Any:
            return value

        return ask

    async def show(screen: Any) -> None:
        shown.append(screen)

    async def set_enabled(_command: Any, name: str, **given: Any) -> None:
        settings.append({"name": name, **given})

    control = SimpleNamespace(
        strategies=SimpleNamespace(all=gives([strategy]), get=gives(strategy)),
        strategy_settings=SimpleNamespace(set_enabled=set_enabled),
        views=SimpleNamespace(positions=gives(held), are_made_up=gives(False)),
        sizes=SimpleNamespace(of=gives(())),
    )
    return SimpleNamespace(
        services=SimpleNamespace(control=control, clock=SimpleNamespace(market_now=lambda: AT)),
        tap=Tap(verb, (handle(strategy.name), *choice)),
        command=None,
        show=show,
        shown=shown,
        settings=settings,
    )


@pytest.mark.row("D6")
async def test_whoever_enables_a_strategy_is_told_of_its_first_run() -> None:
    """Only the answer to the question enables it; the tap that asks changes nothing."""
    strategy = a_strategy(is_enabled=False)
    asking = a_visit(strategy, Verb.ENABLE_STRATEGY)
    await switch_on(asking)
    assert asking.settings == [] and f"Enable {strategy.title}?" in asking.shown[0].text
    assert f"Next run: {clock_time(strategy.next_slot)}. At each" in asking.shown[0].text
    older = a_visit(strategy, Verb.ENABLE_STRATEGY, "older")
    await switch_on(older)
    assert older.settings == [] and "has changed since that question" in older.shown[0].text
    answer = a_visit(strategy, Verb.ENABLE_STRATEGY, seen(strategy))
    await switch_on(answer)
    assert answer.settings == [{"name": strategy.name, "enabled": True, "tells_first_run": True}]


@pytest.mark.row("D4", "D6")
async def test_only_what_the_strategy_holds_is_asked_about() -> None:
    """What others hold, and what was traded by hand, is no matter of its switch."""
    strategy = a_strategy(is_enabled=True)
    account = an_account()
    own = a_position(account, owners={strategy.name: 10})
    infy, tcs = InstrumentId("NSE", "INFY"), InstrumentId("NSE", "TCS")
    theirs = a_position(account, key="NSE:INFY|MIS", instrument=infy, owners={"other": 10})
    by_hand = a_position(account, key="NSE:TCS|MIS", instrument=tcs, owners={})
    visit = a_visit(strategy, Verb.DISABLE_STRATEGY, held=(own, theirs, by_hand))
    await switch_off(visit)
    assert visit.settings == [{"name": strategy.name, "enabled": False}]
    text = visit.shown[0].text
    assert "It still holds:" in text and "SBIN" in text
    assert "INFY" not in text and "TCS" not in text
    visit = a_visit(strategy, Verb.DISABLE_STRATEGY, held=(theirs, by_hand))
    await switch_off(visit)
    assert "It still holds:" not in visit.shown[0].text
