"""What a tap on a suggested instrument changes, and what is asked before it does (row D6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers.parameters import set_parameter
from bot.views.callbacks import Tap
from bot.views.verbs import Verb
from core.domain.instrument import InstrumentId
from core.domain.target import Parameter
from tests.fakes.views import a_position, a_strategy, an_account

pytestmark = pytest.mark.row("D6")
NAME = "opening_range_breakout"
HELD = a_position(an_account(), owners={NAME: 10})
CHOSEN = Parameter("instruments", "Instruments", "NSE:SBIN")


@dataclass
class Answered:
    """A visit of a tapped confirmation; the strategy trades SBIN, and holds it."""

    args: Mapping[str, Any]
    tap: Tap = field(default_factory=Tap)
    command: str = "one"
    asked: list[dict[str, Any]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    held: tuple[Any, ...] = (HELD,)

    @property
    def services(self) -> Any:
        one = a_strategy(name=NAME, parameters=((CHOSEN, "NSE:SBIN"),))
        control = SimpleNamespace(
            strategy_settings=SimpleNamespace(dropped=self._dropped, set_parameter=self._set),
            views=SimpleNamespace(positions=self._positions),
            strategies=SimpleNamespace(get=_answer(one)),
            sizes=SimpleNamespace(described=_answer(())),
        )
        return SimpleNamespace(control=control)

    async def _dropped(self, _name: str, _parameter: str, text: str) -> frozenset[InstrumentId]:
        kept = set(text.split(","))
        return frozenset(one.instrument for one in self.held if str(one.instrument) not in kept)

    async def _positions(self, _broker_id: str | None) -> tuple[Any, ...]:
        return self.held

    async def _set(self, _command: str, _name: str, _parameter: str, text: str) -> None:
        self.changed.append(text)

    async def confirm(
        self, _text: str, _verb: Verb, args: dict[str, Any], *_: Any, **__: Any
    ) -> None:
        self.asked.append(args)

    async def show(self, _screen: Any) -> None:
        """The card shows the change."""


def _answer(value: Any) -> Any:
    async def ask(*_: Any) -> Any:
        return value

    return ask


def tapped(*texts: str, choice: str = "0", **fields: Any) -> Answered:
    """Return the visit of a tap on one of the suggestions."""
    args = {"name": NAME, "parameter": "instruments", "texts": list(texts)}
    return Answered(args, Tap(Verb.SET_PARAMETER, ("nonce", choice)), **fields)


@pytest.mark.parametrize("texts", [("NSE:RELIANCE",), ("NSE:RELIANCE", "NSE:RELIANCEPP")])
async def test_a_suggestion_that_drops_what_is_held_is_asked_about(texts: tuple[str, ...]) -> None:
    """One suggestion or several: the tap that takes it says nothing of what is held."""
    visit = tapped(*texts)
    await set_parameter(visit)  # type: ignore[arg-type]
    assert not visit.changed and [one["held"] for one in visit.asked] == [["NSE:SBIN"]]
    confirmed = Answered(visit.asked[0], Tap(Verb.SET_PARAMETER, ("nonce",)))
    await set_parameter(confirmed)  # type: ignore[arg-type]
    assert confirmed.changed == ["NSE:RELIANCE"] and not confirmed.asked


async def test_a_suggestion_that_keeps_what_is_held_is_taken_at_once() -> None:
    """No second question without a reason for it."""
    visit = tapped("NSE:SBIN,NSE:RELIANCE")
    await set_parameter(visit)  # type: ignore[arg-type]
    assert visit.changed == ["NSE:SBIN,NSE:RELIANCE"] and not visit.asked


async def test_what_was_bought_since_the_question_is_asked_about() -> None:
    """A confirmation is for what it named, and for nothing that is held since."""
    visit = tapped("NSE:TCS")
    await set_parameter(visit)  # type: ignore[arg-type]
    other = a_position(an_account(), instrument=InstrumentId("NSE", "RELIANCE"), owners={NAME: 5})
    later = Answered(visit.asked[0], Tap(Verb.SET_PARAMETER, ("nonce",)), held=(HELD, other))
    await set_parameter(later)  # type: ignore[arg-type]
    assert not later.changed
    assert later.asked[0]["held"] == ["NSE:RELIANCE", "NSE:SBIN"]
