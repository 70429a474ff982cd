"""Before an order, a position or an account is touched: the account and the effect are named (G3)."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers import accounts, orders
from bot.views.callbacks import Tap, handle
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.order import Purpose
from core.domain.views import ExposureView
from core.errors import ChoiceNeeded
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_position, an_account, an_order

pytestmark = pytest.mark.row("G3")

MAIN = an_account()
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Two", is_default=False)
HELD = a_position(MAIN)
NETTED = a_position(MAIN, quantity=0, owners={"bull": 10, "bear": -10})
WORKING = an_order(MAIN)
EXIT = an_order(OTHER, key="SEXIT", purpose=Purpose.EXIT)


@dataclass
class Asked:
    """A visit whose questions are noted; the control knows what is above."""

    tap: Tap = field(default_factory=Tap)
    args: dict[str, Any] = field(default_factory=dict)
    command: Any = None
    tapped_message_id: int = 7
    see_through: Any = None
    found: list[tuple[str, Verb, list[str]]] = field(default_factory=list)

    async def confirm(
        self, text: str, verb: Verb, _args: object, choices: dict[str, str], **_: Any
    ) -> None:
        self.found.append((html.unescape(TAGS.sub("", text)), verb, list(choices.values())))

    async def look(self, _what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        return await ask()

    @property
    def services(self) -> Any:
        views = SimpleNamespace(
            positions=_answer([HELD]),
            orders=_answer([WORKING, EXIT]),
            exposure=_answer(ExposureView(MAIN, (HELD,), (HELD,), (WORKING,), True)),
        )
        paused = SimpleNamespace(close=_refuses)
        return SimpleNamespace(
            control=SimpleNamespace(
                views=views, orders=paused, accounts=SimpleNamespace(all=_answer([MAIN]))
            )
        )


def _answer(value: object) -> Callable[..., Awaitable[Any]]:
    async def answer(*_: object, **__: object) -> Any:
        return value

    return answer


async def _refuses(*_: object, **__: object) -> None:
    raise ChoiceNeeded("Zerodha - Main is paused. Close the position all the same?")


CLOSING = {"broker_id": MAIN.broker_id, "key": HELD.key, "despite_pause": False, "seen": 10}
QUESTIONS: dict[str, tuple[Callable[[Any], Awaitable[None]], Asked, Verb, tuple[str, ...]]] = {
    "close": (
        lambda visit: orders.ask_to_close(visit, HELD),
        Asked(),
        Verb.CLOSE_POSITION,
        ("on Zerodha - Main?", "I send: Sell 10 SBIN MIS at the market price."),
    ),
    "close what strategies hold against one another": (
        lambda visit: orders.ask_to_close(visit, NETTED),
        Asked(),
        Verb.CLOSE_POSITION,
        ("on Zerodha - Main?", "I close them against one another, without an order."),
    ),
    "close despite a pause": (
        orders.close,
        Asked(args=CLOSING),
        Verb.CLOSE_POSITION,
        ("Zerodha - Main is paused", "Strategies stay paused; only this position is closed."),
    ),
    "cancel": (
        lambda visit: orders.ask_to_cancel(visit, WORKING),
        Asked(),
        Verb.CANCEL_ORDER,
        ("Cancel this order on Zerodha - Main?", "Buying 10 SBIN"),
    ),
    "cancel all": (
        orders.ask_cancel_all,
        Asked(tap=Tap(Verb.ASK_CANCEL_ALL, ("global",))),
        Verb.CANCEL_ALL,
        ("Cancel 2 working orders?", "Zerodha - Main", "Fyers - Two", "An exit is followed by"),
    ),
    "believe the positions": (
        orders.ask_believe,
        Asked(tap=Tap(Verb.ASK_BELIEVE, (MAIN.broker_id, handle(HELD.key)))),
        Verb.BELIEVE_POSITIONS,
        ("right on Zerodha - Main?", "I correct the strategies' records to them"),
    ),
    "disconnect": (
        accounts.ask_disconnect,
        Asked(tap=Tap(Verb.ASK_DISCONNECT, (MAIN.broker_id,))),
        Verb.DISCONNECT,
        (
            "Disconnect Zerodha - Main?",
            "forget its key, secret and token",
            "nobody looks after them any more",
            "1 open position",
            "1 working order",
        ),
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_names_the_account_and_what_will_happen(name: str) -> None:
    """Asked by the handler of the button, and confirmed by one with a nonce."""
    ask, visit, verb, said = QUESTIONS[name]
    visit.found.clear()
    await ask(visit)
    ((text, asked_verb, labels),) = visit.found
    assert asked_verb is verb and labels
    assert [one for one in said if one not in text] == []
