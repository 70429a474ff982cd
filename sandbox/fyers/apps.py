"""The apps that the simulated Fyers knows from the start."""

from __future__ import annotations

from datetime import date, datetime, time

from sandbox.sessions import AUCTION_SINCE, Cutoffs

__all__ = ["CALLBACK_PATH", "CUTOFFS", "KEYS", "order_id"]

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


def order_id(now: datetime, number: int) -> str:
    """Write an order id: the date and eight digits."""
    return f"{now:%y%m%d}{number:08d}"
