"""What a user reads when the store goes away after an address was set (A12)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.conversation.visit import Visit
from bot.handlers import addresses
from bot.views.callbacks import Tap
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.domain.account import Account
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
    visit = SimpleNamespace(services=services, tap=tap, command=None, send=send)
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
