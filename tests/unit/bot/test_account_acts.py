"""What the buttons of an account do (rows A5, A6, A7, A10): what was tapped, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.handlers import accounts
from bot.views.callbacks import Tap
from bot.views.verbs import Verb
from core.domain.account import Account, DisablePolicy
from core.domain.views import ExposureView
from core.errors import ChoiceNeeded, UserError
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN
from tests.fakes.views import a_position, an_account

MAIN = an_account()
OTHER = an_account("zerodha_bbbbbbbbbb", display_name="Other", is_default=False)


class Switch:
    """Asks where strategies hold something, and notes what was chosen."""

    def __init__(self) -> None:
        self.policies: list[DisablePolicy] = []

    async def disable(self, _command: Any, _id: str, policy: DisablePolicy | None) -> Account:
        if policy is None:
            raise ChoiceNeeded("Strategies hold 1 position on this account")
        self.policies.append(policy)
        return MAIN


@pytest.mark.row("A5")
async def test_each_choice_of_a_disable_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The label, what is done, and what is said of it are of one kind."""
    switch, asked, said = Switch(), {}, []

    async def confirm(
        text: str, verb: Verb, _args: object, choices: dict[str, str], **_: object
    ) -> None:
        assert verb is Verb.DISABLE_WITH_POLICY and "SBIN" in text and MAIN.label in text
        asked.update(choices)

    async def show(_visit: object, _broker_id: str, note: str = "") -> None:
        said.append(note)

    async def exposure(_broker_id: str) -> ExposureView:
        return ExposureView(MAIN, (), (a_position(MAIN),), (), True)

    async def get(_broker_id: str) -> Account:
        return MAIN

    monkeypatch.setattr(accounts, "_show_page", show)
    control = SimpleNamespace(
        switch=switch,
        views=SimpleNamespace(exposure=exposure),
        accounts=SimpleNamespace(get=get),
    )
    visit: Any = SimpleNamespace(
        services=SimpleNamespace(control=control),
        tap=Tap(Verb.DISABLE_ACCOUNT, (MAIN.broker_id,)),
        args={"broker_id": MAIN.broker_id},
        command=None,
        confirm=confirm,
    )
    await accounts.disable(visit)
    assert switch.policies == []
    done = {}
    for choice, label in asked.items():
        visit.tap = Tap(Verb.DISABLE_WITH_POLICY, ("nonce", choice))
        await accounts.disable_with(visit)
        done[label] = (switch.policies[-1], said[-1].partition("is disabled. ")[2].split(" ")[0:3])
    assert done == {
        "Let strategies exit them": (DisablePolicy.EXITS_ONLY, ["Strategies", "may", "still"]),
        "Close them all now": (DisablePolicy.CLOSE_NOW, ["I", "am", "closing"]),
        "I manage them, without their stops": (DisablePolicy.MANUAL, ["Its", "positions", "are"]),
    }


@pytest.mark.row("A6")
async def test_what_became_the_default_since_the_question_is_not_disconnected() -> None:
    """The question was asked when another account was the default: that one has to be named anew."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    first, second = await engine.connect("First"), await engine.connect("Second")
    await engine.control.accounts.set_default(engine.command(), second.broker_id)
    shown: list[Any] = []

    async def show(screen: Any) -> None:
        shown.append(screen)

    visit: Any = SimpleNamespace(
        services=SimpleNamespace(control=engine.control),
        args={"broker_id": second.broker_id},
        command=engine.command(),
        show=show,
    )
    with pytest.raises(UserError, match="Name another default first"):
        await accounts.disconnect(visit)
    assert len(await engine.control.accounts.all()) == 2
    await engine.control.accounts.set_default(engine.command(), first.broker_id)
    await accounts.disconnect(visit)
    assert [one.broker_id for one in await engine.control.accounts.all()] == [first.broker_id]
    visit.args, visit.command = {"broker_id": first.broker_id}, engine.command()
    await accounts.disconnect(visit)
    assert await engine.control.accounts.all() == ()


@pytest.mark.row("A7", "A10")
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("taken", "Another account is called"),
        ("T\u0430ken", "looks like"),
        ("\u200b", "empty"),
        ("x" * 41, "41 characters; expected at most 40"),
    ],
)
async def test_a_rename_takes_no_name_of_another(
    typed: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that reads the same; its own name in other letters it may have."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    await engine.connect("Taken")
    account = await engine.connect("Main")

    async def show(*_: object) -> None:
        """The page is no matter here."""

    monkeypatch.setattr(accounts, "_show_page", show)
    visit: Any = SimpleNamespace(services=SimpleNamespace(control=engine.control), text=typed)
    visit.command = engine.command()
    with pytest.raises(UserError, match=told):
        await accounts.answer_name(visit, account.broker_id)
    visit.text = "MAIN"
    await accounts.answer_name(visit, account.broker_id)
    names = {one.display_name for one in await engine.control.accounts.all()}
    assert names == {"Taken", "MAIN"}
    with pytest.raises(UserError, match="called 'main' already"):
        await engine.control.accounts.check_name_is_free("main")


@pytest.mark.row("A7", "A10")
async def test_a_renamed_account_gives_its_old_name_back_and_keeps_its_new_one() -> None:
    """Also from somebody who asked for the same name at the same moment."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    first, second = await engine.connect("Main"), await engine.connect("Second")
    stored = engine.control.accounts
    await stored.rename(engine.command(), first.broker_id, "Prime")
    with pytest.raises(UserError, match="called 'PRIME' already"):
        await stored.rename(engine.command(), second.broker_id, "PRIME")
    again = await engine.connect("Main")
    names = {one.broker_id: one.display_name for one in await stored.all()}
    assert names == {
        first.broker_id: "Prime",
        second.broker_id: "Second",
        again.broker_id: "Main",
    }
