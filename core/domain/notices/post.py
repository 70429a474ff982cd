"""A notice and how it is delivered: to whom, and as a new message or in place of an old one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.notices.accounts import (
    AccountReadable,
    AccountUnreadable,
    AddressRight,
    AddressWrong,
    Anomaly,
    SoftwareStop,
    SquareOffAlarm,
)
from core.domain.notices.exits import ExitStuck, ExitThrough
from core.domain.notices.limits import DailyLossBlind, DailyLossReached
from core.domain.notices.logins import LoginFailed, LoginSilent, MorningRound, TokenWarning
from core.domain.notices.notice import Notice
from core.domain.notices.orders import ExternalOrder, OrderResolved, OrderUnresolved
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.notices.positions import ClosedByHand, PositionDisputed, UnownedPosition
from core.domain.notices.protection import (
    AlarmOver,
    ExitDenied,
    ProtectedAgain,
    StopCancelled,
    StopHit,
    StopRestored,
    Unprotected,
)
from core.domain.notices.result_guards import GuardBlind, GuardFired, GuardPricesOld
from core.domain.notices.results import PositionClosed
from core.domain.notices.runs import RunCard

__all__ = [
    "FIRED",
    "MORNING_ROUND_KEY",
    "Delivery",
    "Post",
    "address_card",
    "bare_card",
    "bare_key",
    "card_of_run",
    "closed_by_hand_card",
    "closed_card",
    "dispute_card",
    "external_order_card",
    "external_order_removal",
    "guard_blind_card",
    "guard_fired_card",
    "login_key",
    "login_trouble_card",
    "login_trouble_removal",
    "loss_blind_card",
    "morning_round_card",
    "panic_card",
    "panic_over_card",
    "prices_old_card",
    "resolved_card",
    "run_card",
    "run_key",
    "stop_hit_card",
    "stuck_card",
    "stuck_removal",
    "token_warning_card",
    "token_warning_removal",
    "trouble_card",
    "trouble_key",
    "trouble_over",
    "unreadable_card",
    "unreadable_removal",
    "unresolved_card",
]

MORNING_ROUND_KEY = "morning_round"
_TOKEN_WARNING_KEY = "token_warning"  # noqa: S105 - the key of a card, not a secret


_URGENT = (
    PanicCard,
    PanicOver,
    Unprotected,
    ProtectedAgain,
    SoftwareStop,
    StopCancelled,
    StopHit,
    ExitDenied,
    StopRestored,
    ExitStuck,
    ExitThrough,
    SquareOffAlarm,
    UnownedPosition,
    Anomaly,
    GuardFired,
    DailyLossReached,
)
_URGENT_KINDS = frozenset(one.kind for one in _URGENT)


class Delivery(StrEnum):
    """How a notice is delivered: as a new message, or by changing the message of its card."""

    SEND = "send"
    """A new message."""
    EDIT = "edit"
    """Edit the message of ``key`` in place; send it when there is none."""
    REPLACE = "replace"
    """Delete the message of ``key`` and send anew, so that it is the newest."""
    REMOVE = "remove"
    """Delete the message of ``key``."""
    AMEND = "amend"
    """Edit the message of ``key`` in place, with what it shows by then; nothing where there is none
    or it cannot be edited any more. It never comes as a message."""


@dataclass(frozen=True, slots=True)
class Post:
    """A notice and its delivery; without more, a new message to every owner.

    Attributes:
        key: Names the card, for all but SEND.
        chat_id: One chat only; None for every owner.
    """

    notice: Notice
    delivery: Delivery = Delivery.SEND
    key: str | None = None
    chat_id: int | None = None

    @property
    def is_urgent(self) -> bool:
        """Whether it goes out before all that waits for its chat.

        The message of a panic (R2), and what is unprotected, still open or stopped; what says that
        this is over goes with it, for it must never be read before.
        """
        kind = self.notice.alarm if isinstance(self.notice, AlarmOver) else self.notice.kind
        return kind in _URGENT_KINDS


FIRED = "fired|"
"""Begins the ids of the runs of a guard that fires, which have one card together."""


def card_of_run(run_id: str) -> str:
    """Return the run whose card shows this one: ``fired|MARK`` for ``fired|MARK|…``."""
    return "|".join(run_id.split("|", 2)[:2]) if run_id.startswith(FIRED) else run_id


def run_key(run_id: str) -> str:
    """Return the key of a run's card."""
    return f"run:{card_of_run(run_id)}"


