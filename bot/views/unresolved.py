"""The message of an order of unknown fate, what is asked before it is settled, and its end (R4)."""

from __future__ import annotations

from bot.views.callbacks import handle
from bot.views.lines import order_terms, outcome_words, strategy_words, terms_lines
from bot.views.markup import LONG, bold, clock_time, esc, join, short
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT
from bot.views.words import DONE_VERB, is_final, plural, price
from core.domain.broker import BrokerStatus
from core.domain.inquiry import Candidate, InquiryView
from core.domain.order import OrderState, OrderType
from core.domain.views import OrderView

__all__ = [
    "NOT_PLACED",
    "answer_rows",
    "asked_screen",
    "link_question",
    "not_placed_question",
    "outcome",
    "settled_screen",
    "unresolved_screen",
]

NOT_PLACED = "no"
"""The argument of the button that says that an order was not placed."""
_MOST = 5
_MINUTE_S = 60
_STATUS = {
    BrokerStatus.WORKING: "working",
    BrokerStatus.COMPLETE: "filled",
    BrokerStatus.CANCELED: "cancelled",
    BrokerStatus.REJECTED: "rejected",
    BrokerStatus.EXPIRED: "expired",
}


def unresolved_screen(view: InquiryView) -> Screen:
    """Return the card of an order: what is known and asked, or its end and no buttons."""
    order = view.order
    if order.state is not OrderState.UNRESOLVED:
        return settled_screen(view)
    title = f"❓ {bold(f'Not known yet · {order.account_label}')}"
    if not order.is_followed:
        gone = "The account was disconnected before this was known; look in the broker's app."
        return Screen(join(title, order_terms(order), gone))
    tag = None if order.broker_order_id else f"Its tag there: {esc(order.key)}"
    text = join(
        title,
        order_terms(order),
        f"Sent {clock_time(order.at, seconds=True)}. {_answer(order)}",
        tag,
        _asked(view),
        _candidates(view),
        "",
        _time_left(view),
        _blocked(view),
    )
    return Screen(text, answer_rows(view))


def _answer(order: OrderView) -> str:
    reason = short(order.reason, LONG).removesuffix(".")
    return f"No clear answer: {esc(reason)}." if reason else "No clear answer came."


def asked_screen(view: InquiryView) -> Screen:
    """Return the question of a user who wants to answer from elsewhere than the card."""
    text = join(
        bold(f"What do you see at the broker? · {view.order.account_label}"),
        order_terms(view.order),
        _candidates(view),
        "",
        "Look into the orders in the broker's own app first.",
    )
    return Screen(text, answer_rows(view))


def answer_rows(view: InquiryView) -> Keyboard:
    """Return the buttons: a candidate each, not placed, ask again."""
    key = view.order.key
    named = [
        (
            button(
                f"It is {_number(view, at)}: {_when(one)}{_units(one)} {_symbol(view)} …",
                Verb.ASK_RESOLVE,
                key,
                handle(one.broker_order_id),
            ),
        )
        for at, one in enumerate(view.inquiry.candidates[:_MOST], start=1)
    ]
    return (
        *named,
        (
            button("Not placed …", Verb.ASK_RESOLVE, key, NOT_PLACED),
            button("Ask again", Verb.ASK_BROKER, key),
        ),
    )


def _symbol(view: InquiryView) -> str:
    return view.order.instrument.symbol


def _number(view: InquiryView, at: int) -> str:
    return f"no. {at}" if len(view.inquiry.candidates) > 1 else "this"


def _when(one: Candidate) -> str:
    return f"{clock_time(one.placed_at, seconds=True)} " if one.placed_at else ""


def _units(one: Candidate) -> str:
    return f"{one.side.word} {one.quantity}"


def _asked(view: InquiryView) -> list[str]:
    """Return what was asked, and what each answer was."""
    inquiry = view.inquiry
    if inquiry.asked == 0 and not inquiry.trouble and not view.needs_login:
        return ["", "I ask the broker for it about once a second, and send nothing in its place."]
    lines = [""] if inquiry.asked or inquiry.trouble else []
    if inquiry.asked:
        times = "once" if inquiry.asked == 1 else f"{inquiry.asked} times"
        found = "not listed under its tag" if inquiry.candidates else "not listed"
        at = clock_time(view.asked_at, seconds=True)
        lines.append(f"Orders: asked {times}, last at {at}: {found}.")
        lines.append(f"Trades: {_traded(inquiry.traded)}. Positions: {_positions(inquiry.gap)}.")
    if inquiry.trouble:
        since = clock_time(view.trouble_at, seconds=True)
        reason = esc(short(inquiry.trouble, LONG))
        then = "" if view.needs_login else " I keep asking."
        lines.append(f"⚠️ Not readable since {since}: {reason}.{then}")
    return lines


def _traded(units: int | None) -> str:
    if units is None:
        return "not asked yet"
    return "none" if units == 0 else f"{plural(units, 'unit')} of unknown orders"


