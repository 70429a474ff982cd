"""The money of a paper account: asked for, set by a tap or by what is typed (row F6)."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.markup import bold, code, join
from bot.views.paper import funds_rows
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from core.domain.money import rupees
from core.errors import UserError

__all__ = ["answer_money", "ask_money", "set_money"]


async def ask_money(visit: Visit) -> None:
    """Ask how much paper money an account shall have."""
    account = await visit.services.control.accounts.get(visit.tap.argument(0))
    if not account.broker.is_paper:
        raise UserError(f"{account.label} is no paper account: its money is at the broker.")
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        "paper",
        "money",
        {"broker_id": account.broker_id},
        update_id=visit.update_id,
    )
    text = join(
        f"How much money shall {bold(account.label)} have from now on, what its positions block "
        "included?",
        f"Tap an amount or send another one, for example {code('7,50,000')}.",
    )
    rows = funds_rows(Verb.SET_PAPER_MONEY, account.broker_id)
    back = button("« Leave it", Verb.ACCOUNT, account.broker_id)
    shown = await visit.show(Screen(text, (*rows, (back,))))
    await visit.services.prompts.shown_in(prompt, shown)


async def set_money(visit: Visit) -> None:
    """Set the amount of the tapped button."""
    await _set(visit, visit.tap.argument(1), visit.tap.argument(0))
    await visit.end_question("paper")


async def answer_money(visit: Visit, broker_id: str) -> None:
    """Set the amount that was typed."""
    await _set(visit, broker_id, visit.text)


async def _set(visit: Visit, broker_id: str, text: str) -> None:
    control = visit.services.control
    amount = await control.paper.set_funds(visit.command, broker_id, text)
    account = await control.accounts.get(broker_id)
    back = (button("« Account", Verb.ACCOUNT, broker_id),)
    has = bold(rupees(amount, paise=False))
    await visit.show(Screen(f"✅ {bold(account.label)} has {has} of paper money now.", (back,)))