def run_card(run_id: str, *, fresh: bool = False) -> Post:
    """Return the post that brings a run's card up to date, or sends it anew for its end."""
    delivery = Delivery.REPLACE if fresh else Delivery.EDIT
    return Post(RunCard(card_of_run(run_id)), delivery, run_key(run_id))


def closed_card(notice: PositionClosed, run_id: str) -> Post:
    """Return the post of a close's result in the place of its run's card: one event, one message.

    It is sent anew, at the end of the chat, for it is what was waited for.
    """
    return Post(notice, Delivery.REPLACE, run_key(run_id))


def guard_fired_card(notice: GuardFired, run_id: str) -> Post:
    """Return the post of a guard that fires, as the first state of the card of what it closes."""
    return Post(notice, Delivery.REPLACE, run_key(run_id))


def stop_hit_card(notice: StopHit, run_id: str) -> Post:
    """Return the post of a stop that is hit, as the first state of the card of its close."""
    return Post(notice, Delivery.REPLACE, run_key(run_id))


def address_card(notice: AddressWrong | AddressRight) -> Post:
    """Return the post of an account's address that is wrong, or right again: one message."""
    return Post(notice, Delivery.REPLACE, f"address:{notice.broker_id}")


def trouble_key(key: str) -> str:
    """Return the key of the card of a trouble that is about no account."""
    return f"trouble:{key}"


def trouble_card(notice: Notice, key: str) -> Post:
    """Return the post of a trouble that is about no account, or of its end: one message."""
    return Post(notice, Delivery.REPLACE, trouble_key(key))


def trouble_over(alarm: str, how: str, key: str, subject: str = "") -> Post:
    """Return the post that lets the message of such a trouble say how it ended, without a sound."""
    return Post(AlarmOver("", alarm, subject, how), Delivery.EDIT, trouble_key(key))


def bare_key(ledger_key: str) -> str:
    """Return the key of the card of a position that is unprotected."""
    return f"bare:{ledger_key}"


def bare_card(notice: Unprotected | ProtectedAgain, ledger_key: str) -> Post:
    """Return the post of a position that is unprotected, or is not any more: one message for both.

    Each is sent anew, for it must be heard; the end says what was before it.
    """
    return Post(notice, Delivery.REPLACE, bare_key(ledger_key))


def stuck_card(notice: ExitStuck, ledger_key: str) -> Post:
    """Return the post of an exit that is not through; the newest stands for those before it."""
    return Post(notice, Delivery.REPLACE, f"stuck:{ledger_key}")


def stuck_removal(notice: ExitThrough, ledger_key: str) -> Post:
    """Return the post that takes that message away: how the position ended has its own message."""
    return Post(notice, Delivery.REMOVE, f"stuck:{ledger_key}")


def unresolved_card(client_order_id: str) -> Post:
    """Return the post of an unresolved order's card."""
    return Post(OrderUnresolved(client_order_id), Delivery.EDIT, f"unresolved:{client_order_id}")


def resolved_card(client_order_id: str) -> Post:
    """Return the post of what became of an order, in the place of that card: an edit is silent."""
    return Post(OrderResolved(client_order_id), Delivery.REPLACE, f"unresolved:{client_order_id}")


def external_order_card(broker_id: str, client_order_id: str) -> Post:
    """Return the post of the card of an order that was not placed by Saarthi."""
    notice = ExternalOrder(broker_id, client_order_id)
    return Post(notice, Delivery.EDIT, f"external:{client_order_id}")


def external_order_removal(broker_id: str, client_order_id: str) -> Post:
    """Return the post that removes that card: the order was ours."""
    notice = ExternalOrder(broker_id, client_order_id)
    return Post(notice, Delivery.REMOVE, f"external:{client_order_id}")