def _positions(gap: int | None) -> str:
    if gap is None:
        return "not known yet"
    return "unchanged" if gap == 0 else f"{gap:+d} beside the known fills"


def _candidates(view: InquiryView) -> list[str]:
    found = view.inquiry.candidates
    if not found:
        return []
    lines = ["", "Without my tag the broker shows:"]
    lines += [
        f"{at}. {candidate_line(one)}" if len(found) > 1 else f"• {candidate_line(one)}"
        for at, one in enumerate(found[:_MOST], start=1)
    ]
    if len(found) > _MOST:
        lines.append(f"and {len(found) - _MOST} more, later ones.")
    return lines


def candidate_line(one: Candidate) -> str:
    """Return a line for an order at the broker that could be the unresolved one (escaped)."""
    terms = "market"
    if one.order_type is OrderType.LIMIT and one.limit_price is not None:
        terms = f"limit {price(one.limit_price)}"
    elif one.order_type in {OrderType.SL, OrderType.SL_M} and one.trigger_price is not None:
        terms = f"stop at {price(one.trigger_price)}"
    state = _STATUS[one.status]
    if one.filled_quantity:
        state = f"{DONE_VERB[one.side]} {one.filled_quantity} at {price(one.average_price)}"
    number = esc(one.broker_order_id)
    return f"{_when(one)}{_units(one)} {terms}, {state}, order {number}"


def _time_left(view: InquiryView) -> str:
    if view.needs_login:
        return "Nothing can be asked before the account is logged in."
    if view.inquiry.candidates:
        return "It may be one of these, so I do not give it up by myself. Which is it?"
    at = clock_time(view.gives_up_at, seconds=True)
    if view.left_s > 0:
        minutes = round(view.left_s / _MINUTE_S)
        left = f"{minutes} min" if minutes else f"{int(view.left_s)} s"
        return f"If it is not there by {bold(at)} (in {left}), I give it up."
    if view.inquiry.is_overdue:
        return (
            "The broker's answers do not prove that it is not there, so I do not give it up by "
            "myself. Look in the broker's app and tell me."
        )
    return f"Its time ended at {at}: the next answer that does not show it gives it up."


def _blocked(view: InquiryView) -> list[str]:
    """Return what waits for this order, and how what is held stands meanwhile."""
    symbol, where = esc(_symbol(view)), esc(view.order.account_label)
    lines = [f"Meanwhile no entry of {symbol} on {where}; everything else goes on."]
    if view.held:
        lines.append("⚠️ An exit of what is held there waits as well:")
        lines += [f"• {esc(one)}" for one in view.held]
    return lines


def settled_screen(view: InquiryView) -> Screen:
    """Return the end: what it was settled to and by whom, in words that stay true."""
    order = view.order
    return Screen(
        join(
            bold(f"Known now · {order.account_label}"),
            order_terms(order),
            _end(view),
        )
    )


def outcome(order: OrderView) -> str:
    """Return what became of the doubt; what the order does next is told by its own card."""
    return outcome_words(order) if is_final(order) else "The broker has it."


def _end(view: InquiryView) -> list[str]:
    """Return what it was settled to, and by whom."""
    order, name = view.order, esc(view.inquiry.settled_by)
    if order.state is OrderState.NOT_PLACED:
        return [_given_up(view)]
    if name:
        return [outcome(order), f"{name} said which order it is."]
    if order.state is OrderState.EXPIRED:
        return [outcome(order)]
    return [outcome(order), "I found it among the broker's orders."]


def _given_up(view: InquiryView) -> str:
    order, name = view.order, esc(view.inquiry.settled_by)
    follows = (
        "If it is still needed, it is worked out anew."
        if order.purpose.is_reducing
        else "It is not sent again: its strategy enters at its next signal."
    )
    if name:
        return f"➖ Not placed: {name} said so, and a last look did not show it. {follows}"
    reason = order.reason or "the broker did not list it"
    return f"➖ Given up: {esc(short(reason, LONG))}. {follows}"


def not_placed_question(view: InquiryView) -> str:
    """Return the text that asks before an order is given up."""
    order = view.order
    effect = (
        "the exit is worked out anew and sent if it is still needed"
        if order.purpose.is_reducing
        else f"{esc(_symbol(view))} takes entries again, and this one is not repeated"
    )
    return join(
        bold(f"Not placed on {order.account_label}?"),
        order_terms(order),
        "",
        "Look into the orders in the broker's own app first. Say so only when you are sure: I ask "
        f"once more, and when it is not there, {effect}.",
    )


def link_question(view: InquiryView, one: Candidate) -> str:
    """Return the text that asks before an order at the broker is taken for this one."""
    order = view.order
    whose = esc(strategy_words(order.strategy))
    return join(
        bold(f"Is it this one on {order.account_label}?"),
        f"Sent {clock_time(order.at, seconds=True)}:",
        terms_lines([order], indent=INDENT),
        f"There: {candidate_line(one)}",
        "",
        f"I take it for mine then: what it fills counts for {whose}.",
    )
