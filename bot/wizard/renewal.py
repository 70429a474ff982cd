"""New key and secret for an account that is connected: two questions, then its login (A7).

Whoever makes a new secret in the broker's console keeps the account: its history and what its
strategies hold stay under the same id.
"""

from __future__ import annotations

from bot.conversation.prompts import Prompt
from bot.conversation.visit import Visit
from bot.views.accounts import held_line
from bot.views.markup import bold, code, esc, join
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.wizard.add_account import question
from bot.wizard.secret_message import delete_secret
from core.domain.account import Account
from core.errors import AlreadyDone, UserError

__all__ = ["RENEWAL", "answer_step", "ask_renewal", "keep_key"]

RENEWAL = "renew"


async def ask_renewal(visit: Visit) -> None:
    """Say what a renewal does, and ask for the key."""
    control = visit.services.control
    account = await control.accounts.get(visit.tap.argument(0))
    if not account.broker.is_supported:
        raise UserError(account.parked_reason)
    if account.broker.is_paper:
        raise UserError(f"{account.label} is a paper account: it has no key and no secret.")
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        RENEWAL,
        "key",
        {"broker_id": account.broker_id},
        update_id=visit.update_id,
    )
    await _ask(visit, prompt, account)


async def _ask(visit: Visit, prompt: Prompt, account: Account) -> None:
    cancel = (button("Cancel", Verb.DROP_QUESTION),)
    rows: Keyboard = (cancel,)
    if prompt.step == "key":
        keep = button("Keep this key", Verb.KEEP_KEY, account.broker_id, prompt.stamp)
        rows = ((keep,), cancel)
        exposure = await visit.services.control.views.exposure(account.broker_id)
        text = join(
            bold(f"Key and secret of {account.label}"),
            "The new ones replace the old ones, and the present login ends: log in again after "
            "that. Name, settings, history and what strategies hold stay.",
            held_line(exposure),
            "",
            f"{esc(account.broker.key.name)} now: {code(account.api_key)}",
            question(account.broker.key),
        )
    else:
        text = question(account.broker.secret)
    message_id = await visit.send(Screen(text, rows))
    await visit.services.prompts.shown_in(prompt, message_id)


async def keep_key(visit: Visit) -> None:
    """Go on to the secret: only that was made anew."""
    prompts = visit.services.prompts
    prompt = await prompts.current(visit.chat_id, visit.user_id)
    stamp = visit.tap.argument(1)
    if prompt is None or prompt.kind != RENEWAL or prompt.stamp != stamp:
        await visit.show(Screen("This step is over. /brokers shows your accounts."))
        return
    account = await visit.services.control.accounts.get(prompt.data["broker_id"])
    await _to_secret(visit, prompt, account, account.api_key)


async def answer_step(visit: Visit, prompt: Prompt) -> None:
    """Take the key or the secret that the user sent."""
    if prompt.step == "secret":
        await delete_secret(visit)
    if visit.is_stale:
        await visit.send(
            Screen("Your answer reached me late, so nothing was changed. Send it again, please.")
        )
        return
    services = visit.services
    account = await services.control.accounts.get(prompt.data["broker_id"])
    if prompt.step == "key":
        key = account.broker.key.checked(visit.text)
        await services.control.registration.check_key(
            key, account.broker.name, besides=account.broker_id
        )
        await _to_secret(visit, prompt, account, key)
        return
    secret = account.broker.secret.checked(visit.text)
    try:
        account = await services.control.registration.renew_credentials(
            visit.command, account.broker_id, prompt.data["key"], secret
        )
    except AlreadyDone:
        # The update came again after a crash: only the answer is missing.
        account = await services.control.accounts.get(account.broker_id)
    await services.prompts.close(prompt)
    await visit.drop_keyboard(prompt.message_id)
    login = await services.logins.button(account)
    message_id = await visit.send(
        Screen(
            f"✅ Key and secret of {bold(account.label)} are replaced. Log in now; until then "
            "nothing is sent for it.",
            ((login,), (button("« Account", Verb.ACCOUNT, account.broker_id),)),
        )
    )
    asked = services.control.deliveries.asked_for_login
    await visit.take_away(await asked(visit.chat_id, account.broker_id, message_id))


async def _to_secret(visit: Visit, prompt: Prompt, account: Account, key: str) -> None:
    prompts = visit.services.prompts
    data = {**prompt.data, "key": key}
    moved = await prompts.move(prompt, "secret", data, update_id=visit.update_id)
    await visit.drop_keyboard(prompt.message_id)
    if moved is not None:
        await _ask(visit, moved, account)
