"""Close a position, cancel orders, believe the positions: ask, then do it (E4, C2, R8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bot.conversation.visit import Visit
from bot.views.callbacks import handle
from bot.views.dashboard import ON_CARD
from bot.views.lines import (
    ROWS,
    is_stop,
    order_line,
    order_terms,
    outcome_words,
    position_line,
    product_words,
    result_words,
    symbol_of,
    terms_lines,
)
from bot.views.markup import bold, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import is_final, plural
from core.domain.command import Command
from core.domain.order import Purpose, Side
from core.domain.views import OrderView, PositionView
from core.errors import ChoiceNeeded, HasChanged, NotFound, UserError

_OUTSIDE = "mine"
_LISTED = 20

__all__ = [
    "ask_believe",
    "ask_cancel_all",
    "ask_cancel_order",
    "ask_close",
    "ask_to_cancel",
    "ask_to_close",
    "believe",
    "cancel_all",
    "cancel_order",
    "close",
    "show_order",
]


_LATER = "Its card shows how it goes on."
_FOLLOWS = {
    Purpose.STOP: "⚠️ It is a stop: without it the position is unprotected.",
    Purpose.EXIT: "⚠️ It is an exit: as long as its position is to be closed, another one follows.",
}
"""What comes of a cancel, by what the order is for; of an entry no more than that it is gone."""
_EXITS_FOLLOW = "⚠️ An exit is followed by another one as long as its position is to be closed."


async def _position(
    visit: Visit, broker_id: str, wanted: str, *, is_open: bool = True
) -> PositionView:
    """Return a position; one that the last read did not show is looked for in a fresh one."""
    control = visit.services.control
    for is_read_again in (False, True):
        if is_read_again:
            await visit.look(broker_id, partial(control.orders.read_again, broker_id))
        for one in await control.views.positions(broker_id):
            if handle(one.key) == wanted and (one.quantity or one.owners or not is_open):
                return one
    what = "open any more" if is_open else "shown any more"
    raise NotFound(f"That position is not {what}. Open /positions to see what is.")


async def _order(visit: Visit, broker_id: str, wanted: str) -> OrderView:
    for one in await visit.services.control.views.orders(broker_id):
        if handle(one.key) == wanted:
            return one
    raise NotFound("That order is not among today's orders. Open /orders to see them.")


def _close_question(position: PositionView) -> str:
    side = Side.of(-position.quantity).word
    if not position.quantity:
        return join(
            bold(f"Close this position on {position.account_label}?"),
            position_line(position),
            ROWS,
            "",
            "Strategies hold the same units on opposite sides. I close them against one another, "
            "without an order.",
        )
    terms = f"{side} {abs(position.quantity)} {symbol_of(position.instrument)}"
    terms += f" {product_words(position.instrument, position.product)}"
    stop = "\nIts resting stop is cancelled first." if position.stop is not None else ""
    return join(
        bold(f"Close this position on {position.account_label}?"),
        position_line(position),
        result_words(position.result, position.charges) if position.result is not None else None,
        "",
        f"I send: {bold(terms)} at the market price.{stop}",
    )


async def ask_close(visit: Visit) -> None:
    """Say what closing a position will do, and ask (E4)."""
    broker_id = visit.tap.argument(0)
    await ask_to_close(visit, await _position(visit, broker_id, visit.tap.argument(1)))


async def ask_to_close(visit: Visit, position: PositionView, note: str = "") -> None:
    """Ask whether a position shall be closed; ``note`` (HTML) stands above the question."""
    broker_id = position.broker_id
    await visit.confirm(
        join(note or None, _close_question(position)),
        Verb.CLOSE_POSITION,
        {
            "broker_id": broker_id,
            "key": position.key,
            "despite_pause": False,
            "seen": position.quantity,
        },
        _closes(position),
        back=((button("« Keep it", Verb.POSITIONS, broker_id),),),
    )


def _closes(position: PositionView) -> dict[str, str]:
    """Return the buttons: all of it, or only what no strategy owns where both are held."""
    found = {"": f"Close {position.instrument.symbol} now"}
    outside = position.quantity - sum(position.owners.values())
    if position.owners and outside * position.quantity > 0:
        found[_OUTSIDE] = f"Only my own {outside:+d}"
    return found


async def close(visit: Visit) -> None:
    """Close a position; on a paused account, or when it has changed since, ask again (C2, E4).

    The question becomes the card of the close, which shows it from here on: nothing is answered.
    """
    args = visit.args
    only_outside = args.get("only_outside", visit.tap.argument(1) == _OUTSIDE)
    try:
        await visit.services.control.orders.close(
            visit.command,
            args["broker_id"],
            args["key"],
            despite_pause=args["despite_pause"],
            only_outside=only_outside,
            asked_in=visit.tapped_message_id,
            seen=args.get("seen"),
            see_through=visit.see_through,
        )
    except HasChanged as changed:
        await visit.services.control.orders.read_again(args["broker_id"])
        position = await _position(visit, args["broker_id"], handle(args["key"]))
        await ask_to_close(visit, position, f"⚠️ {bold(changed)}")
    except ChoiceNeeded as choice:
        await visit.confirm(
            join(f"⚠️ {bold(choice)}", "Strategies stay paused; only this position is closed."),
            Verb.CLOSE_POSITION,
            {**args, "despite_pause": True, "only_outside": only_outside},
            {"": "Close it despite the pause"},
            back=((button("« Keep it", Verb.POSITIONS, args["broker_id"]),),),
        )


async def show_order(visit: Visit, title: str, client_order_id: str) -> None:
    """Show an order under a title: its end, or where it can be followed."""
    order = await visit.services.control.views.order(client_order_id)
    rows = (
        (
            button("Orders", Verb.ORDERS, order.broker_id),
            button("Dashboard", Verb.DASHBOARD, order.broker_id),
        ),
    )
    # Its state is left out: this message is not followed, and would say "working" for ever.
    text = join(
        bold(f"{title} · {order.account_label}"),
        order_terms(order),
        outcome_words(order) if is_final(order) else _LATER,
    )
    await visit.show(Screen(text, rows))


async def ask_cancel_order(visit: Visit) -> None:
    """Say which order will be cancelled, and ask."""
    broker_id = visit.tap.argument(0)
    order = await _order(visit, broker_id, visit.tap.argument(1))
    await ask_to_cancel(visit, order, is_new=visit.tap.argument(2) == ON_CARD)


async def ask_to_cancel(visit: Visit, order: OrderView, *, is_new: bool = False) -> None:
    """Ask whether an order shall be cancelled."""
    broker_id = order.broker_id
    if not order.is_cancellable:
        raise UserError("That order is finished already; there is nothing left to cancel.")
    await visit.confirm(
        join(
            bold(f"Cancel this order on {order.account_label}?"),
            order_line(order),
            _FOLLOWS.get(order.purpose),
        ),
        Verb.CANCEL_ORDER,
        {"broker_id": broker_id, "key": order.key},
        {"": "Cancel the order"},
        back=((button("« Keep it", Verb.ORDERS, broker_id),),),
        is_new=is_new,
    )


async def cancel_order(visit: Visit) -> None:
    """Ask the broker to cancel an order."""
    args = visit.args
    order = await visit.services.control.orders.cancel(
        visit.command, args["broker_id"], args["key"]
    )
    await show_order(visit, "Cancel requested", order.client_order_id)


async def _cancellable(visit: Visit, broker_id: str | None) -> list[OrderView]:
    """Return the working orders; a stop is cancelled alone, by its own button."""
    found = await visit.services.control.views.orders(broker_id)
    return [one for one in found if one.is_cancellable and not is_stop(one)]


async def ask_cancel_all(visit: Visit) -> None:
    """List the working orders, and ask (C2)."""
    target = visit.tap.argument(0, "global")
    broker_id = target if target != "global" else None
    found = await _cancellable(visit, broker_id)
    if not found:
        raise UserError("No order is working any more but stops; there is nothing to cancel.")
    await visit.confirm(
        join(
            bold(f"Cancel {plural(len(found), 'working order')}?"),
            _by_account(found[:_LISTED]),
            f"… and {len(found) - _LISTED} more." if len(found) > _LISTED else None,
            "",
            _EXITS_FOLLOW if any(one.purpose is Purpose.EXIT for one in found) else None,
            "Stops stay: each is cancelled by its own button, with a question.",
        ),
        Verb.CANCEL_ALL,
        {"orders": [[one.broker_id, one.key] for one in found]},
        {"": f"Cancel all {len(found)}"},
        back=((button("« Keep them", Verb.MODES),),),
    )


def _by_account(orders: Sequence[OrderView]) -> list[str]:
    """Return what was asked for with each order, under the names of their accounts."""
    lines: list[str] = []
    label = ""
    for one, text in zip(orders, terms_lines(orders), strict=True):
        if one.account_label != label:
            label = one.account_label
            lines.append(bold(label))
        lines.append(text)
    return lines


async def cancel_all(visit: Visit) -> None:
    """Ask the brokers to cancel each listed order; one failure does not stop the others."""
    control, asked, refused = visit.services.control, [], []
    for number, (broker_id, key) in enumerate(visit.args["orders"]):
        part = _part(visit, number)
        try:
            cancelled = await control.orders.cancel(part, broker_id, key)
            asked.append(await control.views.order(cancelled.client_order_id))
        except UserError as error:
            refused.append(f"❌ {esc(error)}")
    lines = [*_by_account(asked), *refused]
    await visit.show(
        Screen(join(bold("Cancel requested"), lines, _LATER), ((button("« Modes", Verb.MODES),),))
    )


def _part(visit: Visit, number: int) -> Command:
    """Return the command of one order of several: its own id, the same at every repeat."""
    return replace(visit.command, id=f"{visit.command.id}.{number}")


async def ask_believe(visit: Visit) -> None:
    """Say what follows when the broker's positions are right and the fills are not, and ask."""
    broker_id = visit.tap.argument(0)
    position = await _position(visit, broker_id, visit.tap.argument(1), is_open=False)
    await visit.confirm(
        join(
            bold(f"Are the broker's positions right on {position.account_label}?"),
            position_line(position),
            ROWS,
            "",
            "Look in the broker's own app first. When they are right, I correct the strategies' "
            "records to them, and stops follow.",
        ),
        Verb.BELIEVE_POSITIONS,
        {"broker_id": broker_id, "key": position.key},
        {"": "The positions are right"},
        back=((button("« Not sure", Verb.POSITIONS, broker_id),),),
    )


async def believe(visit: Visit) -> None:
    """Take the broker's positions for right (R8)."""
    args = visit.args
    control = visit.services.control
    units = await control.orders.believe(visit.command, args["broker_id"], args["key"])
    instrument = str(args["key"]).rpartition("|")[0]
    await visit.show(
        Screen(
            f"{bold('Settled')}\n{esc(instrument)}: {units:+d} held, as the broker shows it.",
            ((button("Positions", Verb.POSITIONS, args["broker_id"]),),),
        )
    )
