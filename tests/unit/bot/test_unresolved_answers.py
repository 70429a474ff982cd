"""What a user's answer about an order of unknown fate is taken for (row R4)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers import unresolved
from bot.handlers.unresolved import ask_resolve, resolve_order
from bot.views.callbacks import Tap, handle
from bot.views.verbs import Verb
from core.domain.inquiry import Inquiry
from core.domain.order import OrderState
from core.errors import NotFound, UserError
from tests.unit.bot.test_unresolved_messages import a_view, candidate

pytestmark = pytest.mark.row("R4")
FOUND = (candidate("240101000000007", 1), candidate("240101000000008", 9))
VIEW = a_view(Inquiry(4, None, FOUND))


def a_visit(*choice: str, args: dict[str, Any] | None = None, **answers: OrderState) -> Any:
    """Return the visit of a tap; ``answers`` are the states that an answer leads to."""
    asked: list[dict[str, Any]] = []

    async def confirm(_text: str, _verb: Verb, given: dict[str, Any], *_: Any, **__: Any) -> None:
        asked.append(given)

    async def view(_key: str) -> Any:
        return VIEW

    def leads_to(name: str) -> Any:
        async def answer(*given: Any) -> Any:
            asked.append({name: given[1:]})
            return SimpleNamespace(client_order_id=given[1], state=answers[name])

        return answer

    control = SimpleNamespace(view=view, link=leads_to("link"), not_placed=leads_to("not_placed"))
    return SimpleNamespace(
        services=SimpleNamespace(control=SimpleNamespace(unresolved=control)),
        tap=Tap(Verb.ASK_RESOLVE, (VIEW.order.key, *choice)),
        args=args,
        command=None,
        confirm=confirm,
        asked=asked,
    )


@pytest.mark.parametrize("number", [one.broker_order_id for one in FOUND])
async def test_the_order_whose_button_was_tapped_is_asked_about(number: str) -> None:
    """Whichever of several it is."""
    visit = a_visit(handle(number))
    await ask_resolve(visit)
    assert visit.asked == [{"client_order_id": VIEW.order.key, "broker_order_id": number}]


async def test_an_order_that_is_shown_no_more_is_not_asked_about() -> None:
    """The button is of an older card."""
    visit = a_visit(handle("240101000000009"))
    with pytest.raises(NotFound, match="any more"):
        await ask_resolve(visit)
    assert visit.asked == []


async def test_a_confirmation_that_names_no_answer_changes_nothing() -> None:
    """It is of an earlier version, where it meant something else."""
    visit = a_visit(args={"client_order_id": VIEW.order.key})
    with pytest.raises(UserError, match="of an earlier version"):
        await resolve_order(visit)
    assert visit.asked == []


@pytest.mark.parametrize(
    ("wanted", "state", "title"),
    [
        ("240101000000007", OrderState.ACCEPTED, "Noted"),
        (None, OrderState.NOT_PLACED, "Noted"),
        (None, OrderState.ACCEPTED, "It is at the broker after all"),
    ],
)
async def test_an_answer_is_taken_and_what_the_last_look_found_is_said(
    wanted: str | None, state: OrderState, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who says "not placed" may be told that it is there."""
    shown: list[tuple[str, str]] = []

    async def show_order(_visit: Any, said: str, key: str) -> None:
        shown.append((said, key))

    monkeypatch.setattr(unresolved, "show_order", show_order)
    key = VIEW.order.key
    args = {"client_order_id": key, "broker_order_id": wanted}
    visit = a_visit(args=args, link=state, not_placed=state)
    await resolve_order(visit)
    assert visit.asked == [{"not_placed": (key,)} if wanted is None else {"link": (key, wanted)}]
    assert shown == [(title, key)]


async def test_an_order_that_is_known_by_now_is_shown_and_nothing_asked() -> None:
    """The tap was made before the card was edited."""
    visit = a_visit("no")
    known = replace(VIEW, order=replace(VIEW.order, state=OrderState.ACCEPTED))
    sent: list[Any] = []

    async def view(_key: str) -> Any:
        return known

    async def send(screen: Any) -> None:
        sent.append(screen)

    visit.services.control.unresolved.view, visit.send = view, send
    await ask_resolve(visit)
    assert visit.asked == [] and "Known now" in sent[0].text
