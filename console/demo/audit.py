"""Compares what the chat said with the simulated brokers' own records, order by order.

The sandbox's ledger holds every order write that the brokers received, its book the resulting
orders. The chat must have shown the same orders, each once; no order may have been sent to a
disabled account, and none may have opened or grown a position on an EXIT_ONLY one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from console.demo.cards import Card, ShownOrder

__all__ = ["AccountTruth", "Period", "audit"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Period:
    """A part of the ledger: after ``first`` entries, up to ``last`` (None: to its end)."""

    first: int
    last: int | None = None

    def holds(self, seq: int) -> bool:
        """Return whether an entry of the ledger is in this part."""
        return seq > self.first and (self.last is None or seq <= self.last)


@dataclass(frozen=True, slots=True)
class AccountTruth:
    """What the sandbox knows of one account, and when the chat had it disabled or exit-only.

    Attributes:
        ledger: Its order writes.
        book: Its orders, trades and positions.
        silent: When it was disabled and nothing may have arrived.
        shrinking: When only what shrinks a position may have arrived.
    """

    label: str
    ledger: Sequence[Row]
    book: Row
    silent: Sequence[Period]
    shrinking: Sequence[Period]

    @property
    def placed(self) -> list[Row]:
        """The order writes that place an order."""
        return [row for row in self.ledger if row["action"] == "place"]


def audit(
    accounts: Sequence[AccountTruth], listed: Sequence[ShownOrder], cards: Sequence[Card]
) -> list[str]:
    """Return every disagreement, a sentence each; empty when there is none."""
    found: list[str] = []
    shown = [one for one in listed if one.was_sent]
    on_cards = [one for card in cards for one in card.orders if one.was_sent]
    for account in accounts:
        found += _once_each(account)
        found += _same(account, [one for one in listed if one.account == account.label])
        found += _only_in(account, on_cards, shown)
        found += _prices(account, shown)
        found += _sent_while_disabled(account)
        found += _only_shrinks(account)
    return found


def _once_each(account: AccountTruth) -> list[str]:
    tags = Counter(row["tag"] for row in account.placed if row["applied"])
    return [
        f"{account.label}: {count} orders carry the tag {tag!r}"
        for tag, count in tags.items()
        if not tag or count > 1
    ]


def _same(account: AccountTruth, listed: Iterable[ShownOrder]) -> list[str]:
    """Compare the orders of /orders with those of the ledger.

    An order that the broker refused, because the login ended while it was on its way, is in the
    ledger; the chat may say of it that it was not sent.
    """
    applied = {row["tag"] for row in account.placed if row["applied"]}
    sent = {row["tag"]: _terms(account, row) for row in account.placed}
    there, unsent = Counter[tuple[str, str, int, str]](), Counter[tuple[str, str, int, str]]()
    for one in listed:
        (there if one.was_sent else unsent)[one.terms] += 1
    taken = Counter(terms for tag, terms in sent.items() if tag in applied)
    # What the user did in the broker's own app is in the chat, and in no ledger of order writes.
    taken.update(_terms(account, row) for row in account.book["orders"] if not row["api_key"])
    refused = Counter(terms for tag, terms in sent.items() if tag not in applied)
    spare = there - taken
    missing = (taken - there) + (refused - spare - unsent)
    return [
        *(f"in the ledger, not in the chat: {_words(one)}" for one in missing.elements()),
        *(f"in the chat, not in the ledger: {_words(one)}" for one in (spare - refused).elements()),
    ]


def _terms(account: AccountTruth, row: Row) -> tuple[str, str, int, str]:
    return account.label, row["side"], int(row["quantity"]), _symbol(row["symbol"])


def _words(terms: tuple[str, str, int, str]) -> str:
    account, side, quantity, symbol = terms
    return f"{side} {quantity} {symbol} on {account}"


def _symbol(text: str) -> str:
    return text.removeprefix("NSE:").removesuffix("-EQ")


def _only_in(
    account: AccountTruth, on_cards: Iterable[ShownOrder], shown: Iterable[ShownOrder]
) -> list[str]:
    """Each order of a run card is listed by /orders too."""
    cards = Counter(one.terms for one in on_cards if one.account == account.label)
    there = Counter(one.terms for one in shown if one.account == account.label)
    return [f"on a run card, not in /orders: {_words(one)}" for one in (cards - there).elements()]


def _prices(account: AccountTruth, shown: Iterable[ShownOrder]) -> list[str]:
    """What the chat says was bought or sold, and at which price, is what the exchange filled."""
    said = Counter(
        (one.side, _symbol(one.symbol), *one.filled)
        for one in shown
        if one.account == account.label and one.filled
    )
    done = Counter(
        (row["side"], row["symbol"], row["filled_quantity"], _money(row["average_price"]))
        for row in account.book["orders"]
        if row["status"] == "COMPLETE"
    )
    return [
        *(
            f"{account.label}: the chat says filled, the book does not: {one}"
            for one in said - done
        ),
        *(f"{account.label}: filled in the book, not in the chat: {one}" for one in done - said),
    ]


def _money(amount: float) -> Decimal:
    return Decimal(str(round(amount, 2))).quantize(Decimal("0.01"))


def _sent_while_disabled(account: AccountTruth) -> list[str]:
    return [
        f"{_words(_terms(account, row))} was sent although the account was disabled"
        for row in account.placed
        if any(period.holds(row["seq"]) for period in account.silent)
    ]


def _only_shrinks(account: AccountTruth) -> list[str]:
    """Each order of an exit-only time faces a position that is at least as large."""
    found = []
    for row in account.placed:
        if not any(period.holds(row["seq"]) for period in account.shrinking):
            continue
        held = _held(account.book["trades"], _symbol(row["symbol"]), row["at"])
        sign = 1 if row["side"] == "BUY" else -1
        if held * sign >= 0 or abs(held) < row["quantity"]:
            found.append(
                f"{_words(_terms(account, row))} was sent in exit-only mode while {held:+d} was "
                "held"
            )
    return found


def _held(trades: Iterable[Row], symbol: str, until: str) -> int:
    return sum(
        row["quantity"] * (1 if row["side"] == "BUY" else -1)
        for row in trades
        if row["symbol"] == symbol and row["at"] < until
    )
