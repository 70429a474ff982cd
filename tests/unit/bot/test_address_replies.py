"""What the buttons of an address do, and what is read when the store goes away after that (A12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.conversation.visit import Visit
from bot.handlers import addresses
from bot.views.addresses import registered_choice, sharing_question
from bot.views.callbacks import Tap, parse
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.domain.account import Account, Sharing
from core.domain.sessions import IST
from core.errors import StoreUnavailable
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("A12")

ACCOUNT = an_account(source_address="203.0.113.5")


class Setting:
    """The control's part for addresses: sets, and can read nothing afterwards."""

    async def set_local(self, *_given: object) -> Account:
        return ACCOUNT

    async def check(self, _broker_id: str) -> Account:
        return ACCOUNT

    async def sharers(self, _account: Account) -> list[Account]:
        raise StoreUnavailable("the store went away")


def visit_of(sent: list[Screen]) -> Visit:
    async def send(screen: Screen) -> None:
        sent.append(screen)

    services: Any = SimpleNamespace(control=SimpleNamespace(addresses=Setting()))
    tap = Tap(Verb.SET_ROUTE, (ACCOUNT.broker_id, "203.0.113.5"))

    async def look(_what: str, ask: Callable[[], Awaitable[object]]) -> object:
        return await ask()

    visit = SimpleNamespace(services=services, tap=tap, command=None, send=send, look=look)
    return cast("Visit", visit)


async def test_address_that_was_set_is_said_without_its_page() -> None:
    """Not that the store is out of reach alone, which reads as if nothing had changed."""
    sent: list[Screen] = []
    await addresses.set_route(visit_of(sent))
    (screen,) = sent
    assert "leaves from 203.0.113.5 from now on" in screen.text
    assert "cannot be shown" in screen.text


async def test_page_alone_says_that_the_store_is_away() -> None:
    """Nothing was set, so there is nothing else to say."""
    with pytest.raises(StoreUnavailable):
        await addresses.check(visit_of([]))


def test_each_relation_is_noted_as_it_is_called() -> None:
    """The label of the button and what is kept by it are of one kind (facts/rules-2026.md row 2)."""
    screen = sharing_question(an_account(sharing=Sharing.SPOUSE), ())
    kept = {one.text: str(one.callback_data).split(":")[-1] for row in screen.rows for one in row}
    del kept["« Back"]
    assert kept == {
        "Same holder": "same_holder",
        "Spouse": "spouse",
        "Dependent child": "dependent_child",
        "Dependent parent": "dependent_parent",
        "None of these": "none",
    }


@pytest.mark.parametrize(
    ("label", "is_change"), [("Changed there just now", True), ("It stood there before", False)]
)
async def test_only_what_was_changed_now_is_noted_as_a_change(
    label: str, *, is_change: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The date of the change decides when the broker takes the next one."""
    noted: list[tuple[Any, bool]] = []

    async def set_registered(_command: object, _id: str, given: Any, *, is_change: bool) -> Account:
        noted.append((given, is_change))
        return ACCOUNT

    async def show(*_: object) -> None:
        """The page is no matter here."""

    monkeypatch.setattr(addresses, "_show", show)
    now = datetime(2026, 11, 23, 10, tzinfo=IST)
    question = registered_choice(ACCOUNT, ["203.0.113.5"], "nonce", now)
    chosen = next(one for row in question.rows for one in row if one.text == label)
    control = SimpleNamespace(addresses=SimpleNamespace(set_registered=set_registered))
    visit: Any = SimpleNamespace(
        services=SimpleNamespace(control=control),
        tap=parse(str(chosen.callback_data)),
        args={"broker_id": ACCOUNT.broker_id, "addresses": ["203.0.113.5"]},
        command=None,
    )
    await addresses.set_registered(visit)
    assert noted == [(["203.0.113.5"], is_change)]
