"""Cards: messages that are edited in their place, and what a chat shows where.

Collection ``cards`` (``chat_id|key``): ``message_id``, the message that a card lives in now;
``at``, when it was last shown; ``on``, the key of the card of several runs that shows this one;
``run_ids``, the runs that a card of several shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from core.domain.notices.post import Delivery
from core.domain.notices.results import PositionClosed
from core.engine.gathering import LARGEST_ROUND, MANY, Rounds, is_amendment, is_edit, is_run
from core.ports.store import Change, Document, StoreView

__all__ = [
    "AS_MESSAGES",
    "adopt_card",
    "card_id",
    "forget_cards",
    "has_card",
    "is_quiet",
    "message_of",
    "runs_together",
    "show_card",
    "show_on",
]

AS_MESSAGES = ""
"""In the place of a card's key: these rows are messages of their own."""
_ALARMS = ("bare:", "alarm:")
"""Begin the keys of alarms, and of what says that they are over."""
_CARDS = "cards"


def card_id(chat_id: int, key: str) -> str:
    """Return the ``_id`` of a card."""
    return f"{chat_id}|{key}"


async def adopt_card(
    view: StoreView, chat_id: int, key: str, message_id: int, at: datetime
) -> None:
    """Let a message be the card of this key from now on."""
    shown = Change(set={"message_id": message_id, "at": at, "on": None})
    await view.update(_CARDS, {"_id": card_id(chat_id, key)}, shown, upsert=True)


async def show_card(
    view: StoreView, chat_id: int, key: str, message_id: int | None, at: datetime
) -> None:
    """Keep the message that shows a card, or None: no message does any more."""
    if message_id is None:
        await view.delete(_CARDS, {"_id": card_id(chat_id, key)})
    else:
        await adopt_card(view, chat_id, key, message_id, at)


async def has_card(view: StoreView, chat_id: int, key: str) -> bool:
    """Whether a chat shows the card of this key."""
    return await view.get(_CARDS, card_id(chat_id, key)) is not None


async def message_of(view: StoreView, chat_id: int, key: str | None) -> int | None:
    """Return the message that a card lives in, if it has one of its own."""
    card = await view.get(_CARDS, card_id(chat_id, key)) if key is not None else None
    return card.get("message_id") if card else None


async def is_quiet(view: StoreView, row: Document) -> bool:
    """Whether a row brings no message: it changes a card that is shown, or removes one."""
    if row["delivery"] == Delivery.REMOVE.value or is_amendment(row):
        return True
    return is_edit(row) and await message_of(view, row["chat_id"], row["key"]) is not None


async def runs_together(
    view: StoreView, rounds: Rounds | None, chat_id: int, rows: Sequence[Document]
) -> dict[str, list[Document]]:
    """Return the rows of runs that a card of several shows, or is to show, by its key.

    What is posted for a run that such a card shows is posted for that card. Its result is a message
    that has no card to replace: ``AS_MESSAGES``. So is what is unprotected, where that is much.
    """
    if rounds is None:
        return {}  # the messenger shows one notice a message
    anew = {row["key"] for row in rows if row["delivery"] == Delivery.REPLACE.value}
    moved: dict[str, list[Document]] = {}
    new: list[Document] = []
    for row in rows:
        is_result = row["key"] in anew and row["kind"] == PositionClosed.kind
        if not is_result and (not is_run(row) or row["key"] in anew):
            continue
        card = await view.get(_CARDS, card_id(chat_id, row["key"]))
        if card is None and not is_result:
            new.append(row)
        elif card and card.get("on"):
            moved.setdefault(AS_MESSAGES if is_result else card["on"], []).append(row)
    bare = [row for row in rows if str(row["key"]).startswith(_ALARMS) and row["key"] in anew]
    if len(bare) > MANY:
        found = [await has_card(view, chat_id, row["key"]) for row in bare]
        alone = [row for row, is_shown in zip(bare, found, strict=True) if not is_shown]
        moved |= {AS_MESSAGES: [*moved.get(AS_MESSAGES, ()), *alone]} if alone else {}
    if on := rounds.place(chat_id, new):
        moved.setdefault(on, []).extend(new[:LARGEST_ROUND])
    return moved


async def show_on(
    view: StoreView, chat_id: int, key: str, runs: Mapping[str, str], at: datetime
) -> list[str]:
    """Let the card of several show these runs, ids by key, too; return all that it shows."""
    card = await view.get(_CARDS, card_id(chat_id, key)) or {}
    shown = dict.fromkeys([*card.get("run_ids", ()), *runs.values()])
    for one in runs:
        change = Change(set={"message_id": None, "at": at, "on": key})
        await view.update(_CARDS, {"_id": card_id(chat_id, one)}, change, upsert=True)
    change = Change(set={"run_ids": list(shown), "at": at})
    await view.update(_CARDS, {"_id": card_id(chat_id, key)}, change, upsert=True)
    return list(shown)


async def forget_cards(view: StoreView, cards: Iterable[tuple[int, str]], until: datetime) -> None:
    """Forget the places of cards that were not shown again since then."""
    ids = [card_id(chat_id, key) for chat_id, key in cards]
    await view.delete(_CARDS, {"_id": {"$in": ids}, "at": {"$lt": until}})
