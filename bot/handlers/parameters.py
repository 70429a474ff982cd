"""A strategy's parameters, /strategies: look, tap a choice or send a value (D6)."""

from __future__ import annotations

from collections.abc import Collection

from bot.conversation.visit import Visit
from bot.views.callbacks import handle, resolve
from bot.views.markup import join
from bot.views.paper import MADE_UP
from bot.views.parameters import (
    INSTRUMENTS,
    dropped_question,
    instrument_lines,
    meant_question,
    parameter_question,
    parameters_page,
    pick,
)
from bot.views.screen import button
from bot.views.verbs import Verb
from core.domain.instrument import InstrumentId
from core.domain.target import Parameter
from core.domain.typed_instruments import changed_instruments, read_instruments
from core.domain.views import StrategyView
from core.errors import UserError

__all__ = [
    "answer_parameter",
    "ask_parameter",
    "parameters",
    "pick_parameter",
    "set_parameter",
]

_KIND = "parameter"


async def _strategy(visit: Visit) -> StrategyView:
    found = {one.name: one for one in await visit.services.control.strategies.all()}
    return found[resolve(visit.tap.argument(0), found, "strategy")]


async def parameters(visit: Visit) -> None:
    """Show the parameters; a question for one of them is over."""
    await visit.end_question(_KIND)
    await visit.show(parameters_page(await _strategy(visit)))


async def ask_parameter(visit: Visit) -> None:
    """Ask for a parameter's new value, in the card of the parameters."""
    strategy = await _strategy(visit)
    known = {parameter.name: (parameter, value) for parameter, value in strategy.parameters}
    name = resolve(visit.tap.argument(1), known, "parameter")
    parameter, value = known[name]
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        _KIND,
        "value",
        {"strategy": strategy.name, "parameter": name},
        update_id=visit.update_id,
    )
    chosen = _ids(str(value)) if name == INSTRUMENTS else []
    described = await visit.services.control.sizes.described(chosen)
    screen = parameter_question(strategy, parameter, value, described)
    if described and await visit.services.control.views.are_made_up():
        screen = screen.with_note(MADE_UP)
    await visit.services.prompts.shown_in(prompt, await visit.show(screen))


def _ids(text: str) -> list[InstrumentId]:
    """Return the instruments that were typed, as far as they have the form of one."""
    return [InstrumentId.parse(one) for one in read_instruments(text) if one.partition(":")[2]]


async def pick_parameter(visit: Visit) -> None:
    """Set a parameter to the choice that was tapped."""
    strategy = await _strategy(visit)
    known = {parameter.name: parameter for parameter, _ in strategy.parameters}
    parameter = known[resolve(visit.tap.argument(1), known, "parameter")]
    await _change(visit, strategy.name, parameter.name, _picked(parameter, visit.tap.argument(2)))
    await visit.end_question(_KIND)


def _picked(parameter: Parameter, choice: str) -> str:
    for one in (*parameter.choices, str(parameter.default)):
        if choice == pick(one):
            return one
    raise UserError("That button is of an older list of choices. Open /strategies again.")


async def answer_parameter(visit: Visit, strategy: str, parameter: str) -> None:
    """Change a parameter to what the user typed."""
    text = visit.text.strip()
    if parameter == INSTRUMENTS:
        view = await visit.services.control.strategies.get(strategy)
        present = next(value for one, value in view.parameters if one.name == parameter)
        text = changed_instruments(text, str(present))
        if await _ask_meant(visit, strategy, text):
            return
    await _change(visit, strategy, parameter, text)


async def _ask_meant(visit: Visit, name: str, text: str) -> bool:
    """Ask what was meant by a name that no broker lists; False when all are listed."""
    sizes, typed = visit.services.control.sizes, _ids(text)
    unlisted = await sizes.unlisted(typed)
    wrong = next(iter(unlisted), None)
    if wrong is None or not unlisted[wrong]:
        return False  # what is wrong with it is said as for any other value
    meant = unlisted[wrong]
    texts = [",".join(str(one if it == wrong else it) for it in typed) for one in meant]
    await visit.confirm(
        meant_question({wrong: meant}, await sizes.described(meant)),
        Verb.SET_PARAMETER,
        {"name": name, "parameter": INSTRUMENTS, "texts": texts},
        {str(number): f"Use {one}" for number, one in enumerate(meant)},
        back=((button("« Leave it", Verb.PARAMETERS, handle(name)),),),
        is_red=False,
    )
    return True


async def _change(
    visit: Visit, name: str, parameter: str, text: str, *, asked: Collection[str] = ()
) -> None:
    """Change a parameter; ask first when something held would not be traded any more.

    ``asked`` are the instruments that the user was asked about by the question that was answered.
    """
    control = visit.services.control
    dropped = await control.strategy_settings.dropped(name, parameter, text)
    shown = await control.views.positions(None)
    held = [one for one in shown if one.owners.get(name) and one.instrument in dropped]
    if any(str(one.instrument) not in asked for one in held):
        view = await control.strategies.get(name)
        known = next(one for one, _ in view.parameters if one.name == parameter)
        await visit.confirm(
            dropped_question(view, known, text, held),
            Verb.SET_PARAMETER,
            {
                "name": name,
                "parameter": parameter,
                "texts": [text],
                "held": sorted({str(one.instrument) for one in held}),
            },
            {"": "Change it all the same"},
            back=((button("« Leave it", Verb.PARAMETERS, handle(name)),),),
        )
        return
    await _set(visit, name, parameter, text)


async def _set(visit: Visit, name: str, parameter: str, text: str) -> None:
    control = visit.services.control
    await control.strategy_settings.set_parameter(visit.command, name, parameter, text)
    chosen = _ids(text) if parameter == INSTRUMENTS else []
    described = await control.sizes.described(chosen)
    made_up = MADE_UP if described and await control.views.are_made_up() else None
    note = join("✅ Changed.", made_up, instrument_lines(described))
    screen = parameters_page(await control.strategies.get(name))
    await visit.show(screen.with_note(note))


async def set_parameter(visit: Visit) -> None:
    """Change a parameter as the user confirmed it, or as it was meant."""
    args, choice = visit.args, visit.tap.argument(1, "0")
    text = args["texts"][int(choice) if choice.isdecimal() else 0]
    # The question for what was meant asked nothing about what is held, whatever it offered.
    await _change(visit, args["name"], args["parameter"], text, asked=args.get("held", ()))
