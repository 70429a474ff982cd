"""What the doctor says of the address that an account leaves from (row F4)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from console.doctor import inside
from core.ports.address_probe import Sighted, Sighting
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("F4")
HOME, AWAY = "203.0.113.5", "198.51.100.7"


@pytest.mark.parametrize(
    ("registered", "sighting", "expected"),
    [
        ((HOME,), Sighting(Sighted.SEEN, HOME), f"ok|seen at {HOME}, which is registered"),
        (
            (HOME,),
            Sighting(Sighted.SEEN, AWAY),
            f"fail|sees it at {AWAY}, but {HOME} is registered",
        ),
        ((), Sighting(Sighted.SEEN, HOME), "warn|no registered address was noted"),
        ((HOME,), Sighting(Sighted.UNKNOWN, why="nobody to ask"), "ok|not checked: nobody to ask"),
        ((HOME,), Sighting(Sighted.ABSENT, why="it is gone"), "fail|it is gone"),
    ],
    ids=["right", "wrong", "not noted", "not known", "not there"],
)
async def test_address_is_held_against_what_is_registered(
    registered: tuple[str, ...], sighting: Sighting, expected: str
) -> None:
    """Right, wrong, unknown and gone are told apart, with what to do about what is not well."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect(logged_in=False)
    if registered:
        await engine.control.addresses.set_registered(
            engine.command(), account.broker_id, registered, is_change=False
        )

    class Told:
        async def look(self, _route: object) -> Sighting:
            return sighting

    system: Any = SimpleNamespace(accounts=engine.wiring.accounts, probe=Told())
    (found,) = await inside.addresses(system)
    level, _, words = expected.partition("|")
    assert found.level == level
    assert words in found.text
    assert bool(found.advice) is (level != "ok")
