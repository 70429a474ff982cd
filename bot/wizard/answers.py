"""Handles the answers to the open question, and the steps of the wizard (A1).

A wrong answer leaves the question open. A message older than the question (delivered again after a
crash) is not its answer. A secret is deleted from the chat before it is checked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from telegram import InlineKeyboardButton

from bot.conversation.dispatch import attempt
from bot.conversation.prompts import Prompt
from bot.conversation.visit import Visit
from bot.handlers.accounts import answer_name
from bot.handlers.addresses import answer_local, answer_proxy, answer_registered
from bot.handlers.limits import answer_limit
from bot.handlers.login import answer_login, looks_like_login
from bot.handlers.paper import answer_money
from bot.handlers.parameters import answer_parameter
from bot.handlers.result_guards import answer_value
from bot.handlers.start import answer_setting
from bot.handlers.strategies import answer_size
from bot.views.addresses import sharers_line
from bot.views.markup import bold, esc, join
from bot.views.paper import paper_added
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.wizard.add_account import (
    ANSWERED_STEPS,
    KIND,
    broker_screen,
    first_answers,
    following,
    previous,
    step_screen,
)
from bot.wizard.renewal import RENEWAL, answer_step
from bot.wizard.secret_message import delete_secret
from core.domain.account import Account, AccountDraft, checked_display_name
from core.errors import AlreadyDone, UserError

__all__ = ["begin", "handle_text", "move", "waits_for_text"]

_log = logging.getLogger(__name__)

_ANSWERS: Mapping[str, Callable[[Visit, Mapping[str, Any]], Awaitable[None]]] = {
    "rename": lambda visit, data: answer_name(visit, data["broker_id"]),
    "setting": lambda visit, data: answer_setting(visit, data["name"]),
    "login": lambda visit, data: answer_login(visit, data["broker_id"]),
    "local": lambda visit, data: answer_local(visit, data["broker_id"]),
    "proxy": lambda visit, data: answer_proxy(visit, data["broker_id"]),
    "registered": lambda visit, data: answer_registered(visit, data["broker_id"]),
    "limit": lambda visit, data: answer_limit(visit, data["scope"], data["kind"]),
    "parameter": lambda visit, data: answer_parameter(visit, data["strategy"], data["parameter"]),
    "guard": lambda visit, data: answer_value(visit, data["scope"], data["part"]),
    "paper": lambda visit, data: answer_money(visit, data["broker_id"]),
    "size": lambda visit, data: answer_size(
        visit, data["strategy"], data["broker_id"], data["what"]
    ),
}


def waits_for_text(prompt: Prompt) -> bool:
    """Whether an open question is answered by a message; a step of the wizard may want a tap."""
    return prompt.kind != KIND or prompt.step in ANSWERED_STEPS


async def begin(visit: Visit) -> None:
    """Start adding an account; with the name of a broker begin after its choice."""
    chosen, step = visit.tap.argument(0), "broker"
    data: dict[str, Any] = {}
    if chosen in _offered(visit):
        broker = visit.services.parameters.broker(chosen)
        step, data = following("broker", broker), first_answers(broker, await _taken(visit))
    prompt = await visit.services.prompts.open(
        visit.chat_id, visit.user_id, KIND, step, data, update_id=visit.update_id
    )
    await _ask(visit, prompt, is_new=True)


async def handle_text(visit: Visit, unasked: Callable[[Visit], Awaitable[None]]) -> None:
    """Handle a message that is not a command; ``unasked`` takes one that answers no question."""
    prompts = visit.services.prompts
    prompt = await prompts.current(visit.chat_id, visit.user_id)
    if prompt is None or prompts.is_expired(prompt):
        await _handle_unexpected(visit, prompt, unasked)
    elif visit.update_id <= prompt.update_id:
        _log.info("update %s is older than the open question", visit.update_id)
        if prompt.kind == KIND:
            await _ask(visit, prompt, is_new=True)
    elif not visit.text:
        await visit.send(Screen("I can read only text. Send the answer as a message, or /cancel."))
    elif prompt.kind == KIND:
        await _handle_step(visit, prompt)
    elif prompt.kind == RENEWAL:
        await answer_step(visit, prompt)
    elif visit.is_stale:
        await visit.send(
            Screen("Your answer reached me late, so nothing was changed. Send it again, please.")
        )
    else:
        await _handle_answer(visit, prompt)


async def _handle_unexpected(
    visit: Visit, expired: Prompt | None, unasked: Callable[[Visit], Awaitable[None]]
) -> None:
    """Complete a pasted login, or say that no question is open."""
    if looks_like_login(visit.text, visit.services.parameters.brokers):
        await answer_login(visit, None)
        return
    if expired is not None:
        await visit.services.prompts.close(expired)
        if expired.step == "secret":
            await delete_secret(visit)
        again = "/add" if expired.kind == KIND else "/start"
        await visit.send(
            Screen(f"That question waited too long and was closed. Open {again} again.")
        )
        return
    await unasked(visit)


async def _handle_answer(visit: Visit, prompt: Prompt) -> None:
    async def run(late: Visit) -> None:
        await _ANSWERS[prompt.kind](late, prompt.data)

    visit.asked_in = prompt.message_id
    if await attempt(visit, run):
        await visit.services.prompts.close(prompt)
        if prompt.message_id != visit.answered_in:
            await visit.drop_keyboard(prompt.message_id)


async def _handle_step(visit: Visit, prompt: Prompt) -> None:
    """Handle the answer to a step of the wizard."""
    if prompt.step not in ANSWERED_STEPS:
        await visit.send(Screen("Use the buttons of the question, please, or /cancel."))
        await _ask(visit, prompt, is_new=True)
        return
    if prompt.step == "secret":
        await delete_secret(visit)
    data = await _checked_data(visit, prompt)
    step = following(prompt.step, visit.services.parameters.broker(data["broker"]))
    moved = await visit.services.prompts.move(prompt, step, data, update_id=visit.update_id)
    await visit.drop_keyboard(prompt.message_id)
    if moved is not None:
        await _ask(visit, moved, is_new=True)


async def _checked_data(visit: Visit, prompt: Prompt) -> dict[str, Any]:
    """Return the data with the checked answer in it, or raise ``UserError``."""
    services, data = visit.services, dict(prompt.data)
    broker = services.parameters.broker(data["broker"])
    if prompt.step == "name":
        name = checked_display_name(visit.text)
        await services.control.accounts.check_name_is_free(name)
        data["name"] = name
    elif prompt.step == "key":
        key = broker.key.checked(visit.text)
        data["key"] = key
        data["hint"] = await services.control.registration.check_key(key, broker.name)
    elif prompt.step == "funds":
        data["funds"] = str(services.control.paper.checked_funds(visit.text))
    else:
        data["secret"] = services.vault.seal(broker.secret.checked(visit.text))
    return data


async def _ask(visit: Visit, prompt: Prompt, *, is_new: bool) -> None:
    """Show the question of a step of the wizard."""
    parameters = visit.services.parameters
    if prompt.step == "broker":
        is_first = not await visit.services.control.accounts.all()
        screen = broker_screen(parameters.brokers, prompt.stamp, is_first=is_first)
    else:
        broker = parameters.broker(prompt.data["broker"])
        redirect = parameters.redirect_url(broker)
        screen = step_screen(prompt.step, broker, prompt.data, prompt.stamp, redirect)
    message_id = await (visit.send(screen) if is_new else visit.show(screen))
    await visit.services.prompts.shown_in(prompt, message_id)


async def move(visit: Visit) -> None:
    """Handle a tap on a button of the wizard."""
    action, stamp = visit.tap.argument(0), visit.tap.argument(1)
    prompt = await visit.services.prompts.current(visit.chat_id, visit.user_id)
    if prompt is None or prompt.kind != KIND or visit.services.prompts.is_expired(prompt):
        await visit.show(
            Screen("This step is over. /brokers shows your accounts, /add connects another.")
        )
    elif not stamp.startswith(f"{prompt.session}."):
        await visit.show(Screen("This belongs to an earlier start. The newer one goes on."))
    elif stamp != prompt.stamp:
        await _catch_up(visit, prompt)
    else:
        await _act(visit, prompt, action)


async def _catch_up(visit: Visit, prompt: Prompt) -> None:
    """Show the present step after a tap on a button of an earlier one."""
    # The tapped message shows this question already: edit it. Otherwise the question is in a newer
    # message, and only the old buttons have to go.
    if prompt.message_id in {None, visit.tapped_message_id}:
        await _ask(visit, prompt, is_new=False)
    else:
        await visit.drop_keyboard(visit.tapped_message_id)


async def _act(visit: Visit, prompt: Prompt, action: str) -> None:
    if action == "cancel":
        await visit.services.prompts.close(prompt)
        await visit.show(Screen("Cancelled. No account was added. /add starts again."))
    elif action == "confirm" and prompt.step == "summary":
        await _connect(visit, prompt)
    else:
        await _step(visit, prompt, action)


async def _step(visit: Visit, prompt: Prompt, action: str) -> None:
    data = dict(prompt.data)
    parameters = visit.services.parameters
    broker = parameters.broker(data["broker"]) if "broker" in data else None
    if action == "back":
        step = previous(prompt.step, broker)
        if step == "secret" or prompt.step == "secret":
            data.pop("secret", None)
    elif action == "continue" and prompt.step == "guide":
        step = "name"
    elif prompt.step == "broker" and action in _offered(visit):
        broker = visit.services.parameters.broker(action)
        # What would refuse it at the end is said before a secret is typed.
        visit.services.control.registration.check_broker(broker)
        data = first_answers(broker, await _taken(visit))
        step = following("broker", broker)
    elif prompt.step == "summary" and action in {"name", "funds"} and broker and broker.is_paper:
        step = action
    elif prompt.step == "funds" and action.isdigit():
        data["funds"] = str(visit.services.control.paper.checked_funds(action))
        step = "summary"
    else:
        raise UserError("That button does not fit this step. Use /cancel and start again.")
    moved = await visit.services.prompts.move(prompt, step, data, update_id=visit.update_id)
    if moved is not None:
        await _ask(visit, moved, is_new=False)


async def _taken(visit: Visit) -> list[str]:
    return [one.display_name for one in await visit.services.control.accounts.all()]


def _offered(visit: Visit) -> set[str]:
    return {broker.name for broker in visit.services.parameters.brokers}


async def _connect(visit: Visit, prompt: Prompt) -> None:
    """Connect the account, at most once, and offer its login."""
    data, control = prompt.data, visit.services.control
    broker = visit.services.parameters.broker(data["broker"])
    secret = visit.services.vault.open(data["secret"]) if "secret" in data else ""
    funds = Decimal(data["funds"]) if "funds" in data else None
    draft = AccountDraft(broker, data["name"], data.get("key", ""), secret, funds)
    try:
        account = await control.registration.add(visit.command, draft)
    except AlreadyDone:
        # The update came again after a crash: the account exists, only the answer is missing.
        account = _named(await control.accounts.all(), data["name"])
    if account.broker.is_paper:
        with suppress(AlreadyDone):  # the update came again
            account = await control.switch.enable(visit.command, account.broker_id)
    await visit.services.prompts.close(prompt)
    message_id = await visit.show(await _connected(visit, account))
    if account.needs_login:
        asked = control.deliveries.asked_for_login
        await visit.take_away(await asked(visit.chat_id, account.broker_id, message_id))


def _named(accounts: tuple[Account, ...], name: str) -> Account:
    for one in accounts:
        if one.display_name == name:
            return one
    raise UserError("That account was added before. Open /brokers to see it.")


async def _connected(visit: Visit, account: Account) -> Screen:
    if account.broker.is_paper:
        now = visit.services.clock.market_now()
        return paper_added(account, await visit.services.control.strategies.all(), now)
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    next_step = "Enable it when you want strategies to trade on it."
    if account.needs_login:
        rows.append((await visit.services.logins.button(account),))
        next_step = "Next, log in. Then enable it when you want strategies to trade on it."
    warning = sharers_line(account, await visit.services.control.addresses.sharers(account))
    if warning is not None:
        rows.append((button("Whose is it?", Verb.ASK_SHARING, account.broker_id),))
    rows.append((button("Accounts", Verb.ACCOUNTS), button("➕ Add another", Verb.ADD_ACCOUNT)))
    default = " It is the default account." if account.is_default else ""
    added = f"✅ {bold(account.label)} is added.{default}"
    return Screen(join(added, esc(next_step), ["", warning] if warning else None), tuple(rows))
