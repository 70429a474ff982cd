"""/brokers and everything that can be done to one account (A4 to A8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bot.conversation.visit import Visit
from bot.views.accounts import (
    DISABLE_CHOICES,
    account_page,
    accounts_list,
    disable_question,
    disconnect_question,
    name_question,
)
from bot.views.callbacks import parse
from bot.views.markup import bold, esc
from bot.views.paging import PAGE, page_number
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from core.domain.account import Account, DisablePolicy, checked_display_name
from core.errors import ChoiceNeeded, UserError

__all__ = [
    "answer_name",
    "ask_disconnect",
    "ask_name",
    "brokers",
    "disable",
    "disable_with",
    "disconnect",
    "enable",
    "page",
    "set_default",
]


_UNCHANGED = "{} already; nothing was changed."


async def brokers(visit: Visit) -> None:
    """List the accounts."""
    await _show_list(visit)


async def _show_list(visit: Visit, note: str = "") -> None:
    control = visit.services.control
    accounts = await control.accounts.all()
    logins = {
        one.broker_id: await visit.services.logins.button(one)
        for one in accounts
        if one.needs_login
    }
    mode = await control.modes.global_mode()
    screen = accounts_list(accounts, mode, logins, _page(visit, accounts))
    await visit.show(screen.with_note(note) if note else screen)


def _page(visit: Visit, accounts: Sequence[Account]) -> int:
    """Return the page that a button names, or the one that has the account it was tapped for."""
    wanted = visit.tap.argument(0)
    ids = [one.broker_id for one in accounts]
    return ids.index(wanted) // PAGE if wanted in ids else page_number(wanted)


async def page(visit: Visit) -> None:
    """Show one account; a question for its name or its money is over."""
    await visit.end_question("rename", "paper")
    await _show_page(visit, visit.tap.argument(0))


async def _show_page(visit: Visit, broker_id: str, note: str = "") -> None:
    account = await visit.services.control.accounts.get(broker_id)
    login = None if account.broker.is_paper else await visit.services.logins.button(account)
    if account.token_generated_at is not None:  # the chat knows market time alone
        logged_in_at = visit.services.clock.market_at(account.token_generated_at)
        account = replace(account, token_generated_at=logged_in_at)
    mode, now = await visit.services.control.modes.global_mode(), visit.services.clock.market_now()
    screen = account_page(account, mode, login, now)
    await visit.show(screen.with_note(note) if note else screen)


def _is_on_list(visit: Visit) -> bool:
    """Return whether the tapped button is in the list of accounts, which has an Add button."""
    markup = getattr(visit.query.message, "reply_markup", None) if visit.query else None
    if markup is None:
        return False
    taps = [parse(str(one.callback_data)) for row in markup.inline_keyboard for one in row]
    return any(tap is not None and tap.verb is Verb.ADD_ACCOUNT for tap in taps)


async def _refresh(visit: Visit, broker_id: str, note: str = "") -> None:
    """Show the message of the tapped button again, so that the label changes there (A5)."""
    if _is_on_list(visit):
        await _show_list(visit, note)
    else:
        await _show_page(visit, broker_id, note)


async def _said_already(visit: Visit, broker_id: str, *, enabled: bool) -> bool:
    """Tell that the tapped button of an old message asks for what is so; show what is."""
    account = await visit.services.control.accounts.get(broker_id)
    if account.enabled is not enabled:
        return False
    state = "enabled" if enabled else "disabled"
    note = _UNCHANGED.format(f"{bold(account.label)} is {state}")
    await _refresh(visit, broker_id, note)
    return True


async def enable(visit: Visit) -> None:
    """Let strategies run on the account from the very next run."""
    broker_id = visit.tap.argument(0)
    if await _said_already(visit, broker_id, enabled=True):
        return
    await visit.services.control.switch.enable(visit.command, broker_id)
    await _refresh(visit, broker_id)


async def disable(visit: Visit) -> None:
    """Stop strategies on the account; ask first when they hold positions there."""
    broker_id = visit.tap.argument(0)
    if await _said_already(visit, broker_id, enabled=False):
        return
    try:
        await visit.services.control.switch.disable(visit.command, broker_id, None)
    except ChoiceNeeded:
        exposure = await visit.services.control.views.exposure(broker_id)
        back = ((button("« Leave it enabled", Verb.ACCOUNT, broker_id),),)
        await visit.confirm(
            disable_question(exposure),
            Verb.DISABLE_WITH_POLICY,
            {"broker_id": broker_id},
            DISABLE_CHOICES,
            back=back,
        )
        return
    await _refresh(visit, broker_id)


async def disable_with(visit: Visit) -> None:
    """Disable the account, with the user's choice for what strategies hold there."""
    broker_id = visit.args["broker_id"]
    if visit.tap.argument(1) not in DISABLE_CHOICES:
        raise UserError("I do not know that choice. Open /brokers again.")
    policy = DisablePolicy(visit.tap.argument(1))
    account = await visit.services.control.switch.disable(visit.command, broker_id, policy)
    words = {
        DisablePolicy.EXITS_ONLY: "Strategies may still close what they hold there.",
        DisablePolicy.CLOSE_NOW: "I am closing what strategies hold there.",
        DisablePolicy.MANUAL: (
            "Its positions are yours to manage now. I cancel the orders that strategies left "
            "resting there, stops too: nothing protects them until you do."
        ),
    }[policy]
    await _show_page(visit, broker_id, f"✅ {bold(account.label)} is disabled. {words}")


