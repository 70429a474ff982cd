"""The demo's comparison of chat and ledger must find each kind of lie."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from console.demo.audit import AccountTruth, Period, audit
from console.demo.cards import Card, ShownOrder, orders_on_page, read_cards
from console.demo.chat import Button, Message

pytestmark = pytest.mark.row("F2")

LABEL = "Zerodha - Main"


def written(seq: int, side: str, at: str, quantity: int = 2, **fields: Any) -> dict[str, Any]:
    row = {"seq": seq, "action": "place", "side": side, "quantity": quantity, "at": at}
    return {**row, "symbol": "NSE:SBIN-EQ", "tag": f"T{seq}", "applied": True, **fields}


def done(
    side: str, at: str, price: float, quantity: int = 2, api_key: str = "app"
) -> tuple[dict[str, Any], ...]:
    terms = {"symbol": "SBIN", "side": side}
    trade = {**terms, "quantity": quantity, "at": at}
    order = {
        **terms,
        "quantity": quantity,
        "filled_quantity": quantity,
        "average_price": price,
        "status": "COMPLETE",
        "api_key": api_key,
    }
    return order, trade


def book(*pairs: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {"orders": [order for order, _ in pairs], "trades": [trade for _, trade in pairs]}


ENTRY, EXIT = done("BUY", "09:31", 957.25), done("SELL", "09:45", 960.0)
BOUGHT = ShownOrder(LABEL, "BUY", 2, "SBIN", "entry", "₹957.25", Decimal("957.25"))
SOLD = ShownOrder(LABEL, "SELL", 2, "SBIN", "exit", "₹960.00 · exit", Decimal(960))
TRUTH = AccountTruth(
    label=LABEL,
    ledger=[written(1, "BUY", "09:31"), written(2, "SELL", "09:45")],
    book=book(ENTRY, EXIT),
    silent=(Period(2),),
    shrinking=(Period(1),),
)


def test_agreement_is_silent() -> None:
    """The same orders, once each, at the same prices: nothing to say."""
    card = Card(5, "09:31", frozenset({LABEL}), (BOUGHT,), "")
    assert audit([TRUTH], [BOUGHT, SOLD], [card]) == []


def test_an_order_by_hand_is_in_the_chat_and_in_no_ledger() -> None:
    """What the user did in the broker's own app must be shown as well, at its price."""
    by_hand = done("SELL", "09:45", 960.0, api_key="")
    truth = replace(TRUTH, ledger=TRUTH.ledger[:1], book=book(ENTRY, by_hand), shrinking=())
    assert audit([truth], [BOUGHT, SOLD], []) == []
    assert f"in the ledger, not in the chat: SELL 2 SBIN on {LABEL}" in audit([truth], [BOUGHT], [])


def test_an_order_that_one_side_does_not_have() -> None:
    """An order only in the chat, only in the ledger, or only on a card is named."""
    never = replace(BOUGHT, words="never reached the broker", price=None)
    assert audit([TRUTH], [SOLD, never], [])[0] == (
        f"in the ledger, not in the chat: BUY 2 SBIN on {LABEL}"
    )
    twice = audit([TRUTH], [BOUGHT, BOUGHT, SOLD], [])
    assert f"in the chat, not in the ledger: BUY 2 SBIN on {LABEL}" in twice
    stray = Card(5, "09:31", frozenset({LABEL}), (replace(SOLD, quantity=9),), "")
    assert audit([TRUTH], [BOUGHT, SOLD], [stray]) == [
        f"on a run card, not in /orders: SELL 9 SBIN on {LABEL}"
    ]


def test_order_that_was_turned_away() -> None:
    """The login ended while it was on its way: shown as refused or as not sent, but shown."""
    away = [*TRUTH.ledger, written(3, "SELL", "09:46", applied=False)]
    truth = replace(TRUTH, ledger=away, silent=(), shrinking=())
    for words in ("not sent: login needed", "rejected: no such user"):
        shown = replace(SOLD, purpose="stop", words=words, price=None)
        assert audit([truth], [BOUGHT, SOLD, shown], []) == []
    missing = f"in the ledger, not in the chat: SELL 2 SBIN on {LABEL}"
    assert audit([truth], [BOUGHT, SOLD], []) == [missing]
    unsent = replace(SOLD, words="not sent · login needed", price=None)
    assert audit([TRUTH], [BOUGHT, unsent], [])[0] == missing


