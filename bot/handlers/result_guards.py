"""Guards on the day's result, /guard: look, set, confirm twice, lock (R5)."""

from __future__ import annotations

from bot.conversation.prompts import Prompt
from bot.conversation.visit import Visit
from bot.views.callbacks import handle, resolve
from bot.views.markup import bold
from bot.views.paging import page_number
from bot.views.result_guards import (
    PARTS,
    guard_answer,
    guard_page,
    guard_question,
    guards_screen,
    lock_question,
    part_page,
    typed_question,
    with_part,
)
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from core.domain.guard_views import GuardView
from core.domain.result_guard import GuardScope, ScopeKind
from core.errors import UserError

__all__ = [
    "answer_value",
    "ask_lock",
    "ask_value",
    "keep",
    "lock",
    "loosen",
    "overview",
    "page",
    "part",
    "put",
    "type_value",
]


_KIND = "guard"


async def overview(visit: Visit) -> None:
    """Show every guard."""
    await visit.end_question(_KIND)
    await visit.show(
        guards_screen(
            await visit.services.control.guards.overview(), page_number(visit.tap.argument(0))
        )
    )


async def _scope(visit: Visit) -> GuardScope:
    scopes = {one.key: one for one in await visit.services.control.guards.scopes()}
    return scopes[resolve(visit.tap.argument(0), scopes, "guard")]


def _part(visit: Visit) -> str:
    found = visit.tap.argument(1)
    if found not in PARTS:
        raise UserError("I do not know that part of a guard. Open /guard again.")
    return found


async def _page(visit: Visit, view: GuardView) -> Screen:
    """Return a scope's page; that of an account leads to its strategies."""
    control, whose = visit.services.control, view.scope.broker_id
    below: list[tuple[str, str]] = []
    if view.scope.kind is ScopeKind.ACCOUNT:
        for one in await control.strategies.all():
            scope = GuardScope(ScopeKind.STRATEGY, whose, one.name)
            below.append((one.title, scope.key))
    account = await control.accounts.get(whose) if whose else None
    return await visit.services.logins.begun(guard_page(view, below), account)


async def page(visit: Visit) -> None:
    """Show one guard; a question for one of its values is over."""
    await visit.end_question(_KIND)
    view = await visit.services.control.guards.get(await _scope(visit))
    await visit.show(await _page(visit, view))


async def part(visit: Visit) -> None:
    """Show the usual values of one part; one that is typed is an answer as well."""
    name = _part(visit)
    view = await visit.services.control.guards.get(await _scope(visit))
    prompt = await _open_question(visit, view, name)
    await visit.services.prompts.shown_in(prompt, await visit.show(part_page(view, name)))


async def _open_question(visit: Visit, view: GuardView, name: str) -> Prompt:
    return await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        _KIND,
        "value",
        {"scope": view.scope.key, "part": name},
        update_id=visit.update_id,
    )


async def type_value(visit: Visit) -> None:
    """Ask for a value that is typed."""
    name = _part(visit)
    view = await visit.services.control.guards.get(await _scope(visit))
    prompt = await _open_question(visit, view, name)
    back = button("« Back", Verb.GUARD_PART, handle(view.scope.key), name)
    shown = await visit.show(Screen(typed_question(view, name), ((back,),)))
    await visit.services.prompts.shown_in(prompt, shown)


async def answer_value(visit: Visit, scope: str, name: str) -> None:
    """Ask whether the guard becomes what the user typed."""
    await _ask(visit, GuardScope.parse(scope), name, visit.text)


async def ask_value(visit: Visit) -> None:
    """Say what a change does, and ask."""
    await visit.end_question(_KIND)
    await _ask(visit, await _scope(visit), _part(visit), visit.tap.argument(2))


async def _ask(visit: Visit, scope: GuardScope, name: str, value: str) -> None:
    guards = visit.services.control.guards
    now = await guards.get(scope)
    guard = with_part(now.guard, name, value)
    if guard == now.guard:
        raise UserError("It is set so already; nothing was changed.")
    preview = await guards.preview(scope, guard)
    label, is_red = guard_answer(preview)
    await visit.confirm(
        guard_question(preview),
        Verb.SET_GUARD,
        {"scope": scope.key, "part": name, "value": value, "version": now.version},
        {"": label},
        back=((button("« Leave it", Verb.GUARD, handle(scope.key)),),),
        is_red=is_red,
    )


async def put(visit: Visit) -> None:
    """Change a guard, or say that the change waits for its second confirmation."""
    args, guards = visit.args, visit.services.control.guards
    scope = GuardScope.parse(args["scope"])
    before = await guards.get(scope)
    guard = with_part(before.guard, args["part"], args["value"])
    view = await guards.set(visit.command, scope, guard, args["version"])
    is_waiting = view.version == args["version"]
    note = (
        f"⏳ {bold('Not yet')}: this is looser, so confirm it again below, two minutes from now."
        if is_waiting
        else "✅ Set."
    )
    await visit.show((await _page(visit, view)).with_note(note))


async def loosen(visit: Visit) -> None:
    """Confirm a looser guard a second time."""
    scope = await _scope(visit)
    view = await visit.services.control.guards.confirm(visit.command, scope, visit.tap.argument(1))
    await visit.show((await _page(visit, view)).with_note("✅ Loosened."))


async def keep(visit: Visit) -> None:
    """Drop a looser guard that waits."""
    view = await visit.services.control.guards.keep(visit.command, await _scope(visit))
    await visit.show((await _page(visit, view)).with_note("✅ The present guard stays."))


async def ask_lock(visit: Visit) -> None:
    """Say what a lock does, and ask."""
    view = await visit.services.control.guards.get(await _scope(visit))
    await visit.confirm(
        lock_question(view),
        Verb.LOCK_GUARD,
        {"scope": view.scope.key, "version": view.version},
        {"": "Yes, lock it"},
        back=((button("« Leave it", Verb.GUARD, handle(view.scope.key)),),),
        is_red=False,
    )


async def lock(visit: Visit) -> None:
    """Lock a guard until the next trading day."""
    scope = GuardScope.parse(visit.args["scope"])
    view = await visit.services.control.guards.lock(visit.command, scope, visit.args["version"])
    await visit.show((await _page(visit, view)).with_note("🔒 Locked."))
