"""A close that is no more what the question said is asked anew, with what is held now (E4)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers.orders import close
from core.errors import HasChanged
from tests.fakes.views import a_position, an_account

pytestmark = pytest.mark.row("E4")
WAS = a_position(an_account())


async def test_position_that_has_turned_is_asked_about_again() -> None:
    """The strategy reversed between question and tap: both are said, and the new order is named."""
    now, read, asked = replace(WAS, quantity=-WAS.quantity, stop=None), [], []

    async def refuses(*_: object, **terms: Any) -> None:
        raise HasChanged(f"NSE:SBIN has changed since I asked: it was {terms['seen']:+d}.")

    async def read_again(broker_id: str) -> None:
        read.append(broker_id)

    async def positions(_broker_id: str) -> list[object]:
        return [now if read else WAS]

    async def confirm(text: str, _verb: object, args: dict[str, Any], *_: Any, **__: Any) -> None:
        asked.append((text, args))

    control = SimpleNamespace(
        orders=SimpleNamespace(close=refuses, read_again=read_again),
        views=SimpleNamespace(positions=positions),
    )
    args = {
        "broker_id": WAS.broker_id,
        "key": WAS.key,
        "despite_pause": False,
        "seen": WAS.quantity,
    }
    visit: Any = SimpleNamespace(
        services=SimpleNamespace(control=control),
        args=args,
        tap=SimpleNamespace(argument=lambda _at, _else="": ""),
        command=None,
        tapped_message_id=7,
        confirm=confirm,
        see_through=None,
    )
    await close(visit)
    ((text, again),) = asked
    assert f"it was {WAS.quantity:+d}" in text
    assert f"Buy {WAS.quantity}" in text
    assert (again["seen"], again["key"]) == (-WAS.quantity, WAS.key)
