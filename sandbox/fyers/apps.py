"""The apps that the simulated Fyers knows from the start."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from sandbox.charge_rates import Fee, Kind, Tariff
from sandbox.sessions import AUCTION_SINCE, Cutoffs

__all__ = ["CALLBACK_PATH", "CUTOFFS", "KEYS", "TARIFF", "order_id"]

CALLBACK_PATH = "/broker/callback/fyers"
KEYS = (
    ("FYSIMAPP01-100", "FYSECRET01", "XA00001"),
    ("FYSIMAPP02-100", "FYSECRET02", "XB00002"),
    ("FYSIMAPP03-100", "FYSECRET03", "XC00003"),
)

CUTOFFS = (
    Cutoffs(date.min, time(15, 15), time(15, 15), time(15, 15)),
    Cutoffs(AUCTION_SINCE, time(15, 12), time(15, 15), time(15, 15)),
)
"""15:15 by Fyers' support page; for shares that stop at 15:15 now none was found."""

_TRADING = Fee(cap=Decimal(20), share=Decimal("0.0003"))
_BEFORE = {
    Kind.INTRADAY: _TRADING,
    Kind.DELIVERY: Fee(cap=Decimal(0), share=Decimal(0)),
    Kind.FUTURE: _TRADING,
    Kind.OPTION: Fee(cap=Decimal(20)),
}
TARIFF = Tariff(
    brokerage=(
        (date.min, _BEFORE),
        (
            date(2024, 10, 1),
            _BEFORE | {Kind.DELIVERY: Fee(cap=Decimal(20), share=Decimal("0.003"))},
        ),
    ),
    depository=((date.min, Decimal("15.5")), (date(2024, 10, 1), Decimal("12.5"))),
    square_off=((date.min, Decimal(20)), (date(2024, 10, 1), Decimal(50))),
    clearing=(
        (date.min, {}),
        (
            date(2024, 10, 1),
            {Kind.FUTURE: Decimal("0.000005"), Kind.OPTION: Decimal("0.00009")},
        ),
    ),
    withholds=True,
)
"""By Fyers' charges list and support pages, which date the brokerage on delivery to October 2024
and nothing else. From then to June 2025 the depository fee was 3.50 a sale; that is left out."""


def order_id(now: datetime, number: int) -> str:
    """Write an order id: the date and eight digits."""
    return f"{now:%y%m%d}{number:08d}"
