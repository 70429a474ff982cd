"""Every step of adding an account can be left (rows A1, A2)."""

from __future__ import annotations

import pytest

from bot.views.callbacks import parse
from bot.views.screen import Screen
from bot.views.verbs import Verb
from bot.wizard.add_account import STEPS, broker_screen, step_screen
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile

REDIRECT = "https://saarthi.example/broker/callback/x"


def ways_out(screen: Screen) -> dict[str, tuple[str, ...]]:
    """Return what the buttons do, by label."""
    found = {}
    for row in screen.rows:
        for one in row:
            tap = parse(str(one.callback_data)) if one.callback_data else None
            if tap is not None:
                assert tap.verb is Verb.WIZARD_STEP
                found[one.text] = tap.arguments
    return found


@pytest.mark.row("A1")
@pytest.mark.row("A2")
@pytest.mark.parametrize("broker", [ZERODHA, FYERS], ids=str)
@pytest.mark.parametrize("step", STEPS[1:])
def test_each_step_has_back_and_cancel(step: str, broker: BrokerProfile) -> None:
    """Both carry the step's stamp, so that a button of an earlier step moves nothing."""
    data = {"broker": broker.name, "name": "Main", "key": "a key"}
    found = ways_out(step_screen(step, broker, data, "s.7", REDIRECT))
    assert found["« Back"] == ("back", "s.7")
    assert found["Cancel"] == ("cancel", "s.7")


@pytest.mark.row("A1")
def test_the_choice_of_the_broker_can_be_cancelled() -> None:
    """It is the first step: there is nothing to go back to."""
    found = ways_out(broker_screen([ZERODHA, FYERS], "s.0"))
    assert found == {
        "Zerodha": ("zerodha", "s.0"),
        "Fyers": ("fyers", "s.0"),
        "Cancel": ("cancel", "s.0"),
    }


@pytest.mark.row("A1")
@pytest.mark.row("A2")
@pytest.mark.parametrize(
    ("broker", "names"),
    [(ZERODHA, ("API key", "API secret")), (FYERS, ("App ID", "ends in -100", "Secret ID"))],
    ids=["zerodha", "fyers"],
)
def test_the_guide_says_where_and_what(broker: BrokerProfile, names: tuple[str, ...]) -> None:
    """The console, the redirect URL with its copy button, the static IP, what is asked next."""
    screen = step_screen("guide", broker, {"broker": broker.name}, "s.1", REDIRECT)
    said = (f"Open {broker.console}", REDIRECT, "static IP", *names)
    assert [one for one in said if one not in screen.text] == []
    copied = [one.copy_text.text for row in screen.rows for one in row if one.copy_text]
    assert copied == [REDIRECT]
