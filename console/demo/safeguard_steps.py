"""The part of the demo's story about limits, guards and panic.

A guard on the day's result closes one account and shuts it, a limit denies the other's entry, and
the typed word STOP ends everything. Each is compared with the simulated brokers' own books.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from console.demo.actor import Actor
from console.demo.cards import Card
from console.demo.chat import ChatError, Message
from console.demo.market_events import adverse_price
from console.demo.operator import Operator

__all__ = ["SafeguardSteps"]

_NOW = re.compile(r"Now ([+-]?)₹([\d,.]+\d)")
_BEYOND = Decimal(5)
_TRIES = 6
_TRY_S = 10.0
_FLAT_S = 60.0
_LIMIT = "100"

WaitForCard = Callable[..., Awaitable[Card]]


class SafeguardSteps:
    """Plays this part with one operator.

    Args:
        operator: Acts as the user.
        limited: The account that a limit holds back.
        guarded: The account whose guard fires; it holds something when this begins.
        card: Waits for a run card that a function takes for the right one.
        book: Returns an account's book at its broker.
    """

    def __init__(
        self,
        operator: Operator,
        limited: Actor,
        guarded: Actor,
        *,
        card: WaitForCard,
        book: Callable[[Actor], Awaitable[Any]],
    ) -> None:
        self._do = operator
        self._limited = limited
        self._guarded = guarded
        self._card = card
        self._book = book

    # The guard

    async def guard(self) -> None:
        """Set a stop on the day's result a little below it, and move the price through it."""
        do, actor = self._do, self._guarded
        async with do.step(f"a guard is set on the day's result of {actor.label}"):
            page = await do.say("/guard", "Guards on the day's result", button=actor.label)
            page = await do.tap(page, actor.label, actor.label, "Now", button="Stop")
            amount = _loss_shown(page) + _BEYOND
            page = await do.tap(page, "Stop", f"Stop · {actor.label}", button="Type another")
            await do.tap(page, "Type another", "Send the stop in rupees")
            asked = await do.say(str(amount), "Set the guard of", actor.label, button="Yes, set it")
            await do.tap(asked, "Yes, set it", "✅ Set", actor.label)
        async with do.step(f"the guard fires and closes what {actor.label} holds"):
            await self._fires()
            await do.until(
                lambda: self._is_flat(actor), f"{actor.label} to be flat at its broker", _FLAT_S
            )

    async def _fires(self) -> None:
        do, actor = self._do, self._guarded
        await do.chat.look()
        mark = do.chat.mark
        moved: set[str] = set()
        for _ in range(_TRIES):
            # Anew each time: the strategy may have turned its position meanwhile.
            for row in (await self._book(actor))["positions"]:
                if row["quantity"]:
                    price = adverse_price(row)
                    moved.add(row["symbol"])
                    await do.order("/market", {"symbol": row["symbol"], "last_price": price})
                    do.notes(f"the price of {row['symbol']} moves to ₹{price:.2f}")
            try:
                words = ("Your guard has fired", actor.label, "The stop of")
                await do.sees(*words, since=mark, within_s=_TRY_S)
                break
            except ChatError:
                continue
        else:
            raise ChatError(f"expected the guard of {actor.label} to fire")
        for symbol in sorted(moved):
            await do.order("/market", {"symbol": symbol, "last_price": None})

    async def _is_flat(self, actor: Actor) -> bool:
        """Whether an account holds nothing and has nothing working, by its broker's own book."""
        book = await self._book(actor)
        working = ("OPEN", "TRIGGER PENDING")
        return not any(one["quantity"] for one in book["positions"]) and not any(
            one["status"] in working for one in book["orders"]
        )

    # The limit

    async def limit(self) -> None:
        """Set a limit that no entry keeps, let the account enter again, and see what is said."""
        do, actor = self._do, self._limited
        async with do.step(f"a limit on the value of an order is set for {actor.label}"):
            question = await self._question()
            await do.say(_LIMIT, "✅ Order value", f"₹{_LIMIT}", actor.label)
            if not question.holds("no limit"):
                raise ChatError("expected the question to say that there was no limit")
        async with do.step(f"{actor.label} is set to normal again"):
            await self._set_normal(await do.say("/mode", "Trading modes"), actor.name, actor.label)
            newest = do.chat.newest
        # What the guard has shut is said once a day: by then a run before may have said it.
        async with do.step("a run says what the limit denies, with the numbers"):
            await self._card(
                lambda card: (
                    "limit" in card.part(actor.label)
                    and f"₹{_LIMIT}" in card.part(actor.label)
                    and not any(one.purpose == "entry" for one in card.orders)
                ),
                f"a run card that denies {actor.label} by its limit, without an entry",
                after=newest,
            )
        async with do.step(f"the limit is taken away, and {actor.label} enters"):
            question = await self._question()
            asked = await do.tap(question, "No limit", "No limit of order value", actor.label)
            await do.tap(asked, "Yes, no limit", "Order value", f"was ₹{_LIMIT}")
            newest = do.chat.newest
            await self._card(
                lambda card: card.filled(actor.label, "entry"),
                f"a run card with a filled entry on {actor.label}",
                after=newest,
            )

    async def _question(self) -> Message:
        """Open the question for the limit of an order's value."""
        do, actor = self._do, self._limited
        page = await do.say("/limits", "Limits", button=actor.name)
        page = await do.tap(page, actor.name, f"Limits · {actor.label}", button="Order value")
        return await do.tap(page, "Order value", f"Order value · {actor.label}", "send a number")

    async def _set_normal(self, page: Message, name: str, whose: str) -> Message:
        do = self._do
        asked = await do.tap(page, f"{name}: Normal", "Set Normal", button="Yes, set Normal")
        return await do.tap(asked, "Yes, set Normal", f"✅ {whose}: Normal")

    # The panic

    async def panic(self, actors: Sequence[Actor]) -> None:
        """End everything with one word, and come back."""
        do = self._do
        async with do.step("STOP asks once, naming the accounts"):
            labels = [one.label for one in actors]
            asked = await do.say(
                "STOP", "Cancel and close everything", *labels, button="Close everything now"
            )
        async with do.step("panic closes everything and counts down"):
            await do.chat.look()
            mark = do.chat.mark
            await do.chat.tap(asked, "Close everything now")
            await do.sees(
                "PANIC is over",
                f"{len(actors)} of {len(actors)} flat",
                since=mark,
                within_s=_FLAT_S,
            )
            for actor in actors:
                if not await self._is_flat(actor):
                    raise ChatError(f"expected {actor.label} to be flat at its broker")
        async with do.step("the way back is said, and its buttons lead there"):
            back = await do.sees("How to come back", since=mark, button="Normal")
            # Each account has a mode of its own that the panic has set.
            along = "Yes, set all to Normal"
            asked = await do.tap(back, "Set all to Normal", "Set Normal", button=along)
            await do.tap(asked, along, "✅ All accounts: Normal")


def _loss_shown(page: Message) -> Decimal:
    """Return the day's loss that a guard's page shows, in whole rupees and rounded up."""
    found = _NOW.search(page.text.replace("\u2060", "").replace("\u00a0", " "))
    if found is None:
        raise ChatError(f"expected a page with the day's result, found {page.text!r}")
    amount = Decimal(found[2].replace(",", "")).to_integral_value(ROUND_CEILING)
    return amount if found[1] == "-" else Decimal(0)
