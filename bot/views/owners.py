"""Who is served, as screens. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.markup import bold, day_time, join
from bot.views.screen import Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from core.domain.owner import BotOwner, Way

__all__ = ["owners_screen", "removal_question"]

_WAY = {Way.LISTED: "listed on the server", Way.PAIRING: "paired"}


def owners_screen(owners: Sequence[BotOwner], own_id: int) -> Screen:
    """Return who is served, with a button for each that can be removed from here."""
    lines = [_lines(one, is_self=one.user_id == own_id) for one in owners]
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


def _lines(owner: BotOwner, *, is_self: bool) -> str:
    """Return who it is, and under it the user's id, how they came in and when they wrote."""
    seen = "" if owner.seen_at is None else f"wrote {day_time(owner.seen_at)}"
    return join(
        fitted(bold(owner.name or owner.user_id), "you" if is_self else ""),
        fitted(f"{owner.user_id}" if owner.name else "", _WAY[owner.way], indent=INDENT),
        f"{INDENT}{'has not written yet' if owner.chat_id is None else seen}".rstrip() or None,
    )
