"""Who is served, as screens. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.markup import bold, day_time, esc, join
from bot.views.screen import Screen, button, grid
from bot.views.verbs import Verb
from core.domain.owner import BotOwner, Way

__all__ = ["owners_screen", "removal_question"]

_WAY = {Way.LISTED: "listed in SAARTHI_OWNERS", Way.PAIRING: "paired"}


def owners_screen(owners: Sequence[BotOwner], own_id: int) -> Screen:
    """Return who is served, with a button for each that can be removed from here."""
    lines = [f"• {_who(one)}{' · you' * (one.user_id == own_id)}: {_state(one)}" for one in owners]
    buttons = [
        button(f"Remove {one.name or one.user_id}", Verb.ASK_REMOVE_OWNER, str(one.user_id))
        for one in owners
        if one.way is Way.PAIRING and len(owners) > 1
    ]
    text = join(
        bold("Who may use this bot"),
        lines,
        "",
        "Every one of them may do everything, and gets every notice. To let somebody in, or to "
        "remove who is listed, change SAARTHI_OWNERS on the server and restart Saarthi.",
    )
    return Screen(text, grid(buttons, 1))


def removal_question(owner: BotOwner) -> str:
    """Return what a removal does."""
    return join(
        bold(f"Remove {owner.name or 'this user'} ({owner.user_id})?"),
        "They get no answer and no notice from then on. Login links that were shown so far end; "
        "new ones come with /login.",
    )


def _who(owner: BotOwner) -> str:
    return f"{bold(owner.name)} ({owner.user_id})" if owner.name else bold(str(owner.user_id))


def _state(owner: BotOwner) -> str:
    seen = "" if owner.seen_at is None else f", wrote {day_time(owner.seen_at)}"
    if owner.chat_id is None:
        seen = ", has not written yet"
    return esc(f"{_WAY[owner.way]}{seen}")
