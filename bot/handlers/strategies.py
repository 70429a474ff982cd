"""Strategies, /strategies: list, switches, parameters, assignments, extra runs (D4, D6)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from bot.conversation.visit import Visit
from bot.views.callbacks import handle, resolve
from bot.views.markup import bold, join
from bot.views.paging import page_number
from bot.views.paper import MADE_UP
from bot.views.screen import Keyboard, Screen, button
from bot.views.sizes import enable_question, seen, size_lines
from bot.views.strategies import (
    assignment_page,
    enabled_screen,
    run_question,
    size_question,
    still_held,
    strategies_list,
    strategy_page,
)
from bot.views.verbs import Verb
from core.domain.instrument import Product
from core.domain.typed_number import read_number
from core.domain.views import AssignmentView, PositionView, SizeKind, StrategyView
from core.errors import NotFound, UserError

__all__ = [
    "answer_size",
    "ask_run",
    "ask_size",
    "assignment",
    "listing",
    "page",
    "run_now",
    "set_product",
    "switch_assignment_off",
    "switch_assignment_on",
    "switch_off",
    "switch_on",
]

_SIZE = "size"
_UNCHANGED = "{} already; nothing was changed."
_CHANGED_SINCE = "⚠️ What it would trade has changed since that question. Look again:"


async def listing(visit: Visit) -> None:
    """List the strategies."""
    await visit.show(strategies_list(await visit.services.control.strategies.all(), _now(visit)))


def _now(visit: Visit) -> datetime:
    return visit.services.clock.market_now()


async def _strategy(visit: Visit) -> StrategyView:
    found = {one.name: one for one in await visit.services.control.strategies.all()}
    return found[resolve(visit.tap.argument(0), found, "strategy")]


def _assignment(strategy: StrategyView, broker_id: str) -> AssignmentView:
    for one in strategy.assignments:
        if one.broker_id == broker_id:
            return one
    raise NotFound("That account is not connected any more. Open /strategies again.")


async def page(visit: Visit) -> None:
    """Show one strategy."""
    number = page_number(visit.tap.argument(1))
    await visit.show(strategy_page(await _strategy(visit), number, now=_now(visit)))


async def switch_on(visit: Visit) -> None:
    """Enable a strategy for scheduled runs; say before what it would trade (D4)."""
    strategy = await _strategy(visit)
    if strategy.is_enabled:
        screen = strategy_page(strategy, now=_now(visit))
        await visit.show(screen.with_note(_UNCHANGED.format("It is enabled")))
        return
    if visit.tap.argument(1) != seen(strategy):
        sizes = await visit.services.control.sizes.of(strategy.name)
        are_made_up = await visit.services.control.views.are_made_up()
        question = enable_question(strategy, sizes, are_made_up=are_made_up, now=_now(visit))
        is_answer = bool(visit.tap.argument(1))
        await visit.show(question.with_note(_CHANGED_SINCE) if is_answer else question)
        return
    await visit.services.control.strategy_settings.set_enabled(
        visit.command, strategy.name, enabled=True, tells_first_run=True
    )
    changed = await visit.services.control.strategies.get(strategy.name)
    await visit.show(enabled_screen(changed, _now(visit)))


async def switch_off(visit: Visit) -> None:
    """Disable a strategy for scheduled runs; ask about what it holds."""
    strategy = await _strategy(visit)
    was_on = strategy.is_enabled
    await visit.services.control.strategy_settings.set_enabled(
        visit.command, strategy.name, enabled=False
    )
    await _show_switched_off(visit, strategy.name, None, was_on=was_on)


async def _show_switched_off(
    visit: Visit, name: str, broker_id: str | None, *, was_on: bool
) -> None:
    """Show the page of what was switched off, or ask first what becomes of what it holds (D4)."""
    control = visit.services.control
    strategy = await control.strategies.get(name)
    held = await _held(visit, name, broker_id)
    if held:
        screen = still_held(strategy, held, broker_id)
    elif broker_id is None:
        screen = strategy_page(strategy, now=_now(visit))
    else:
        screen = assignment_page(strategy, _assignment(strategy, broker_id))
    await visit.show(screen if was_on else screen.with_note(_UNCHANGED.format("It is off")))


async def _held(visit: Visit, name: str, broker_id: str | None) -> list[PositionView]:
    shown = await visit.services.control.views.positions(broker_id)
    # Opposite strategies net to nothing at the broker, and each still holds its units.
    return [one for one in shown if one.owners.get(name)]


async def ask_run(visit: Visit) -> None:
    """Say what an extra run does, and ask."""
    strategy = await _strategy(visit)
    await visit.confirm(
        run_question(strategy, await visit.services.control.runs.entries_over(strategy.name)),
        Verb.RUN_NOW,
        {"name": strategy.name},
        {"": "Run it now"},
        back=((button("« Back", Verb.STRATEGY, handle(strategy.name)),),),
        is_red=False,
    )


async def run_now(visit: Visit) -> None:
    """Request an extra run."""
    name = visit.args["name"]
    await visit.services.control.runs.file(visit.command, name)
    strategy = await visit.services.control.strategies.get(name)
    await visit.show(
        Screen(
            f"✅ {bold(strategy.title)} runs now. A signal and its orders come as a message; "
            "without a signal nothing is sent.",
            ((button("« Back", Verb.STRATEGY, handle(name)),),),
        )
    )


async def _ask(
    visit: Visit, kind: str, data: dict[str, str], question: str, back: Keyboard
) -> None:
    prompt = await visit.services.prompts.open(
        visit.chat_id, visit.user_id, kind, "value", data, update_id=visit.update_id
    )
    await visit.services.prompts.shown_in(prompt, await visit.show(Screen(question, back)))


async def assignment(visit: Visit) -> None:
    """Show how a strategy runs on one account; a question for its size is over."""
    await visit.end_question(_SIZE)
    strategy = await _strategy(visit)
    await visit.show(assignment_page(strategy, _assignment(strategy, visit.tap.argument(1))))


async def _reassign(
    visit: Visit, *, is_on: bool | None = None, product: Product | None = None
) -> None:
    strategy = await _strategy(visit)
    broker_id = visit.tap.argument(1)
    before = _assignment(strategy, broker_id)
    await visit.services.control.strategy_settings.assign(
        visit.command, strategy.name, broker_id, is_on=is_on, product=product
    )
    changed = await visit.services.control.strategies.get(strategy.name)
    screen = assignment_page(changed, _assignment(changed, broker_id))
    is_same = is_on in {None, before.is_on} and product in {None, before.product}
    already = "It is on here" if product is None else f"It uses {before.product.value}"
    await visit.show(screen.with_note(_UNCHANGED.format(already)) if is_same else screen)


async def switch_assignment_on(visit: Visit) -> None:
    """Let a strategy run on an account."""
    await _reassign(visit, is_on=True)


async def switch_assignment_off(visit: Visit) -> None:
    """Keep a strategy off an account; ask about what it holds there."""
    strategy = await _strategy(visit)
    broker_id = visit.tap.argument(1)
    was_on = _assignment(strategy, broker_id).is_on
    await visit.services.control.strategy_settings.assign(
        visit.command, strategy.name, broker_id, is_on=False
    )
    await _show_switched_off(visit, strategy.name, broker_id, was_on=was_on)


async def set_product(visit: Visit) -> None:
    """Choose the product of a strategy's orders on an account."""
    word = visit.tap.argument(2)
    if word not in Product.__members__:
        raise UserError("I do not know that product. Open /strategies again.")
    await _reassign(visit, product=Product(word))


