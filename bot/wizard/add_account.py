"""The steps of adding an account (A1, A2): pure functions from the answers to a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from telegram import InlineKeyboardButton

from bot.views.markup import bold, code, esc, join
from bot.views.screen import PRIMARY, SUCCESS, Screen, button, copy_button
from bot.views.verbs import Verb
from core.domain.broker_profile import BrokerProfile, CredentialForm

__all__ = [
    "ANSWERED_STEPS",
    "KIND",
    "STEPS",
    "broker_screen",
    "previous",
    "question",
    "step_screen",
]

KIND = "add"
STEPS = ("broker", "guide", "name", "key", "secret", "summary")
ANSWERED_STEPS = frozenset({"name", "key", "secret"})
"""Steps that wait for a message; the others wait for a tap."""


def previous(step: str) -> str:
    """Return the step that Back goes to."""
    return STEPS[max(0, STEPS.index(step) - 1)]


def broker_screen(brokers: Sequence[BrokerProfile], stamp: str) -> Screen:
    """Return the question of the first step: the broker of the account."""
    choices = tuple(
        (button(broker.label, Verb.WIZARD_STEP, broker.name, stamp, style=PRIMARY),)
        for broker in brokers
    )
    return Screen(
        f"{bold('Add an account')}\nWith which broker?",
        (*choices, (button("Cancel", Verb.WIZARD_STEP, "cancel", stamp),)),
    )


def step_screen(
    step: str, broker: BrokerProfile, data: Mapping[str, Any], stamp: str, redirect_url: str
) -> Screen:
    """Return the question of a later step.

    Args:
        step: One of ``STEPS`` but the first.
        broker: The broker that was chosen.
        data: The answers so far; the sealed secret is not read.
        stamp: Ties the buttons to this step.
        redirect_url: The address to enter in the broker's console.
    """
    head = f"{bold(f'Add {broker.label}')} · {_progress(step)}"
    rows: tuple[tuple[InlineKeyboardButton, ...], ...] = ()
    if step == "guide":
        text = _guide(broker, redirect_url)
        copy = copy_button("Copy the redirect URL", redirect_url)
        forward = (button("Continue", Verb.WIZARD_STEP, "continue", stamp, style=PRIMARY),)
        rows = (forward,) if copy is None else ((copy,), forward)
    elif step == "summary":
        text = _summary(data, broker)
        rows = (
            (button("Connect this account", Verb.WIZARD_STEP, "confirm", stamp, style=SUCCESS),),
        )
    else:
        text = _NAME if step == "name" else question(broker.key if step == "key" else broker.secret)
    return Screen(join(head, "", text), (*rows, _way_out(stamp)))


def _progress(step: str) -> str:
    steps = STEPS[1:]
    return f"step {steps.index(step) + 1} of {len(steps)}"


def _way_out(stamp: str) -> tuple[InlineKeyboardButton, ...]:
    return (
        button("« Back", Verb.WIZARD_STEP, "back", stamp),
        button("Cancel", Verb.WIZARD_STEP, "cancel", stamp),
    )


def _summary(data: Mapping[str, Any], broker: BrokerProfile) -> str:
    details = f"{esc(broker.key.name)}: {code(data['key'])}\nSecret: received and encrypted"
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


def _guide(broker: BrokerProfile, redirect_url: str) -> str:
    steps = [esc(f"{number}. {step}") for number, step in enumerate(broker.guide, 1)]
    return join(steps, "", "The redirect URL to paste there:", code(redirect_url))


def question(form: CredentialForm) -> str:
    """Return the question for a key or a secret."""
    example = f", in the form {code(form.example)}" if form.example else ""
    asked = f"Send the {bold(form.name)} {esc(form.where)}{example}."
    return join(asked, "", _DELETED) if form.is_secret else asked


_NAME = join(
    "What shall I call this account? Send a name of your own, for example <code>Main</code> or "
    "<code>Family</code>.",
    "1 to 40 characters, different from your other accounts.",
)
_DELETED = "I encrypt it and delete your message at once. It is never shown again."
