"""What trades in shares, futures and options cost in India: dated rates, and each broker's fees.

Every table begins with its oldest row, which holds for all days before it too; a row holds from its
date until the next. The rates were read from public pages, and nowhere else:

* Securities transaction tax (STT): tax pages on the budgets of 2023, 2024 and 2026 (since 1 April
  2026 futures 0.05 %, premium of options sold 0.15 %; shares unchanged), Zerodha's support page.
* Exchanges: NSE's fees of 1 April 2023 and 1 October 2024 and BSE's of the same days by way of the
  press (Hindu BusinessLine, NDTV Profit); between them as brokers quoted them. Zerodha's list of
  charges gives 0.00307, 0.00183 and 0.03553 % for NSE: by a circular of 27 February 2026 that is
  the exchange's own charge since 1 March, for it takes over what the protection fund took.
* NSE's investor protection fund (IPFT): support pages of Zerodha and Fyers; Zerodha's as WebNotes
  read it on 19 June 2026 has 0.01 rupees a crore.
* SEBI 10 rupees a crore, stamp duty on purchases, GST 18 %: Zerodha's list of charges.
* Fees of Zerodha: its list of charges, support pages on depository and square-off fees.
* Fees of Fyers: its charges list; support pages "brokerage, statutory and other applicable charges"
  and "DP charges". Fyers adds a clearing charge on derivatives.

Where GST bears on the protection fund, pages disagree; in Kite's published reply of
``/charges/orders`` it does not, and no other reply was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

__all__ = [
    "FREE",
    "GST",
    "Fee",
    "Kind",
    "Tariff",
    "exchange_rate",
    "in_force",
    "protection_fund_rate",
    "sebi_rate",
    "stamp_duty_rate",
    "transaction_tax_rates",
]

T = TypeVar("T")

GST = Decimal("0.18")
_NSE, _BSE = "NSE", "BSE"
_CRORE = Decimal(10_000_000)
_NONE = Decimal(0)


class Kind(StrEnum):
    """How a trade is charged."""

    INTRADAY = "intraday"
    DELIVERY = "delivery"
    FUTURE = "future"
    OPTION = "option"


def in_force(table: Sequence[tuple[date, T]], day: date) -> T:
    """Return the row of a dated table that holds on a day."""
    found = table[0][1]
    for since, row in table:
        if since <= day:
            found = row
    return found


def _percent(text: str) -> Decimal:
    return Decimal(text) / 100


def _derivatives(future: str, option: str) -> dict[Kind, tuple[Decimal, Decimal]]:
    return {
        Kind.INTRADAY: (_NONE, _percent("0.025")),
        Kind.DELIVERY: (_percent("0.1"), _percent("0.1")),
        Kind.FUTURE: (_NONE, _percent(future)),
        Kind.OPTION: (_NONE, _percent(option)),
    }


_TRANSACTION_TAX = (
    (date(2016, 6, 1), _derivatives("0.01", "0.05")),
    (date(2023, 4, 1), _derivatives("0.0125", "0.0625")),
    (date(2024, 10, 1), _derivatives("0.02", "0.1")),
    (date(2026, 4, 1), _derivatives("0.05", "0.15")),
)


def _venue(cash: str, future: str, option: str) -> dict[Kind, Decimal]:
    return {
        Kind.INTRADAY: _percent(cash),
        Kind.DELIVERY: _percent(cash),
        Kind.FUTURE: _percent(future),
        Kind.OPTION: _percent(option),
    }


_EXCHANGES: Mapping[str, Sequence[tuple[date, Mapping[Kind, Decimal]]]] = {
    _NSE: (
        (date(2021, 1, 1), _venue("0.00345", "0.002", "0.053")),
        (date(2023, 4, 1), _venue("0.00325", "0.0019", "0.05")),
        (date(2024, 4, 1), _venue("0.00322", "0.00183", "0.0495")),
        (date(2024, 10, 1), _venue("0.00297", "0.00173", "0.03503")),
        (date(2026, 3, 1), _venue("0.00307", "0.00183", "0.03553")),
    ),
    _BSE: (
        (date(2021, 1, 1), _venue("0.00345", "0", "0.005")),
        (date(2023, 4, 1), _venue("0.00375", "0", "0.005")),
        (date(2024, 10, 1), _venue("0.00375", "0", "0.0325")),
    ),
}
"""Options of BSE as for SENSEX and BANKEX; BSE's dearer groups of shares are not simulated."""

_PROTECTION_FUND = (
    (date(2021, 1, 1), dict.fromkeys(Kind, Decimal("0.01") / _CRORE)),
    (
        date(2023, 4, 1),
        dict.fromkeys(Kind, Decimal(10) / _CRORE) | {Kind.OPTION: Decimal(50) / _CRORE},
    ),
    # 0.01 rupees a crore, which makes no paisa.
    (date(2026, 3, 1), dict.fromkeys(Kind, _NONE)),
)
_SEBI = ((date(2020, 6, 1), Decimal(5) / _CRORE), (date(2021, 4, 1), Decimal(10) / _CRORE))
_STAMP_DUTY = {
    Kind.INTRADAY: _percent("0.003"),
    Kind.DELIVERY: _percent("0.015"),
    Kind.FUTURE: _percent("0.002"),
    Kind.OPTION: _percent("0.003"),
}


def transaction_tax_rates(kind: Kind, day: date) -> tuple[Decimal, Decimal]:
    """Return the securities transaction tax of a purchase and of a sale."""
    return in_force(_TRANSACTION_TAX, day)[kind]


def exchange_rate(venue: str, kind: Kind, day: date) -> Decimal:
    """Return what an exchange (NSE or BSE) takes of a turnover."""
    return in_force(_EXCHANGES[venue], day)[kind]


def protection_fund_rate(venue: str, kind: Kind, day: date) -> Decimal:
    """Return what the exchange's investor protection fund takes; BSE has none on trades."""
    return in_force(_PROTECTION_FUND, day)[kind] if venue == _NSE else _NONE


def sebi_rate(day: date) -> Decimal:
    """Return SEBI's fee on a turnover."""
    return in_force(_SEBI, day)


def stamp_duty_rate(kind: Kind) -> Decimal:
    """Return the stamp duty on a purchase, one rate for all states since July 2020."""
    return _STAMP_DUTY[kind]


@dataclass(frozen=True)
class Fee:
    """Brokerage of an executed order: a share of its value up to a cap, or the cap alone."""

    cap: Decimal
    share: Decimal | None = None


_NO_FEE = Fee(_NONE, _NONE)


@dataclass(frozen=True)
class Tariff:
    """A broker's fees, each a dated table.

    Attributes:
        brokerage: For an executed order, by kind.
        depository: For each share (ISIN) that is delivered on a day, whatever the quantity.
        square_off: For each order with which the broker's risk management closes a position.
        clearing: A share of the turnover.
        withholds: Whether the charges of an order, all but the transaction tax, are taken out of
            the available money at once; otherwise the day's are debited when the day is over.
    """

    brokerage: Sequence[tuple[date, Mapping[Kind, Fee]]]
    depository: Sequence[tuple[date, Decimal]] = ((date.min, _NONE),)
    square_off: Sequence[tuple[date, Decimal]] = ((date.min, _NONE),)
    clearing: Sequence[tuple[date, Mapping[Kind, Decimal]]] = ((date.min, {}),)
    withholds: bool = False


FREE = Tariff(brokerage=((date.min, dict.fromkeys(Kind, _NO_FEE)),))
"""A broker that takes nothing for itself: what a simulator charges that names no tariff."""
