"""Notices: what the engine tells people, as data; the bot turns them into words (E5).

A notice is written into the outbox in the transaction of the event that it tells, and delivered at
least once, in order per chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Delivery", "Notice", "NoticeKind"]


class NoticeKind(StrEnum):
    """Every kind of notice, with the keys of its ``data``."""

    RUN_CARD = "run_card"
    """One signal, a line per account; ``run_id``. Edited in place as orders go on."""
    ORDER_REJECTED = "order_rejected"
    """``client_order_id``: the broker refused an order, now or after it had accepted it."""
    ORDER_UNRESOLVED = "order_unresolved"
    """``client_order_id``: nobody knows yet. A card, edited when it is resolved."""
    ORDER_RESOLVED = "order_resolved"
    """``client_order_id``: what became of an unresolved order."""
    ORDER_REVIVED = "order_revived"
    """``client_order_id``: critical, an order believed dead filled or came back."""
    ORDER_UPDATE = "order_update"
    """``client_order_id``: a person's own order went on. A card."""
    EXTERNAL_ORDER = "external_order"
    """``broker_id``, ``text``: an order not placed by Saarthi was seen at the broker."""
    LOGIN_DONE = "login_done"
    """``broker_id``, ``user_name``."""
    LOGIN_FAILED = "login_failed"
    """``broker_id`` (or empty), ``fault`` (a LoginFault), ``detail``."""
    LOGIN_SILENT = "login_silent"
    """``broker_id``: no callback within five minutes of the start of a login."""
    MORNING_ROUND = "morning_round"
    """Card of /login: ticks appear as accounts complete; ``broker_ids``."""
    TOKEN_WARNING = "token_warning"  # noqa: S105 - a kind of notice, not a secret
    """``broker_ids``: the one standing warning (B6)."""
    ACCOUNT_PARKED = "account_parked"
    """``broker_id``, ``reason``, ``waiting_exits``: nothing is sent for it until a person acts."""
    ENTRIES_DROPPED = "entries_dropped"
    """``broker_id``, ``orders``: client_order_ids of parked entries that were dropped (B10)."""
    SLOT_MISSED = "slot_missed"
    """``strategy``, ``slot_at``, ``late_s``: entries of a late slot were dropped (D2)."""
    NO_DATA = "no_data"
    """``strategy``, ``detail``: stale or no market data, no entries; said once (D10)."""
    RUN_FAILED = "run_failed"
    """``strategy``, ``detail``: the strategy or the run raised; nothing was sent."""
    SQUARE_OFF_ALARM = "square_off_alarm"
    """``broker_id``, ``positions``: what was still open at the deadline (D7)."""
    SOFTWARE_STOP = "software_stop"
    """``broker_id``, ``instrument``, ``reason``: a stop could not rest at the broker (D9)."""
    ANOMALY = "anomaly"
    """``broker_id``, ``text``: an impossible event; the account's entries are frozen."""
    POLLER_TROUBLE = "poller_trouble"
    """``text``: Telegram polling died or another instance polls."""
    STARTED = "started"
    """``text``: the controller started; what recovery found."""
    TEXT = "text"
    """``text``: a plain sentence."""


class Delivery(StrEnum):
    """How a notice meets the chat."""

    SEND = "send"
    """A new message."""
    EDIT = "edit"
    """Edit the message of ``key`` in place; send it when there is none."""
    REPLACE = "replace"
    """Delete the message of ``key`` and send anew, so that it is the newest."""
    REMOVE = "remove"
    """Delete the message of ``key``."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell.

    Attributes:
        data: Plain values only; never a secret.
        key: Names the card for EDIT, REPLACE and REMOVE.
        chat_id: One chat only; None for every owner.
    """

    kind: NoticeKind
    data: Mapping[str, Any] = field(default_factory=dict)
    delivery: Delivery = Delivery.SEND
    key: str | None = None
    chat_id: int | None = None
