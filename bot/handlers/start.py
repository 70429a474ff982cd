"""The bot itself: /start, /help, /health, /settings, and /cancel."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.accounts import welcome
from bot.views.callbacks import resolve
from bot.views.markup import bold, esc
from bot.views.paging import page_number
from bot.views.screen import Screen
from bot.views.system import (
    health_screen,
    help_screen,
    label_of,
    setting_choices,
    setting_question,
    settings_screen,
    value_of,
)

__all__ = [
    "answer_setting",
    "ask_setting",
    "cancel",
    "health",
    "help_",
    "pick_setting",
    "settings",
    "start",
]

_KIND = "setting"


async def start(visit: Visit) -> None:
    """Greet; lead with the default account's login when it has expired (B5)."""
    accounts = await visit.services.control.accounts.all()
    mode = await visit.services.control.modes.global_mode()
    default = [one for one in accounts[:1] if one.needs_login]
    logins = {one.broker_id: await visit.services.logins.button(one) for one in default}
    await visit.send(welcome(visit.name, accounts, mode, logins))


async def help_(visit: Visit) -> None:
    """List the commands."""
    await visit.show(help_screen([(one.name, one.summary) for one in visit.services.commands]))


async def health(visit: Visit) -> None:
    """Show the state of the controller, the connection to Telegram included."""
    view = await visit.services.control.health.read()
    trouble = visit.services.poller_health().trouble
    await visit.show(health_screen(view, trouble, page_number(visit.tap.argument(0))))


async def settings(visit: Visit) -> None:
    """List the settings that can be changed; a question for one of them is over."""
    await visit.end_question(_KIND)
    control = visit.services.control
    known, accounts = await control.settings.all(), await control.accounts.all()
    await visit.show(settings_screen(known, accounts, page_number(visit.tap.argument(0))))


async def ask_setting(visit: Visit) -> None:
    """Ask for a setting's new value, in the card of the settings."""
    control = visit.services.control
    known, accounts = await control.settings.all(), await control.accounts.all()
    name = resolve(visit.tap.argument(0), known, "setting")
    prompt = await visit.services.prompts.open(
        visit.chat_id, visit.user_id, _KIND, "value", {"name": name}, update_id=visit.update_id
    )
    shown = await visit.show(setting_question(name, known[name], accounts))
    await visit.services.prompts.shown_in(prompt, shown)


async def pick_setting(visit: Visit) -> None:
    """Set a setting to the choice that was tapped."""
    control = visit.services.control
    known, accounts = await control.settings.all(), await control.accounts.all()
    name = resolve(visit.tap.argument(0), known, "setting")
    choice = resolve(visit.tap.argument(1), setting_choices(name, accounts), "choice")
    await _set(visit, name, choice)
    await visit.end_question(_KIND)


async def answer_setting(visit: Visit, name: str) -> None:
    """Change a setting to what the user typed."""
    await _set(visit, name, visit.text)


async def _set(visit: Visit, name: str, text: str) -> None:
    control = visit.services.control
    await control.settings.set(visit.command, name, text)
    accounts, known = await control.accounts.all(), await control.settings.all()
    value = value_of(name, known.get(name) or "")
    note = f"✅ {bold(label_of(name, accounts))} is now {bold(value)}."
    await visit.show(settings_screen(known, accounts).with_note(note))


async def cancel(visit: Visit) -> None:
    """Close the open question."""
    prompt = await visit.services.prompts.current(visit.chat_id, visit.user_id)
    if prompt is None:
        await visit.show(Screen("There is nothing to cancel."))
        return
    await visit.services.prompts.close(prompt)
    if visit.query is None:
        await visit.drop_keyboard(prompt.message_id)
    what = {"add": "adding an account"}.get(prompt.kind, "the question")
    await visit.show(Screen(f"Cancelled {esc(what)}. Nothing was changed."))
