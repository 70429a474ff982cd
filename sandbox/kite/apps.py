"""The apps that the simulated Kite knows from the start."""

from __future__ import annotations

from datetime import date, datetime, time

from sandbox.sessions import AUCTION_SINCE, Cutoffs

__all__ = ["CALLBACK_PATH", "CUTOFFS", "KEYS", "order_id"]

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


def order_id(now: datetime, number: int) -> str:
    """Write an order id in both of Kite's forms in turn: 15 digits by date, 19 digits."""
    if number % 3:
        return f"{now:%y%m%d}{number + 1_000_000:09d}"
    return str(1_950_000_000_000_000_000 + int(now.timestamp()) * 1000 + number)
