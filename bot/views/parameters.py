"""A strategy's parameters (D6): the page, the question for one, what its change leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from telegram import InlineKeyboardButton

from bot.views.callbacks import handle
from bot.views.lines import symbol_of
from bot.views.markup import bold, code, esc, join, short
from bot.views.screen import Screen, button, grid
from bot.views.strategies import INSTRUMENTS, held_lines, value_words
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted, labelled
from bot.views.words import price
from core.domain.instrument import InstrumentId
from core.domain.size_views import InstrumentView
from core.domain.target import Parameter
from core.domain.views import PositionView, StrategyView

__all__ = [
    "INSTRUMENTS",
    "dropped_question",
    "instrument_lines",
    "meant_question",
    "parameter_question",
    "parameters_page",
    "pick",
]

_PICK = "="
_TYPED = 60
_MOST_BUTTONS = 24


def parameters_page(strategy: StrategyView) -> Screen:
    """Return the parameters with a button to change each."""
    key = handle(strategy.name)
    lines = [
        labelled(esc(parameter.label), bold(value_words(parameter, value)))
        for parameter, value in strategy.parameters
    ]
    buttons = [
        button(parameter.label, Verb.ASK_PARAMETER, key, handle(parameter.name))
        for parameter, _ in strategy.parameters
    ]
    return Screen(
        join(
            bold(f"{strategy.title}: parameters"),
            lines or "It has none.",
            "",
            "A change takes effect at the next run.",
        ),
        (*grid(buttons, 1), (button("« Back", Verb.STRATEGY, key),)),
    )


def pick(choice: str) -> str:
    """Return the argument of a button that sets what its label says, in later versions too."""
    return f"{_PICK}{handle(choice)}"


def _bounds(parameter: Parameter) -> str:
    if parameter.minimum is None and parameter.maximum is None:
        return ""
    low = "any" if parameter.minimum is None else parameter.minimum
    high = "any" if parameter.maximum is None else parameter.maximum
    return f" ({low} to {high})"


def parameter_question(
    strategy: StrategyView,
    parameter: Parameter,
    value: object,
    described: Sequence[InstrumentView] = (),
) -> Screen:
    """Return the question for a parameter's new value: its choices as buttons, or what to send."""
    key, name = handle(strategy.name), handle(parameter.name)
    head = [
        bold(strategy.title),
        f"{bold(parameter.label)} is {code(value_words(parameter, value))}.",
    ]
    cancel = (button("« Leave it", Verb.PARAMETERS, key),)
    choices = [
        button(
            f"{'• ' if str(value) == one else ''}{one}", Verb.PICK_PARAMETER, key, name, pick(one)
        )
        for one in parameter.choices[:_MOST_BUTTONS]
    ]
    if choices:
        text = "Tap it, or send the new value."
        return Screen(join(head, text), (*grid(choices, 4), cancel))
    default: tuple[InlineKeyboardButton, ...] = ()
    if str(value) != str(parameter.default):
        label = f"Default: {parameter.default}"
        pick_default = pick(str(parameter.default))
        default = (button(label, Verb.PICK_PARAMETER, key, name, pick_default),)
    if parameter.name == INSTRUMENTS:
        text = (
            f"Send the new value for {bold(parameter.label)}, one or several: "
            f"{code('SBIN, RELIANCE')}. I look them up; another exchange like {code('BSE:TCS')}."
        )
        lines: list[str] = instrument_lines(described)
    else:
        text = f"Send the new value for {bold(parameter.label)}{esc(_bounds(parameter))}."
        lines = []
    rows = (default, cancel) if default else (cancel,)
    return Screen(join(head, lines, text), rows)


def instrument_lines(described: Sequence[InstrumentView]) -> list[str]:
    """Return instruments with their names and last prices."""
    return [
        fitted(
            f"{bold(symbol_of(one.instrument))} {esc(short(one.name, _TYPED))}".rstrip(),
            price(one.last_price) if one.last_price is not None else "price not known",
            indent=INDENT,
        )
        for one in described
    ]


def meant_question(
    unlisted: Mapping[InstrumentId, Sequence[InstrumentId]], described: Sequence[InstrumentView]
) -> str:
    """Return the question what was meant by a name that no broker lists."""
    names = ", ".join(str(one) for one in unlisted)
    return join(
        f"I find no {bold(names)} in the brokers' lists.",
        ["Did you mean:", *instrument_lines(described)] if described else "Look at its spelling.",
    )


def dropped_question(
    strategy: StrategyView, parameter: Parameter, text: str, positions: Sequence[PositionView]
) -> str:
    """Return what a change of the instruments leaves behind, before it is made (D6)."""
    return join(
        bold(f"{parameter.label}: {short(text, _TYPED).upper()}?"),
        "It would no longer trade what it holds:",
        held_lines(strategy.name, positions),
        "",
        "After that none of its signals closes this. Stops that rest, guards and the square-off "
        "go on; /positions closes it.",
    )