def test_a_second_order_with_one_tag() -> None:
    """Two orders of one tag are one intent sent twice."""
    again = [*TRUTH.ledger, written(3, "SELL", "09:46", tag="T2")]
    found = audit([replace(TRUTH, ledger=again, silent=())], [BOUGHT, SOLD], [])
    assert f"{LABEL}: 2 orders carry the tag 'T2'" in found


def test_a_wrong_price() -> None:
    """What the chat says was paid is what the exchange filled."""
    wrong = replace(SOLD, price=Decimal(961))
    found = audit([TRUTH], [BOUGHT, wrong], [])
    assert len(found) == 2
    assert all("filled" in one for one in found)


def test_an_order_on_a_disabled_account() -> None:
    """Whatever arrives while the account is disabled is named."""
    silent = replace(TRUTH, silent=(Period(0, 1),), shrinking=())
    assert audit([silent], [BOUGHT, SOLD], []) == [
        f"BUY 2 SBIN on {LABEL} was sent although the account was disabled"
    ]


@pytest.mark.parametrize(
    ("side", "quantity"), [("BUY", 1), ("SELL", 3)], ids=["it grows", "it flips"]
)
def test_an_order_that_does_not_shrink(side: str, quantity: int) -> None:
    """In exit-only mode an order that adds, or is larger than what is held, is named."""
    rows = [written(1, "BUY", "09:31"), written(2, side, "09:45", quantity)]
    truth = replace(TRUTH, ledger=rows, book=book(ENTRY))
    shown = replace(SOLD, side=side, quantity=quantity, words="", price=None)
    assert audit([truth], [BOUGHT, shown], []) == [
        f"{side} {quantity} SBIN on {LABEL} was sent in exit-only mode while +2 was held"
    ]
    opened = replace(TRUTH, shrinking=(Period(0),))
    assert "while +0 was held" in audit([opened], [BOUGHT, SOLD], [])[0]


CARD = f"""Moving average crossover
   09:45
Long SBIN · stop ₹947.38
   The fast average crossed.
{LABEL}
✅ Bought 1 SBIN · ₹1,957.05
   exit +\u2060₹150.00 · before charges
   exit only: no entry is sent
Fyers - Growth
🕒 Stop: sell 2 SBIN · ₹947.38"""
LIST = f"""Orders today · {LABEL}

Orders
✅ Bought 2 SBIN · ₹957.10
   exit +₹12.00
   MIS · 09:45 · orb
➖ Stop: sell 2 RELIANCE
   ₹1,449.40
   cancelled for the exit
   MIS · 09:31 · orb
⏸ Buy 3 SBIN · held back
   MIS · 09:50 · orb"""


def message(text: str, *buttons: Button) -> Message:
    return Message(7, is_mine=False, text=text, buttons=buttons, is_deleted=False)


def test_a_card_is_read() -> None:
    """Orders are read by account, with what became of them; a page with buttons is no card."""
    labels = (LABEL, "Fyers - Growth")
    (card,) = read_cards([message(CARD), message(CARD, Button("« Back"))], labels)
    assert (card.slot, card.accounts) == ("09:45", frozenset(labels))
    assert [one.terms for one in card.orders] == [
        (LABEL, "BUY", 1, "SBIN"),
        ("Fyers - Growth", "SELL", 2, "SBIN"),
    ]
    assert card.filled(LABEL, "exit")
    assert not card.filled("Fyers - Growth", "stop")
    assert card.part(LABEL).endswith("exit only: no entry is sent")


def test_a_page_of_orders_is_read() -> None:
    """Every order of the page, the fill with quantity and price."""
    first, second, held = orders_on_page(message(LIST), LABEL)
    assert not held.was_sent
    assert first.filled is not None
    assert (first.terms, str(first.filled[1])) == ((LABEL, "BUY", 2, "SBIN"), "957.10")
    assert (second.symbol, second.filled, second.was_sent) == ("RELIANCE", None, True)
