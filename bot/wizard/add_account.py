"""The steps of adding an account (A1, A2): pure, from what was gathered to the next screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telegram import InlineKeyboardButton

from bot.views.markup import bold, code, esc, join
from bot.views.screen import PRIMARY, SUCCESS, Screen, button, copy_button
from bot.views.verbs import Verb
from core.domain.account import BrokerType

__all__ = ["ANSWERED_STEPS", "KIND", "STEPS", "previous", "step_screen"]

KIND = "add"
STEPS = ("broker", "guide", "name", "key", "secret", "summary")
ANSWERED_STEPS = frozenset({"name", "key", "secret"})
"""Steps that wait for a message; the others wait for a tap."""


OFFERED = (BrokerType.ZERODHA, BrokerType.FYERS)
"""The kinds of account that can be added."""


def previous(step: str) -> str:
    """Return the step that Back goes to."""
    return STEPS[max(0, STEPS.index(step) - 1)]


def step_screen(step: str, data: Mapping[str, Any], stamp: str, redirect_url: str) -> Screen:
    """Return the question of a step.

    Args:
        step: One of ``STEPS``.
        data: What was gathered; the secret, sealed, is never looked at.
        stamp: Ties the buttons to this step.
        redirect_url: What must stand in the broker's console.
    """
    if step == "broker":
        return _choose_broker(stamp)
    broker = BrokerType(data["broker"])
    head = f"{bold(f'Add {broker.label}')} · {_progress(step)}"
    rows: tuple[tuple[InlineKeyboardButton, ...], ...] = ()
    if step == "guide":
        text = join(_GUIDE[broker], "", "The redirect URL to paste there:", code(redirect_url))
        copy = copy_button("Copy the redirect URL", redirect_url)
        forward = (button("Continue", Verb.WIZARD_STEP, "continue", stamp, style=PRIMARY),)
        rows = (forward,) if copy is None else ((copy,), forward)
    elif step == "summary":
        text = _summary(data, broker)
        rows = (
            (button("Connect this account", Verb.WIZARD_STEP, "confirm", stamp, style=SUCCESS),),
        )
    else:
        text = _NAME if step == "name" else (_KEY if step == "key" else _SECRET)[broker]
    return Screen(join(head, "", text), (*rows, _way_out(stamp)))


def _progress(step: str) -> str:
    steps = STEPS[1:]
    return f"step {steps.index(step) + 1} of {len(steps)}"


def _way_out(stamp: str) -> tuple[InlineKeyboardButton, ...]:
    return (
        button("« Back", Verb.WIZARD_STEP, "back", stamp),
        button("Cancel", Verb.WIZARD_STEP, "cancel", stamp),
    )


def _choose_broker(stamp: str) -> Screen:
    choices = tuple(
        (button(broker.label, Verb.WIZARD_STEP, broker.value, stamp, style=PRIMARY),)
        for broker in OFFERED
    )
    return Screen(
        f"{bold('Add an account')}\nWith which broker?",
        (*choices, (button("Cancel", Verb.WIZARD_STEP, "cancel", stamp),)),
    )


def _summary(data: Mapping[str, Any], broker: BrokerType) -> str:
    label = "App ID" if broker is BrokerType.FYERS else "API key"
    details = f"{label}: {code(data['key'])}\nSecret: received and encrypted"
    hint = f"\n\n{esc(data['hint'])}" if data.get("hint") else ""
    return join(
        "Is this right?",
        "",
        f"Broker: {bold(broker.label)}",
        f"Name: {bold(data['name'])}",
        details + hint,
        "",
        "The account starts disabled: no strategy trades on it until you enable it.",
    )


_GUIDE = {
    BrokerType.ZERODHA: join(
        "1. Open developers.kite.trade, log in and create an app of the type Connect (its monthly "
        "plan includes market data; the free Personal type has none).",
        "2. In the app, set the redirect URL below.",
        "3. In your profile on the same site, register the static IP of the server that I run on. "
        "Zerodha refuses orders from any other address.",
        "4. Keep the page open: next I ask for the API key and the API secret.",
    ),
    BrokerType.FYERS: join(
        "1. Open myapi.fyers.in, log in and create an app. Allow orders and market data.",
        "2. Set the redirect URL below.",
        "3. Register the static IP of the server that I run on for this app. Fyers refuses orders "
        "from any other address.",
        "4. Keep the page open: next I ask for the App ID (it ends in -100) and the Secret ID.",
    ),
}
_NAME = join(
    "What shall I call this account? Send a name of your own, for example <code>Main</code> or "
    "<code>Family</code>.",
    "1 to 40 characters, different from your other accounts.",
)
_KEY = {
    BrokerType.ZERODHA: "Send the <b>API key</b> of the app.",
    BrokerType.FYERS: (
        "Send the <b>App ID</b> with its ending, in the form <code>AB1CD2EF3G-100</code>."
    ),
}
_DELETED = "I encrypt it and delete your message at once. Nobody, not even I, shows it again."
_SECRET = {
    BrokerType.ZERODHA: join("Send the <b>API secret</b> of the app.", "", _DELETED),
    BrokerType.FYERS: join("Send the <b>Secret ID</b> of the app.", "", _DELETED),
}
