"""Panic, /panic and the typed words: choose, confirm once, follow, end (row R2).

Nothing here waits for a broker: the question is built from the store and the last reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bot.conversation.visit import Visit
from bot.views.panic import (
    HOLDINGS,
    panic_choices,
    panic_question,
    start_label,
    stop_question,
)
from bot.views.screen import DANGER, Screen, button
from bot.views.verbs import Verb
from bot.views.words import plural
from core.domain.views import PanicQuestion
from core.errors import AlreadyDone, UserError

__all__ = ["ask", "ask_for", "ask_stop", "pick", "start", "stop"]


async def ask(visit: Visit) -> None:
    """Ask, with every account chosen; while a panic runs, show it, and ask what to add to it."""
    await ask_for(visit, None)


async def ask_for(visit: Visit, broker_ids: Collection[str] | None) -> None:
    """Ask, with these accounts chosen, or with all of them (None)."""
    question = await visit.services.control.panic.question()
    if not question.accounts:
        raise UserError("There is no account yet, so there is nothing to close.")
    running = question.running
    chosen = [
        one.account.broker_id
        for one in question.accounts
        if broker_ids is None or one.account.broker_id in broker_ids
    ]
    if running is None:
        await _show(visit, question, chosen, with_holdings=False)
        return
    await visit.services.control.panic.show_again(visit.chat_id)
    others = [one for one in chosen if one not in running.broker_ids]
    if others:
        await _show(visit, question, others, with_holdings=False)
    else:
        where = "there" if broker_ids else "on every account"
        await visit.send(Screen(f"A panic runs already {where}. It shows here:"))


async def _show(
    visit: Visit, question: PanicQuestion, chosen: Collection[str], *, with_holdings: bool
) -> None:
    args = {"chosen": list(chosen), "holdings": with_holdings}
    nonce = await visit.issue(Verb.PANIC, args)
    first = (button(start_label(chosen), Verb.PANIC, nonce, style=DANGER),)
    choices = panic_choices(question, chosen, nonce, with_holdings=with_holdings)
    text = panic_question(question, chosen, with_holdings=with_holdings)
    rows = (first, *choices) if chosen else choices
    await visit.show(Screen(text, rows))


async def pick(visit: Visit) -> None:
    """Choose an account or leave it out, or choose holdings too; the question is shown anew."""
    nonces = visit.services.nonces
    nonce = await nonces.find(visit.tap.argument(0))
    is_mine = nonce is not None and nonce.is_for(Verb.PANIC, visit.chat_id, visit.user_id)
    if nonce is None or not is_mine or nonces.is_expired(nonce):
        await ask(visit)
        return
    question = await visit.services.control.panic.question()
    chosen, with_holdings = _picked(question, nonce.args, visit.tap.argument(1))
    await _show(visit, question, chosen, with_holdings=with_holdings)
    nonces.spend(nonce.id)


def _picked(question: PanicQuestion, args: Mapping[str, Any], what: str) -> tuple[list[str], bool]:
    """Return the accounts that are chosen after a tap, and whether holdings are."""
    known = [one.account.broker_id for one in question.accounts]
    chosen = [one for one in known if one in args["chosen"]]
    if what == HOLDINGS:
        return chosen, not args["holdings"]
    if what.isdecimal() and int(what) < len(known):
        tapped = known[int(what)]
        chosen = [one for one in known if (one in chosen) is not (one == tapped)]
    return chosen, bool(args["holdings"])


async def start(visit: Visit) -> None:
    """Begin; the live message follows by itself."""
    args = visit.args
    control = visit.services.control
    try:
        panic = await control.panic.start(
            visit.command, args["chosen"], with_holdings=args["holdings"]
        )
    except AlreadyDone:
        await visit.services.control.panic.show_again(visit.chat_id)
        raise
    accounts = plural(len(panic.broker_ids), "account")
    await visit.show(Screen(f"🛑 Confirmed: I close everything on {accounts}."))


async def ask_stop(visit: Visit) -> None:
    """Say what ending a panic leaves behind, and ask."""
    panic_id = visit.tap.argument(0)
    view = await visit.services.control.panic.view(panic_id)
    if not view.panic.is_running:
        raise AlreadyDone("That panic is over already.")
    await visit.confirm(
        stop_question(view),
        Verb.STOP_PANIC,
        {"panic_id": panic_id},
        {"": "Stop trying"},
        back=(),
        is_new=True,
    )


async def stop(visit: Visit) -> None:
    """End a panic that is not through."""
    await visit.services.control.panic.stop(visit.command, visit.args["panic_id"])
    await visit.show(Screen("Stopped. The message of the panic says what is not closed."))
