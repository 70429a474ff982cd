"""The chat's words for states, modes and failures. Pure."""

from __future__ import annotations

from decimal import Decimal

from core.domain.account import Account
from core.domain.mode import TradingMode
from core.domain.money import rupees
from core.domain.order import CLOSED_STATES, OrderState, Side
from core.domain.stops import MAKES_WAY
from core.domain.views import OrderView
from core.errors import LoginFault

__all__ = [
    "DOING_VERB",
    "DONE_VERB",
    "LOGIN_FAULT",
    "MODE",
    "MODE_EFFECT",
    "ORDER_ICON",
    "WORKING",
    "is_final",
    "login_detail",
    "order_state",
    "part_of",
    "plural",
    "price",
    "state_words",
    "token_state",
]

MODE = {
    TradingMode.NORMAL: "Normal",
    TradingMode.EXIT_ONLY: "Exit only",
    TradingMode.PAUSED: "Paused",
}
MODE_EFFECT = {
    TradingMode.NORMAL: "Strategies enter and exit as usual.",
    TradingMode.EXIT_ONLY: "No new positions. Only orders that shrink what is held go out.",
    TradingMode.PAUSED: (
        "Strategies send nothing at all, not even stops or the square-off at the end of the day. "
        "Orders already at the broker stay there."
    ),
}
LOGIN_FAULT = {
    LoginFault.DENIED: "The login was refused or broken off at the broker. Tap the login button.",
    LoginFault.NONCE_EXPIRED: "The login took longer than ten minutes. Tap the login button again.",
    LoginFault.NONCE_USED: "This login was used already. Tap the login button for a new one.",
    LoginFault.NONCE_UNKNOWN: "I did not start this login. Tap the login button in this chat.",
    LoginFault.ACCOUNT_UNKNOWN: "The account of this login is not connected here any more.",
    LoginFault.CODE_USED: "The broker says this code was used or is too old. Log in again.",
    LoginFault.WRONG_SECRET: (
        "The broker does not accept the API key and secret. Open /brokers, Edit, then Key and "
        "secret, and send the right ones."
    ),
    LoginFault.KEY_UNKNOWN: (
        "The broker does not know the API key, so nobody was sent to its page. Open /brokers, "
        "Edit, then Key and secret, and send the right ones."
    ),
    LoginFault.OTHER_USER: (
        "Another user is logged in at the broker in that browser. Log out there, or use a "
        "private window, and log in as this account's owner."
    ),
    LoginFault.NOT_ADMITTED: (
        "The app at the broker does not admit this user. Enable the client id in the app's "
        "settings at the broker."
    ),
    LoginFault.BROKER_DOWN: "The broker does not answer now. Try again in a few minutes.",
    LoginFault.MALFORMED: (
        "I could not find a login code in that. Paste the whole address of the page that the "
        "broker sent your browser to."
    ),
    LoginFault.SECRET_UNREADABLE: (
        "I cannot read the API secret that I keep for this account, so no login works: it is "
        "damaged, or the key file on the server is another one. Put the key file back if it was "
        "changed; else open /brokers, Edit, then Key and secret, and send them again."
    ),
    LoginFault.NOT_SAVED: (
        "The broker let you in, but I could not save the login, so it does not count. Wait a "
        "minute, then log in again; /health shows whether my database answers."
    ),
}
_BROKERS_WORDS = {
    LoginFault.CODE_USED,
    LoginFault.WRONG_SECRET,
    LoginFault.NOT_ADMITTED,
    LoginFault.BROKER_DOWN,
    LoginFault.MALFORMED,
}
"""What fails in the exchange of a code has a text of the broker's."""
ORDER_ICON = {
    OrderState.INITIALIZED: "⏳",
    OrderState.DENIED: "🚫",
    OrderState.SUBMITTED: "⏳",
    OrderState.HELD: "⏸",
    OrderState.UNRESOLVED: "❓",
    OrderState.NOT_PLACED: "➖",
    OrderState.ACCEPTED: "🕒",
    OrderState.REJECTED: "❌",
    OrderState.PARTIALLY_FILLED: "🕒",
    OrderState.PENDING_CANCEL: "🕒",
    OrderState.PENDING_UPDATE: "🕒",
    OrderState.FILLED: "✅",
    OrderState.CANCELED: "➖",
    OrderState.EXPIRED: "➖",
}
DONE_VERB = {Side.BUY: "bought", Side.SELL: "sold"}
DOING_VERB = {Side.BUY: "Buying", Side.SELL: "Selling"}
WORKING = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})
_STATE = {
    OrderState.INITIALIZED: "being prepared",
    OrderState.DENIED: "not sent",
    OrderState.SUBMITTED: "sent",
    OrderState.HELD: "held back",
    OrderState.UNRESOLVED: "not known yet",
    OrderState.NOT_PLACED: "never reached the broker",
    OrderState.REJECTED: "rejected",
    OrderState.PENDING_CANCEL: "cancel asked",
    OrderState.PENDING_UPDATE: "change asked",
    OrderState.CANCELED: "cancelled",
    OrderState.EXPIRED: "expired",
}


