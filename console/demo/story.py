"""The story of the demo, step by step: from the first greeting to two disabled accounts.

Two accounts are connected and logged in, a strategy trades on both, a stop is hit, a position is
sold in the broker's own app, one account is set to EXIT_ONLY and drains while the other goes on, a
login ends in the middle of the day and is renewed, a guard fires, a limit denies, a panic closes
everything, and both accounts are disabled. Then the chat is compared with the brokers' own records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from console.demo.actor import Actor
from console.demo.audit import AccountTruth, Period, audit
from console.demo.cards import Card, ShownOrder, orders_on_page, read_cards
from console.demo.chat import ChatError, Message
from console.demo.connecting import QUICK, STRATEGY, add, enable, set_parameters
from console.demo.market_events import RestingStop, results_of, stop_of
from console.demo.operator import Operator
from console.demo.safeguard_steps import SafeguardSteps

__all__ = ["Story"]

_TRADES_S = 240.0
_SIZES = ("1", "2")
_PAGES = 50


class Story:
    """Plays the story with one operator.

    Args:
        operator: Acts as the user.
        old: The account that is drained.
        new: The account that goes on.
    """

    def __init__(self, operator: Operator, old: Actor, new: Actor) -> None:
        self._do = operator
        self._old = old
        self._new = new
        self._labels = (old.label, new.label)
        self._marks: dict[str, int] = {}
        self._safeguards = SafeguardSteps(operator, old, new, card=self._card, book=self._book)

    async def play(self) -> None:
        """Play every step; raises ``StepFailed`` at the first that shows something else."""
        await self._meet()
        await self._choose_strategy()
        await self._trade()
        await self._hit_stops()
        await self._trade_by_hand()
        await self._drain()
        await self._renew()
        await self._safeguard()
        await self._leave()
        await self._compare()

    # Getting ready

    async def _meet(self) -> None:
        do = self._do
        async with do.step("the bot greets"):
            await do.say("/start", "Namaste", button="Add account")
        for actor in (self._old, self._new):
            async with do.step(f"{actor.label} is added through the wizard"):
                added = await add(do, actor)
            async with do.step(f"{actor.label} is logged in through the broker's page"):
                await do.logs_in(added, actor.label, actor.user_id)
        async with do.step("both accounts are enabled"):
            self._marks["enabled"] = await self._ledger_length()
            await enable(do, (self._old, self._new))

    async def _choose_strategy(self) -> None:
        do = self._do
        async with do.step("the strategy gets its parameters and sizes"):
            page = await set_parameters(do, QUICK)
            for actor, size in zip((self._old, self._new), _SIZES, strict=True):
                await self._set_size(page, actor, size)
        async with do.step("the strategy is enabled"):
            page = await do.tap(page, "« Strategies", "Strategies", button=STRATEGY)
            page = await do.tap(page, STRATEGY, STRATEGY, "⚪ disabled", button="Enable")
            asked = await do.tap(
                page, "Enable", f"Enable {STRATEGY}?", "free", button="Yes, enable it"
            )
            await do.tap(asked, "Yes, enable it", STRATEGY, "🟢 enabled", button="Disable")

    async def _set_size(self, page: Message, actor: Actor, size: str) -> None:
        do = self._do
        shown = await do.tap(page, f"{actor.label} …", actor.label, "Runs there: yes")
        await do.tap(shown, "Fixed quantity", "how many units", actor.label)
        await do.say(size, "Changed", actor.label, f"Size: {size} unit")
        await do.tap(shown, "« Back", STRATEGY, button="Parameters")

    # Trading

    async def _trade(self) -> None:
        do = self._do
        async with do.step("a scheduled run enters on both accounts, and both fill"):
            await self._card(
                lambda card: all(card.filled(label, "entry") for label in self._labels),
                "a run card with a filled entry on both accounts",
            )
        async with do.step("the dashboard shows the position, of one account after the other"):
            page = await do.say("/dashboard", self._old.label, "Funds ₹", "MIS")
            await do.tap(page, self._new.name, self._new.label, "Funds ₹", "MIS")

    async def _card(self, is_it: Callable[[Card], bool], what: str, *, after: int = 0) -> Card:
        """Wait for a run card that came after a message, as it is edited in place."""

        def found() -> Card | None:
            cards = read_cards(self._do.chat.shown(), self._labels)
            return next((c for c in reversed(cards) if c.message_id > after and is_it(c)), None)

        card = await self._do.waits(found, what, within_s=_TRADES_S)
        if not isinstance(card, Card):
            raise ChatError(f"expected {what}")
        return card

    async def _hit_stops(self) -> None:
        """Move the price through a stop that rests on both accounts, and compare the results."""
        do = self._do
        newest = do.chat.newest
        async with do.step("a stop is hit on both accounts, each with its result in rupees"):
            mark = do.chat.mark
            stop = await self._resting_stop()
            symbol = stop.symbol
            await do.order("/market", {"symbol": symbol, "last_price": stop.price_beyond})
            do.notes(f"the price of {symbol} moves to ₹{stop.price_beyond:.2f}")
            for actor in self._actors:
                message = await do.sees("Stop hit", actor.label, symbol, since=mark)
                await self._check_result(actor, symbol, message)
            await do.order("/market", {"symbol": symbol, "last_price": None})
        async with do.step("the strategy enters again on both accounts"):
            await self._card(
                lambda card: all(card.filled(label, "entry") for label in self._labels),
                "a run card with a filled entry on both accounts",
                after=newest,
            )

    async def _resting_stop(self) -> RestingStop:
        """Wait for a stop that rests on both accounts, in one instrument."""

        async def found() -> RestingStop | None:
            return stop_of([await self._book(actor) for actor in self._actors])

        return await self._do.until(found, "a stop that rests on both accounts", _TRADES_S)

    async def _check_result(self, actor: Actor, symbol: str, message: Message) -> None:
        # The strategy may have entered again since: the result is that of a position that ended.
        expected = results_of((await self._book(actor))["trades"], symbol)
        text = message.text.replace("\u2060", "")
        if not any(f"Before charges {one}" in text for one in expected):
            raise ChatError(
                f"expected one of the results {expected} of {symbol} on {actor.label}, as in the "
                f"broker's book; found {message.text!r}"
            )

    async def _book(self, actor: Actor) -> Any:
        return await self._do.ask("/book", broker=actor.broker, api_key=actor.api_key)

    async def _trade_by_hand(self) -> None:
        """Close a position of one account in the broker's own app: the strategy lets go of it."""
        do, new = self._do, self._new
        async with do.step(f"a position of {new.label} is closed in the broker's app"):
            mark = do.chat.mark
            position = await self._open_position(new)
            symbol, quantity = position["symbol"], int(position["quantity"])
            await do.order(
                "/orders",
                {
                    "broker": new.broker,
                    "api_key": new.api_key,
                    "symbol": symbol,
                    "side": "SELL" if quantity > 0 else "BUY",
                    "quantity": abs(quantity),
                },
            )
            do.notes(f"the user closes {quantity:+d} {symbol} of {new.label} in the broker's app")
            await do.sees("Closed by hand", new.label, symbol, since=mark)
        async with do.step(f"its stop goes, and {new.label} is not left short"):
            await do.until(
                lambda: self._is_let_go(new, symbol), f"{symbol} of {new.label} to be flat", 30
            )

    async def _open_position(self, actor: Actor) -> Any:
        async def found() -> Any:
            positions = (await self._book(actor))["positions"]
            return next((one for one in positions if one["quantity"]), None)

        return await self._do.until(found, f"{actor.label} to hold something", _TRADES_S)

    async def _is_let_go(self, actor: Actor, symbol: str) -> bool:
        """Whether an account's units in an instrument are the strategy's own or none."""
        book = await self._book(actor)
        net = sum(one["quantity"] for one in book["positions"] if one["symbol"] == symbol)
        stops = [
            one
            for one in book["orders"]
            if one["symbol"] == symbol and one["status"] == "TRIGGER PENDING"
        ]
        # The next run may have entered again, with a stop of its own.
        return bool(net) == bool(stops)

    async def _drain(self) -> None:
        do, old, new = self._do, self._old, self._new
        async with do.step(f"{old.label} is set to exit only"):
            page = await do.say("/mode", "Trading modes", old.label)
            asked = await do.tap(page, f"{old.name}: Exit only", "Set Exit only", old.label)
            await do.tap(asked, "Yes, set Exit only", old.label, "Exit only", "No new positions")
            self._marks["exit only"] = await self._ledger_length()
            newest = do.chat.newest
        async with do.step(f"{old.label} closes what it holds"):
            await self._card(
                lambda card: card.filled(old.label, "exit"),
                f"a run card with a filled exit on {old.label}",
                after=newest,
            )
        async with do.step(f"{new.label} enters, {old.label} may not"):
            await self._card(
                lambda card: card.filled(new.label, "entry") and self._is_refused(card),
                f"a run card with an entry on {new.label} that {old.label} may not take",
                after=newest,
            )
        async with do.step("the view of what is left to close says so"):
            page = await do.say("/mode", "Trading modes", button="Left to close")
            await do.tap(page, "Left to close", "Left to close", old.label, "about ₹")

    def _is_refused(self, card: Card) -> bool:
        part = card.part(self._old.label)
        return "exit only: no entry" in part and not any(
            one.purpose == "entry" for one in card.of(self._old.label)
        )

    async def _renew(self) -> None:
        do, new = self._do, self._new
        async with do.step(f"the login of {new.label} ends: one message asks for it"):
            await do.chat.look()
            mark = do.chat.mark
            await do.order("/tokens/expire", {"broker": new.broker, "api_key": new.api_key})
            do.notes(f"the broker ends the login of {new.label}")
            warning = await do.sees("Login needed", new.label, since=mark, button="Dismiss")
        async with do.step("the dashboard warns that it may be incomplete"):
            page = await do.say("/dashboard", "Funds")
            if not page.holds(
                f"Dashboard data may be incomplete: token not refreshed for {new.name}"
            ):
                raise ChatError(f"expected the dashboard of {new.label} to start with the warning")
        async with do.step(f"{new.label} is logged in again, and the warning goes"):
            await do.logs_in(warning, new.label, new.user_id)
            newest = do.chat.newest
            await do.waits(lambda: not self._warnings(), "the warning to disappear")
        async with do.step(f"{new.label} trades again"):
            await self._card(
                lambda card: card.filled(new.label, "entry"),
                f"a run card with a filled entry on {new.label}",
                after=newest,
            )

    def _warnings(self) -> list[Message]:
        return [one for one in self._do.chat.shown() if one.button("Dismiss")]

    async def _safeguard(self) -> None:
        await self._safeguards.guard()
        self._marks["guard"] = await self._ledger_length()
        await self._safeguards.limit()
        self._marks["panic"] = await self._ledger_length()
        await self._safeguards.panic(self._actors)
        self._marks["back"] = await self._ledger_length()

    # The end

    async def _leave(self) -> None:
        do, old, new = self._do, self._old, self._new
        async with do.step(f"{new.label} is disabled and closes what strategies hold there"):
            await self._disable(new)
            self._marks[f"{new.name} disabled"] = await self._ledger_length()
            newest = do.chat.newest
        async with do.step(f"the strategy goes on without {new.label}"):
            await self._card(
                lambda card: new.label not in card.accounts,
                f"a run card without {new.label}",
                after=newest,
            )
        async with do.step(f"{old.label} is disabled, and the strategy too"):
            await self._disable(old)
            self._marks[f"{old.name} disabled"] = await self._ledger_length()
            page = await do.say("/strategies", STRATEGY, button=STRATEGY)
            page = await do.tap(page, STRATEGY, STRATEGY, "🟢 enabled", button="Disable")
            await do.tap(page, "Disable", STRATEGY, "⚪ disabled", button="Enable")

    async def _disable(self, actor: Actor) -> None:
        """Disable an account; where strategies hold something, have it closed and wait for it."""
        do = self._do
        page = await do.say("/brokers", "Your accounts", button=f"Disable {actor.name}")
        await do.chat.look()
        mark = do.chat.mark
        await do.chat.tap(page, f"Disable {actor.name}")
        shown = await do.waits(
            lambda: next(
                (
                    one
                    for one in reversed(do.chat.shown(since=mark))
                    if one.button(f"Enable {actor.name}") or one.button("Close them all")
                ),
                None,
            ),
            f"{actor.label} to be disabled, or a question",
        )
        if shown.button("Close them all"):
            await do.tap(shown, "Close them all", actor.label, "is disabled")
        await self._wait_flat(actor)

    async def _wait_flat(self, actor: Actor) -> None:
        """Look at the positions until none is open."""
        do = self._do
        page = await do.say("/positions", "Positions ·", button="Refresh")
        if not page.holds(f"Positions · {actor.label}"):
            page = await do.tap(page, actor.name, f"Positions · {actor.label}")
        for _ in range(_PAGES):
            if page.button("Close ") is None:
                return
            await do.pause()
            await do.chat.tap(page, "Refresh")
            await do.pause()
            page = next((one for one in do.chat.shown() if one.id == page.id), page)
        raise ChatError(f"expected {actor.label} to hold nothing")

    # The comparison

    async def _ledger_length(self) -> int:
        return len(await self._do.ask("/ledger"))

    async def _compare(self) -> None:
        do = self._do
        async with do.step("the brokers' own records agree with the chat, order by order"):
            listed = [one for actor in self._actors for one in await self._listed(actor)]
            cards = read_cards(do.chat.shown(), self._labels)
            truths = [await self._truth(actor) for actor in self._actors]
            if not any(one.filled for one in listed):
                raise ChatError("expected filled orders in /orders")
            if found := audit(truths, listed, cards):
                raise ChatError("; ".join(found))
            do.notes(
                f"{sum(len(one.placed) for one in truths)} orders in the ledger, the same here"
            )

    @property
    def _actors(self) -> Sequence[Actor]:
        return (self._old, self._new)

    async def _listed(self, actor: Actor) -> list[ShownOrder]:
        """Read every page of an account's orders."""
        do = self._do
        page = await do.say("/orders", "Orders today")
        title = f"Orders today · {actor.label}"
        if not page.holds(title):
            page = await do.tap(page, actor.name, title)
        found = orders_on_page(page, actor.label)
        place = page.button(" of ")
        pages = int(place.text.rpartition(" ")[2]) if place is not None else 1
        for number in range(2, pages + 1):
            page = await do.tap(page, "More", title, button=f"{number} of {pages}")
            found += orders_on_page(page, actor.label)
        return found

    async def _truth(self, actor: Actor) -> AccountTruth:
        do = self._do
        disabled = self._marks[f"{actor.name} disabled"]
        marks = self._marks
        if actor is self._old:
            shrinking = [
                Period(marks["exit only"], marks["guard"]),
                Period(marks["panic"], marks["back"]),
            ]
        else:
            # What a guard has shut stays shut, in Normal too.
            shrinking = [Period(marks["guard"])]
        return AccountTruth(
            label=actor.label,
            ledger=await do.ask("/ledger", broker=actor.broker, api_key=actor.api_key),
            book=await self._book(actor),
            silent=(Period(0, self._marks["enabled"]), Period(disabled)),
            shrinking=shrinking,
        )