async def set_default(visit: Visit) -> None:
    """Make the account the default."""
    broker_id = visit.tap.argument(0)
    account = await visit.services.control.accounts.get(broker_id)
    await visit.services.control.accounts.set_default(visit.command, broker_id)
    note = f"{bold(account.label)} is the default"
    await _show_page(visit, broker_id, _UNCHANGED.format(note) if account.is_default else "")


async def ask_name(visit: Visit) -> None:
    """Ask for a new display name."""
    account = await visit.services.control.accounts.get(visit.tap.argument(0))
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        "rename",
        "name",
        {"broker_id": account.broker_id},
        update_id=visit.update_id,
    )
    back = button("« Leave it", Verb.ACCOUNT, account.broker_id)
    shown = await visit.show(Screen(name_question(account), ((back,),)))
    await visit.services.prompts.shown_in(prompt, shown)


async def answer_name(visit: Visit, broker_id: str) -> None:
    """Rename the account to what the user typed."""
    name = checked_display_name(visit.text)
    await visit.services.control.accounts.check_name_is_free(name, besides=broker_id)
    account = await visit.services.control.accounts.rename(visit.command, broker_id, name)
    await _show_page(visit, broker_id, f"✅ Now called {bold(account.display_name)}.")


async def ask_disconnect(visit: Visit) -> None:
    """Show what the account holds, and ask."""
    broker_id = visit.tap.argument(0)
    control = visit.services.control
    exposure = await visit.look(broker_id, partial(control.views.exposure, broker_id))
    others = [one for one in await control.accounts.all() if one.broker_id != broker_id]
    back = ((button("« Keep it", Verb.ACCOUNT, broker_id),),)
    if exposure.account.is_default and others:
        choices = tuple(
            (button(f"Make {one.short_label} the default", Verb.SET_DEFAULT, one.broker_id),)
            for one in others
        )
        await visit.show(
            Screen(
                f"{bold(exposure.account.label)} is the default account. Name another default "
                "first, then disconnect this one.",
                (*choices, *back),
            )
        )
        return
    await visit.confirm(
        disconnect_question(exposure, is_last=not others),
        Verb.DISCONNECT,
        {"broker_id": broker_id},
        {"": f"Disconnect {exposure.account.short_label}"},
        back=back,
    )


async def disconnect(visit: Visit) -> None:
    """Disconnect the account; not one that has become the default since the question."""
    control, broker_id = visit.services.control, visit.args["broker_id"]
    accounts = await control.accounts.all()
    if len(accounts) > 1 and any(one.is_default and one.broker_id == broker_id for one in accounts):
        raise UserError(
            "That account is the default now. Name another default first: /brokers, Edit, Set "
            "default."
        )
    account = await control.registration.disconnect(visit.command, broker_id)
    await visit.show(
        Screen(
            f"✅ {esc(account.label)} is disconnected. Its key, secret and token are wiped; its "
            "trade history stays.",
            ((button("« Accounts", Verb.ACCOUNTS), button("➕ Add account", Verb.ADD_ACCOUNT)),),
        )
    )