def login_detail(fault: LoginFault, detail: str) -> str:
    """Return what is known besides of a failed login, '' for nothing (not escaped).

    Who logged in instead is known to us; of the rest only the broker's words help.
    """
    if fault is LoginFault.OTHER_USER:
        return detail
    return f"The broker says: {detail}" if detail and fault in _BROKERS_WORDS else ""


def plural(count: int, noun: str) -> str:
    """Return ``1 order`` or ``3 orders``."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def price(amount: Decimal) -> str:
    """Return a price in rupees and paise."""
    return rupees(amount)


def token_state(account: Account) -> str:
    """Return whether the account is logged in, in words."""
    if not account.broker.is_supported:
        return "not supported"
    if account.broker.is_paper:
        return "needs no login"
    if not account.needs_login:
        return "logged in"
    return "never logged in" if account.token_generated_at is None else "login expired"


def part_of(count: int, all_of: int, state: str) -> str:
    """Return how many of several are in a state, as what follows their number: ``, all flat``."""
    if not count:
        return ""
    if count < all_of:
        return f", {count} of them {state}"
    return f", {state}" if all_of == 1 else f", all {state}"


def order_state(order: OrderView) -> str:
    """Return the state of an order in plain words (not escaped)."""
    done, asked = order.filled_quantity, order.quantity
    reason = f": {order.reason}" if order.reason else ""
    part = f", {done} of {asked} filled" if done else ""
    state = order.state
    if not order.is_followed and not is_final(order):
        return f"not followed any more: the account was disconnected{part}"
    if state is OrderState.FILLED:
        return f"{DONE_VERB[order.side]} {done} at {price(order.average_price)}"
    if state in {OrderState.PARTIALLY_FILLED, OrderState.ACCEPTED}:
        return f"{done} of {asked} filled" if done else "working at the broker"
    plain = {
        OrderState.INITIALIZED: "being prepared",
        OrderState.DENIED: f"not sent{reason}",
        OrderState.SUBMITTED: f"sent{part}, waiting for the broker's answer",
        OrderState.HELD: f"held back{part}{reason}",
        OrderState.UNRESOLVED: f"not known{part}: the broker did not answer, I am checking",
        OrderState.NOT_PLACED: "never reached the broker",
        OrderState.REJECTED: f"rejected by the broker{reason}",
        OrderState.PENDING_CANCEL: f"cancel requested{part}",
        OrderState.PENDING_UPDATE: f"change requested{part}",
        OrderState.CANCELED: f"cancelled{part}{reason}",
        OrderState.EXPIRED: f"expired at the end of the day{part}",
    }
    return plain[state]


def state_words(order: OrderView) -> str:
    """Return the state in two or three words, '' where the deed says it (not escaped)."""
    done = f"{order.filled_quantity} filled" if order.filled_quantity else ""
    if not order.is_followed and not is_final(order):
        return f"not followed any more, {done}" if done else "not followed any more"
    if order.state is OrderState.CANCELED and order.reason == MAKES_WAY:
        # In words that stay true: the exit has come and gone when the card is read again.
        return "cancelled for the exit"
    if order.state is OrderState.PARTIALLY_FILLED or (order.state in WORKING and done):
        return f"{order.filled_quantity} filled"
    words = _STATE.get(order.state, "")
    # Of what is over, the deed names what has filled.
    return f"{done}, {words}" if done and words and not is_final(order) else words


def is_final(order: OrderView) -> bool:
    """Return whether the state of an order is final."""
    return order.state in CLOSED_STATES
