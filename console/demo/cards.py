"""Parses orders from the texts of the chat: from run cards, and from the pages of /orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from console.demo.chat import Message

__all__ = ["Card", "ShownOrder", "orders_on_page", "read_cards"]

_HEAD = re.compile(r"^.+?(?: · |\n   )(\d\d:\d\d)$")
_ORDER = re.compile(
    r"^\S+ (?:(?P<stop>Stop): )?(?P<deed>Buy|Sell|Buying|Selling|Bought|Sold|buy|sell) "
    r"(?P<done>\d+)(?: of (?P<asked>\d+))? (?P<symbol>\S+)(?: (?P<product>[A-Z]+))?"
    r"(?: · (?P<rest>.+))?$"
)
_PRICE = re.compile(r"₹([\d,.]*\d)")
_SIDE = {"b": "BUY", "s": "SELL"}
_REDUCING = {"exit": "exit", "closes": "exit", "stop": "stop"}
"""What an order does, by the first word that is said of it: in a reversal it "closes the long"."""
_NEVER_SENT = ("being prepared", "not sent", "held back", "never reached the broker")


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order as the chat shows it.

    Attributes:
        symbol: Without its exchange.
        purpose: ``entry``, ``exit`` or ``stop``.
        words: What the chat says of it besides.
        price: At which all of it has filled; None while it has not.
    """

    account: str
    side: str
    quantity: int
    symbol: str
    purpose: str
    words: str
    price: Decimal | None = None

    @property
    def filled(self) -> tuple[int, Decimal] | None:
        """Quantity and price of a complete fill."""
        return None if self.price is None else (self.quantity, self.price)

    @property
    def was_sent(self) -> bool:
        """Whether the chat says that the order went to the broker."""
        return not any(one.startswith(_NEVER_SENT) for one in self.words.split(" · "))

    @property
    def terms(self) -> tuple[str, str, int, str]:
        """What the order has in common with its entry in the ledger."""
        return self.account, self.side, self.quantity, self.symbol


@dataclass(frozen=True, slots=True)
class Card:
    """The message of one run: its orders, and the lines of each account."""

    message_id: int
    slot: str
    accounts: frozenset[str]
    orders: tuple[ShownOrder, ...]
    text: str

    def of(self, account: str) -> tuple[ShownOrder, ...]:
        """Return the orders of one account."""
        return tuple(one for one in self.orders if one.account == account)

    def filled(self, account: str, purpose: str) -> bool:
        """Return whether an order of that purpose is filled on an account."""
        return any(one.filled and one.purpose == purpose for one in self.of(account))

    def part(self, account: str) -> str:
        """Return the lines about one account."""
        _, _, rest = self.text.partition(f"\n{account}\n")
        lines: list[str] = []
        for line in rest.split("\n"):
            if line in self.accounts or line.startswith("#"):
                break
            lines.append(line)
        return "\n".join(lines)


def read_cards(messages: Iterable[Message], accounts: Sequence[str]) -> list[Card]:
    """Return the run cards among messages; a message with buttons is not one."""
    found = []
    for message in messages:
        lines = message.text.replace("\u2060", "").split("\n")
        head = _HEAD.match(lines[0]) or _HEAD.match("\n".join(lines[:2]))
        named = frozenset(line for line in lines if line in accounts)
        if head and named and not message.buttons:
            orders = tuple(_card_orders(lines, accounts))
            found.append(Card(message.id, head[1], named, orders, message.text))
    return found


def _card_orders(lines: Sequence[str], accounts: Sequence[str]) -> Iterable[ShownOrder]:
    account = ""
    for number, line in enumerate(lines):
        if line in accounts:
            account = line
        elif account and (found := _order(account, lines[number:])):
            yield found


def orders_on_page(message: Message, account: str) -> list[ShownOrder]:
    """Return the orders that one page of /orders lists."""
    lines = message.text.replace("\u2060", "").split("\n")
    found = [_order(account, lines[number:]) for number in range(len(lines))]
    return [one for one in found if one is not None]


def _order(account: str, lines: Sequence[str]) -> ShownOrder | None:
    """Return the order that begins with the first of the lines, or None."""
    found = _ORDER.match(lines[0])
    if found is None:
        return None
    below = [line.strip() for line in takewhile(lambda line: line.startswith("   "), lines[1:])]
    words = " · ".join(filter(None, [found["rest"], *below]))
    deed = found["deed"].lower()
    is_done = deed in {"bought", "sold"} and not found["asked"]
    price = _PRICE.search(words) if is_done else None
    said = words.split(" · ")
    purpose = (
        "stop"
        if found["stop"]
        else next(
            (
                purpose
                for word, purpose in _REDUCING.items()
                if any(part.split()[:1] == [word] for part in said)
            ),
            "entry",
        )
    )
    return ShownOrder(
        account,
        _SIDE[deed[0]],
        int(found["asked"] or found["done"]),
        _symbol(found["symbol"]),
        purpose,
        words,
        Decimal(price[1].replace(",", "")) if price else None,
    )


def _symbol(text: str) -> str:
    return text.partition(":")[2] or text