async def ask_size(visit: Visit) -> None:
    """Ask for a size or a multiplier."""
    strategy = await _strategy(visit)
    one = _assignment(strategy, visit.tap.argument(1))
    kind = visit.tap.argument(2)
    if kind not in {"q", "c", "m"}:
        raise UserError("I do not know that setting. Open /strategies again.")
    await _ask(
        visit,
        _SIZE,
        {"strategy": strategy.name, "broker_id": one.broker_id, "what": kind},
        size_question(strategy.title, one.account_label, kind),
        ((button("« Leave it", Verb.ASSIGNMENT, handle(strategy.name), one.broker_id),),),
    )


async def answer_size(visit: Visit, strategy: str, broker_id: str, kind: str) -> None:
    """Change a size or a multiplier to what the user typed."""
    value = _number(visit.text)
    control = visit.services.control
    if kind == "m":
        await control.strategy_settings.assign(visit.command, strategy, broker_id, multiplier=value)
    else:
        await control.strategy_settings.assign(
            visit.command,
            strategy,
            broker_id,
            size_kind=SizeKind.QUANTITY if kind == "q" else SizeKind.CAPITAL_SHARE,
            size_value=value,
        )
    changed = await control.strategies.get(strategy)
    screen = assignment_page(changed, _assignment(changed, broker_id))
    sizes = await control.sizes.of(strategy, broker_id)
    made_up = MADE_UP if await control.views.are_made_up() else None
    await visit.show(screen.with_note(join("✅ Changed.", made_up, size_lines(sizes))))


def _number(text: str) -> Decimal:
    value = read_number(text)
    if value is None or value <= 0:
        raise UserError(f"Found {text.strip()[:30]!r}; expected a number above zero, like 10.")
    return value
