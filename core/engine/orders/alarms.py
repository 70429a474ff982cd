"""Alarms that stand in the chat until their cause is gone: raised, and ended (row R6).

Collection ``alarms``, one document for each that stands: ``_id`` (the key of its card),
``broker_id``, ``alarm`` (the kind of its notice), ``subject`` (what it is about), ``until``,
``keys`` (of ledgers, or an order's id), ``run_id``. ``alarm_watch.py`` finds what is over.

A trouble that is about no account stands there too, with ``broker_id`` '' and without the last
three: whoever raises it ends it, over restarts too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from core.domain.notices.notice import Notice
from core.domain.notices.positions import ExitUnproved, UnownedPosition
from core.domain.notices.post import Delivery, Post, trouble_card, trouble_key
from core.domain.notices.protection import AlarmOver
from core.engine.outbox import Outbox, shows_card
from core.engine.users import owner_chats
from core.ports.store import Change, Document, Store, StoreView

__all__ = [
    "HANDED_OVER",
    "NOT_HELD",
    "AlarmCause",
    "Until",
    "alarms_of",
    "end_alarm",
    "end_alarms",
    "end_standing",
    "end_trouble",
    "raise_alarm",
    "raise_trouble",
    "raise_unowned",
    "replace_trouble",
    "standing_troubles",
]

_ALARMS = "alarms"
NOT_HELD = "no strategy holds it any more"
"""Closed, or converted by the user, who may hold it on; which it was has a message of its own."""
HANDED_OVER = "it is yours to look after now"


class Until(StrEnum):
    """What ends an alarm; the end of the position ends each that is about one."""

    FLAT = "flat"
    """Nothing of its ledgers is held any more."""
    COVERED = "covered"
    """A stop rests at the broker."""
    NOT_CLOSING = "not_closing"
    """The exit is not wanted any more."""
    ORDER = "order"
    """Its order has ended."""
    ANSWER = "answer"
    """What became of its order is known; its card then shows that."""
    OUTSIDE = "outside"
    """Nothing of its instrument and product is outside Saarthi."""
    NO_ORDERS = "no_orders"
    """No order of strategies works there any more."""
    THAWED = "thawed"
    """A user has set Normal."""
    TAKEN = "taken"
    """The account is not parked any more: its broker took an order, or it was logged in anew."""


@dataclass(frozen=True, slots=True)
class AlarmCause:
    """Why an alarm stands.

    Attributes:
        subject: What it is about, for users: ``NSE:SBIN``; '' for the whole account.
        keys: Keys of ledgers, an order's id, or ``instrument|product``.
        run_id: The decision whose exit it is about.
    """

    until: Until
    subject: str = ""
    keys: tuple[str, ...] = ()
    run_id: str = ""


async def raise_alarm(
    view: StoreView, outbox: Outbox, broker_id: str, notice: Notice, cause: AlarmCause
) -> None:
    """Post an alarm as a card, and note what ends it; the newest stands for those before it."""
    key = f"alarm:{notice.kind}:{broker_id}:{','.join(cause.keys)}"
    await outbox.post(view, Post(notice, Delivery.REPLACE, key))
    fields: Document = {
        "broker_id": broker_id,
        "alarm": notice.kind,
        "subject": cause.subject,
        "until": cause.until.value,
        "keys": list(cause.keys),
        "run_id": cause.run_id,
    }
    await view.update(_ALARMS, {"_id": key}, Change(set=fields), upsert=True)


async def raise_unowned(view: StoreView, outbox: Outbox, notice: UnownedPosition) -> None:
    """Raise the alarm of a position that nobody meant."""
    place = f"{notice.instrument}|{notice.product}"
    cause = AlarmCause(Until.OUTSIDE, notice.instrument, (place,))
    await raise_alarm(view, outbox, notice.broker_id, notice, cause)


async def end_alarm(
    view: StoreView, outbox: Outbox, key: str, over: Notice, *, is_anew: bool = True
) -> None:
    """Let the card of an alarm say how it ended.

    Args:
        view: The caller's transaction.
        outbox: For the notice.
        key: Of the card.
        over: How it ended.
        is_anew: Send it where no card shows the alarm: it was one of several in a message.
    """
    for chat_id in await owner_chats(view):
        is_shown = await shows_card(view, chat_id, key)
        if not (is_shown or is_anew):
            continue
        delivery = Delivery.EDIT if is_shown else Delivery.SEND
        await outbox.post(view, Post(over, delivery, key if is_shown else None, chat_id))


async def end_alarms(view: StoreView, outbox: Outbox, broker_id: str, how: str) -> None:
    """End all alarms of an account for one reason, in the caller's transaction."""
    for row in await alarms_of(view, broker_id):
        await end_standing(view, outbox, row, how)


async def alarms_of(view: StoreView, broker_id: str) -> list[Document]:
    """Return the alarms of an account that stand."""
    return await view.find(_ALARMS, {"broker_id": broker_id})


async def end_standing(view: StoreView, outbox: Outbox, row: Document, how: str) -> None:
    """End an alarm that stands; nothing where another has ended it."""
    if await view.delete(_ALARMS, {"_id": row["_id"]}):
        over = AlarmOver(row["broker_id"], row["alarm"], row["subject"], how)
        is_answered = row["until"] == Until.ANSWER.value
        shown = ExitUnproved(row["broker_id"], row["keys"][0]) if is_answered else over
        await end_alarm(view, outbox, row["_id"], shown)


async def raise_trouble(
    view: StoreView, outbox: Outbox, notice: Notice, key: str, subject: str = ""
) -> None:
    """Post a trouble that is about no account as a card, and note that it stands."""
    post = trouble_card(notice, key)
    await outbox.post(view, post)
    fields: Document = {"broker_id": "", "alarm": notice.kind, "subject": subject}
    await view.update(_ALARMS, {"_id": post.key}, Change(set=fields), upsert=True)


async def standing_troubles(view: StoreView) -> list[str]:
    """Return the keys of the troubles that stand."""
    rows = await view.find(_ALARMS, {"broker_id": ""})
    return [row["_id"].removeprefix(trouble_key("")) for row in rows]


async def end_trouble(store: Store, outbox: Outbox, key: str, how: str) -> None:
    """Let the card of a trouble say how it ended, in a transaction; nothing where none stands.

    Raises:
        StoreError: It stands still.
    """
    card = trouble_key(key)
    if await store.get(_ALARMS, card) is None:
        return

    async def body(view: StoreView) -> None:
        row = await view.get(_ALARMS, card)
        if row is not None and await view.delete(_ALARMS, {"_id": card}):
            over = AlarmOver("", row["alarm"], row["subject"], how)
            await end_alarm(view, outbox, card, over, is_anew=False)

    await store.transaction(body, nonce=f"trouble-over:{secrets.token_hex(8)}")


async def replace_trouble(store: Store, outbox: Outbox, key: str, over: Notice) -> None:
    """Let the notice of its end take the place of a trouble's card, in a transaction."""
    post = trouble_card(over, key)

    async def body(view: StoreView) -> None:
        if await view.delete(_ALARMS, {"_id": post.key}):
            await outbox.post(view, post)

    await store.transaction(body, nonce=f"trouble-over:{secrets.token_hex(8)}")