def panic_card(panic_id: str, *, fresh: bool = False) -> Post:
    """Return the post that brings the live message of a panic up to date, or sends it anew."""
    delivery = Delivery.REPLACE if fresh else Delivery.EDIT
    return Post(PanicCard(panic_id), delivery, f"panic:{panic_id}")


def panic_over_card(panic_id: str) -> Post:
    """Return the post of a panic's end in the place of its live message, as the newest one."""
    return Post(PanicOver(panic_id), Delivery.REPLACE, f"panic:{panic_id}")


def closed_by_hand_card(notice: ClosedByHand, client_order_id: str) -> Post:
    """Return the post that takes the place of that card: one message for one sale by hand.

    It is sent anew, at the end of the chat, for the card may be that of an order of hours ago.
    """
    return Post(notice, Delivery.REPLACE, f"external:{client_order_id}")


def dispute_card(notice: PositionDisputed) -> Post:
    """Return the post of the card that asks about a position, or says that it is known again."""
    key = f"dispute:{notice.broker_id}|{notice.instrument}|{notice.product}"
    return Post(notice, Delivery.EDIT, key)


def guard_blind_card(notice: GuardBlind) -> Post:
    """Return the post that says that a guard cannot be judged, or can be again."""
    # A new trouble is the newest message; its end is said where the trouble stands.
    delivery = Delivery.REPLACE if notice.why else Delivery.EDIT
    return Post(notice, delivery, f"guard-blind:{notice.scope}")


def loss_blind_card(notice: DailyLossBlind) -> Post:
    """Return the post that says that a daily loss cannot be judged, or can be again."""
    delivery = Delivery.REPLACE if notice.why else Delivery.EDIT
    return Post(notice, delivery, f"loss-blind:{notice.broker_id}")


def prices_old_card(notice: GuardPricesOld) -> Post:
    """Return the post that says that guards are judged by old prices, or by fresh ones again."""
    delivery = Delivery.EDIT if notice.is_over else Delivery.REPLACE
    return Post(notice, delivery, "guard-prices")


def unreadable_card(broker_id: str, reason: str, since: datetime) -> Post:
    """Return the post that says that an account cannot be read."""
    notice = AccountUnreadable(broker_id, reason, since)
    return Post(notice, Delivery.EDIT, f"unreadable:{broker_id}")


def unreadable_removal(broker_id: str) -> Post:
    """Return the post that removes that message: the account can be read again."""
    notice = AccountReadable(broker_id, 0)
    return Post(notice, Delivery.REMOVE, f"unreadable:{broker_id}")


def login_key(broker_id: str) -> str:
    """Return the key of the message that asks for an account's login; it goes with the login."""
    return f"login:{broker_id}"


def login_trouble_card(notice: LoginFailed | LoginSilent) -> Post:
    """Return the post of an account's login that did not work, or is not finished.

    One card an account, for others than its user may hold the link and fail as often as they like.
    """
    return Post(notice, Delivery.EDIT, login_key(notice.broker_id))


def login_trouble_removal(broker_id: str) -> Post:
    """Return the post that removes that card: the account is logged in."""
    return Post(LoginSilent(broker_id), Delivery.REMOVE, login_key(broker_id))


def morning_round_card(chat_id: int, *, fresh: bool = False) -> Post:
    """Return the post that brings a chat's morning round up to date, or sends it anew."""
    delivery = Delivery.REPLACE if fresh else Delivery.EDIT
    return Post(MorningRound(), delivery, MORNING_ROUND_KEY, chat_id)


def token_warning_card(notice: TokenWarning, *, is_quiet: bool = False) -> Post:
    """Return the post that shows the warning as the newest message, or brings it up to date."""
    delivery = Delivery.EDIT if is_quiet else Delivery.REPLACE
    return Post(notice, delivery, _TOKEN_WARNING_KEY)


def token_warning_removal() -> Post:
    """Return the post that removes the warning from the chat."""
    return Post(TokenWarning(), Delivery.REMOVE, _TOKEN_WARNING_KEY)
