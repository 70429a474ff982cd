"""From when a ledger is squared off: a pure function of its product, its strategy and its hours.

What is carried overnight is squared off when its strategy wants that; what is intraday is squared
off always, with or without a strategy that can still be asked. In doubt the latest cut-off holds,
for the strategy's own time is not known then, and earlier would close what may be meant (D7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from core.domain.instrument import Product
from core.domain.sessions import IST, Schedule, SessionWindow

__all__ = ["SquareOffTimes", "square_off_times"]

_ALARM_AFTER = timedelta(minutes=10)
_LATEST_ALARM = timedelta(minutes=1)
_LEAST_TIME = timedelta(minutes=2)
_WITHOUT_RULE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class SquareOffTimes:
    """When a ledger is squared off on one day, aware market times.

    Attributes:
        begins_at: From then on it is to be flat.
        alarm_at: What is still open then is an alarm.
    """

    begins_at: datetime
    alarm_at: datetime


def square_off_times(
    product: Product,
    schedule: Schedule | None,
    cut_offs: Sequence[time],
    window: SessionWindow,
) -> SquareOffTimes | None:
    """Return when a ledger is squared off; None when it is carried overnight.

    Args:
        product: How the position is carried.
        schedule: The strategy's; None when the strategy is gone or cannot be asked.
        cut_offs: The calendar's for all that the instrument may be; the latest counts.
        window: The instrument's session of the day.
    """
    wanted = schedule.square_off if schedule is not None else None
    if wanted is None and product is not Product.MIS:
        return None
    if cut_offs:
        latest = datetime.combine(window.day, max(cut_offs), IST)
    else:
        latest = window.close_at - _WITHOUT_RULE
    begins = latest if wanted is None else datetime.combine(window.day, wanted, IST)
    # A session in the evening begins after the time at which a strategy ends its ordinary day.
    if begins <= window.open_at:
        begins = latest
    begins = min(begins, latest, window.close_at - _LEAST_TIME)
    alarm = min(begins + _ALARM_AFTER, window.close_at - _LATEST_ALARM)
    return SquareOffTimes(begins, alarm)
