"""The steps of adding an account (A1, A2, F6): pure functions from the answers to a screen.

A paper account has no console, no key and no secret: it has a name and an amount of paper money.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import chain, count
from typing import Any

from telegram import InlineKeyboardButton

from bot.views.markup import bold, code, esc, join
from bot.views.paper import WHAT_IT_IS, funds_rows
from bot.views.screen import PRIMARY, SUCCESS, Screen, button, copy_button
from bot.views.verbs import Verb
from core.domain.account import PAPER_MARK
from core.domain.broker_profile import BrokerProfile, CredentialForm
from core.domain.money import rupees

__all__ = [
    "ANSWERED_STEPS",
    "KIND",
    "PAPER_FUNDS",
    "PAPER_NAME",
    "PAPER_STEPS",
    "STEPS",
    "broker_screen",
    "first_answers",
    "following",
    "previous",
    "question",
    "step_screen",
    "steps_of",
]

KIND = "add"
STEPS = ("broker", "guide", "name", "key", "secret", "summary")
PAPER_STEPS = ("broker", "name", "funds", "summary")
PAPER_NAME = "Try"
"""The name that a paper account begins with, so that it takes taps alone."""
PAPER_FUNDS = 1_000_000
"""The paper money that it begins with, rupees."""
ANSWERED_STEPS = frozenset({"name", "key", "secret", "funds"})
"""Steps that wait for a message; the others wait for a tap."""


def steps_of(broker: BrokerProfile) -> tuple[str, ...]:
    """Return the steps of an account of a broker."""
    return PAPER_STEPS if broker.is_paper else STEPS


def previous(step: str, broker: BrokerProfile | None) -> str:
    """Return the step that Back goes to."""
    if broker is not None and broker.is_paper and step == "summary":
        return "broker"
    if broker is not None and broker.is_paper:
        return "summary"
    steps = STEPS if broker is None else steps_of(broker)
    return steps[max(0, steps.index(step) - 1)]


def following(step: str, broker: BrokerProfile) -> str:
    """Return the step after one; a paper account has its name and its money from the start."""
    if broker.is_paper:
        return "summary"
    steps = steps_of(broker)
    return steps[steps.index(step) + 1]


def first_answers(broker: BrokerProfile, taken: Collection[str]) -> dict[str, Any]:
    """Return the answers with which an account of a broker begins.

    Args:
        broker: The broker that was chosen.
        taken: The names of the accounts that exist.
    """
    if not broker.is_paper:
        return {"broker": broker.name}
    used = {one.casefold() for one in taken}
    numbered = (f"{PAPER_NAME} {number}" for number in count(2))
    name = next(one for one in chain((PAPER_NAME,), numbered) if one.casefold() not in used)
    return {"broker": broker.name, "name": name, "funds": str(PAPER_FUNDS)}


def broker_screen(
    brokers: Sequence[BrokerProfile], stamp: str, *, is_first: bool = False
) -> Screen:
    """Return the question of the first step: the broker of the account.

    Args:
        brokers: What is offered.
        stamp: Ties the buttons to this step.
        is_first: There is no account yet: whoever only wants to look is offered paper first.
    """
    paper = [one for one in brokers if one.is_paper]
    others = [one for one in brokers if not one.is_paper]
    label = "Try with a paper account" if is_first else "Paper account"
    trying = [(f"{PAPER_MARK}{label}", one.name) for one in paper]
    real = [(one.label, one.name) for one in others]
    choices = tuple(
        (button(label, Verb.WIZARD_STEP, name, stamp, style=PRIMARY),)
        for label, name in ((*trying, *real) if is_first else (*real, *trying))
    )
    return Screen(
        join(
            bold("Add an account"),
            WHAT_IT_IS if is_first and paper else None,
            "With which broker?",
        ),
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
    if step == "summary" and broker.is_paper:
        return _paper_summary(data, stamp)
    head = bold(f"Add {broker.label}")
    if not broker.is_paper:
        head += f" · {_progress(step, broker)}"
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
    elif step == "funds":
        text = _PAPER_MONEY
        rows = funds_rows(Verb.WIZARD_STEP, stamp)
    elif step == "name" and broker.is_paper:
        text = _NAME
        call_it = f"Call it {PAPER_NAME}"
        rows = ((button(call_it, Verb.WIZARD_STEP, PAPER_NAME, stamp, style=PRIMARY),),)
    else:
        text = _NAME if step == "name" else question(broker.key if step == "key" else broker.secret)
    return Screen(join(head, "", text), (*rows, _way_out(stamp)))


def _progress(step: str, broker: BrokerProfile) -> str:
    steps = steps_of(broker)[1:]
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


def _paper_summary(data: Mapping[str, Any], stamp: str) -> Screen:
    text = join(
        bold(f"{PAPER_MARK}A paper account"),
        "",
        f"Name: {bold(data['name'])}",
        f"Paper money: {bold(rupees(Decimal(data['funds']), paise=False))}",
        _PRICES,
        "",
        "Strategies that are enabled trade on it at once.",
    )
    return Screen(
        text,
        (
            (button("Create it", Verb.WIZARD_STEP, "confirm", stamp, style=SUCCESS),),
            (
                button("Another name", Verb.WIZARD_STEP, "name", stamp),
                button("Another amount", Verb.WIZARD_STEP, "funds", stamp),
            ),
            _way_out(stamp),
        ),
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
_PAPER_MONEY = join(
    "How much paper money shall it begin with? Tap an amount or send another one, for example "
    "<code>7,50,000</code>. You can change it later.",
)
_PRICES = (
    "Prices: made up for practice while you have no broker account here; as soon as you connect "
    "one, they are that account's. Paper money is never added to real money."
)
_DELETED = "I encrypt it and delete your message at once. It is never shown again."
