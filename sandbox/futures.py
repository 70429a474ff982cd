"""Futures of the shares and indices that have them: three monthly contracts at any time.

A contract ends on the last Tuesday of its month (the last Thursday before September 2025); a
holiday moves that to the trading day before. Names follow Kite: ``NFO:NIFTY26NOVFUT``. The exchange
token is the underlying's, followed by three digits for the month, so that it can be read back.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

from sandbox.instruments import NFO, Instrument, instruments
from sandbox.sessions import is_trading_day, previous_trading_day

__all__ = ["expiry_of", "find_future", "find_future_token", "futures_on"]

LISTED_MONTHS = 3
FREEZE_LOTS = 40
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(rf"NFO:(?P<name>.+?)(?P<year>\d\d)(?P<month>{'|'.join(_MONTHS)})FUT")
_TUESDAY, _THURSDAY = 1, 3
_TUESDAYS_SINCE = date(2025, 9, 1)
_MONTH_DIGITS = 1000


def expiry_of(year: int, month: int) -> date:
    """Return the day on which the contracts of a month end."""
    last = date(year, month, monthrange(year, month)[1])
    weekday = _TUESDAY if last >= _TUESDAYS_SINCE else _THURSDAY
    day = last - timedelta(days=(last.weekday() - weekday) % 7)
    return day if is_trading_day(day) else previous_trading_day(day)


def futures_on(day: date) -> list[Instrument]:
    """Return the contracts that are listed on a day, by underlying and month."""
    listed = []
    for underlying in instruments():
        if not underlying.future_lot:
            continue
        year, month = day.year, day.month
        found: list[Instrument] = []
        while len(found) < LISTED_MONTHS:
            contract = _future(underlying, year, month)
            if contract.expiry is not None and contract.expiry >= day:
                found.append(contract)
            year, month = (year, month + 1) if month < len(_MONTHS) else (year + 1, 1)
        listed += found
    return listed


def find_future(key: str) -> Instrument | None:
    """Return the contract of a key, ended or not, or None when it names none."""
    match = _NAME.fullmatch(key)
    if match is None:
        return None
    for underlying in instruments():
        if underlying.future_lot and underlying.derivative_name == match["name"]:
            return _future(underlying, 2000 + int(match["year"]), _MONTHS.index(match["month"]) + 1)
    return None


def find_future_token(exchange_token: int) -> Instrument | None:
    """Return the contract of an exchange token, or None when it is none."""
    token, months = divmod(exchange_token, _MONTH_DIGITS)
    for underlying in instruments():
        if underlying.future_lot and underlying.exchange_token == token:
            return _future(underlying, 2000 + (months - 1) // 12, (months - 1) % 12 + 1)
    return None


def _future(underlying: Instrument, year: int, month: int) -> Instrument:
    return _built(underlying, year, month, expiry_of(year, month))


@lru_cache(maxsize=1024)
def _built(underlying: Instrument, year: int, month: int, expiry: date) -> Instrument:
    lot = underlying.future_lot
    return replace(
        underlying,
        symbol=f"{underlying.derivative_name}{year % 100:02d}{_MONTHS[month - 1]}FUT",
        exchange=NFO,
        exchange_token=underlying.exchange_token * _MONTH_DIGITS + (year - 2000) * 12 + month,
        name=underlying.derivative_name,
        isin="",
        lot_size=lot,
        freeze_quantity=underlying.future_freeze or lot * FREEZE_LOTS,
        published_freeze=underlying.future_freeze + 1 if underlying.future_freeze else None,
        is_index=False,
        has_derivatives=False,
        future_lot=0,
        expiry=expiry,
        follows=underlying.key,
    )
