"""The apps that the simulated Kite knows from the start."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

from sandbox.charge_rates import Fee, Kind, Tariff
from sandbox.sessions import AUCTION_SINCE, Cutoffs

__all__ = ["CALLBACK_PATH", "CUTOFFS", "KEYS", "TARIFF", "order_id"]

CALLBACK_PATH = "/broker/callback/zerodha"
KEYS = (
    ("kitesimkey000001", "k1" * 16, "AB1234"),
    ("kitesimkey000002", "k2" * 16, "CD5678"),
    ("kitesimkey000003", "k3" * 16, "EF9012"),
)

CUTOFFS = (
    Cutoffs(date.min, time(15, 20), time(15, 20), time(15, 25)),
    Cutoffs(AUCTION_SINCE, time(15, 12), time(15, 20), time(15, 25)),
)
"""15:20 and 15:25 by Zerodha's support page, which has no time for shares that stop at 15:15 now:
15:12 is the latest that press reports name."""

_TRADING = Fee(cap=Decimal(20), share=Decimal("0.0003"))
TARIFF = Tariff(
    brokerage=(
        (
            date.min,
            {
                Kind.INTRADAY: _TRADING,
                Kind.DELIVERY: Fee(cap=Decimal(0), share=Decimal(0)),
                Kind.FUTURE: _TRADING,
                Kind.OPTION: Fee(cap=Decimal(20)),
            },
        ),
    ),
    depository=((date.min, Decimal("13.5")), (date(2024, 10, 1), Decimal(13))),
    square_off=((date.min, Decimal(20)), (date(2020, 3, 19), Decimal(50))),
)
"""By Zerodha's list of charges. The day on which the depository fee fell is that of the rule of
uniform fees, which its pages do not name; a first holder who is a woman pays 25 paise less. ``MTF``
is charged as delivery: its own brokerage and interest are not simulated."""


def order_id(now: datetime, number: int) -> str:
    """Write an order id in both of Kite's forms in turn: 15 digits by date, 19 digits."""
    if number % 3:
        return f"{now:%y%m%d}{number + 1_000_000:09d}"
    return str(1_950_000_000_000_000_000 + int(now.timestamp()) * 1000 + number)
