"""Parses orders from the texts of the chat: from run cards, and from the pages of /orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from console.demo.chat import Message

__all__ = ["Card", "ShownOrder", "orders_on_page", "read_cards"]

_HEAD = re.compile(r"^.+ · (\d\d:\d\d)$")
_CARD_ORDER = re.compile(r"^\s+\S+ (BUY|SELL) (\d+) (\S+) (\w+): (.+)$")
_LIST_ORDER = re.compile(r"^\S+ (BUY|SELL) (\d+) (\S+) ([A-Z]+) \S.*$")
_LIST_STATE = re.compile(r"^\s+\d\d:\d\d (.+)$")
_DONE = re.compile(r"(?:bought|sold) (\d+) at ₹([\d,.]+\d)")
_NEVER_SENT = ("being prepared", "not sent", "held back", "never reached the broker")


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order as the chat shows it.

    Attributes:
        symbol: Without its exchange.
        purpose: ``entry``, ``exit``, ``stop``, ...; empty where the page does not say.
        words: Its state, in the words of the chat.
    """

    account: str
    side: str
    quantity: int
    symbol: str
    purpose: str
    words: str

    @property
    def filled(self) -> tuple[int, Decimal] | None:
        """Quantity and price of a complete fill."""
        found = _DONE.search(self.words)
        return (int(found[1]), Decimal(found[2].replace(",", ""))) if found else None

    @property
    def was_sent(self) -> bool:
        """Whether the chat says that the order went to the broker."""
        return not self.words.startswith(_NEVER_SENT)

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
            if not line.startswith(" "):
                break
            lines.append(line)
        return "\n".join(lines)


def read_cards(messages: Iterable[Message], accounts: Sequence[str]) -> list[Card]:
    """Return the run cards among messages; a message with buttons is not one."""
    found = []
    for message in messages:
        lines = message.text.split("\n")
        head = _HEAD.match(lines[0])
        named = frozenset(line for line in lines if line in accounts)
        if head and named and not message.buttons:
            orders = tuple(_card_orders(lines, accounts))
            found.append(Card(message.id, head[1], named, orders, message.text))
    return found


def _card_orders(lines: Iterable[str], accounts: Sequence[str]) -> Iterable[ShownOrder]:
    account = ""
    for line in lines:
        if line in accounts:
            account = line
        elif account and (found := _CARD_ORDER.match(line)):
            yield ShownOrder(
                account, found[1], int(found[2]), _symbol(found[3]), found[4], found[5]
            )


def orders_on_page(message: Message, account: str) -> list[ShownOrder]:
    """Return the orders that one page of /orders lists."""
    found = []
    lines = message.text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        order, state = _LIST_ORDER.match(line), _LIST_STATE.match(following)
        if order and state:
            symbol = _symbol(order[3])
            found.append(ShownOrder(account, order[1], int(order[2]), symbol, "", state[1]))
    return found


def _symbol(text: str) -> str:
    return text.partition(":")[2] or text
