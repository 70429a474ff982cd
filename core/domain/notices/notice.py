"""The union of all notices."""

from __future__ import annotations

from typing import TypeAlias

from core.domain.notices.accounts import AccountNotice
from core.domain.notices.backups import BackupNotice
from core.domain.notices.calendar import CalendarNotice
from core.domain.notices.exits import ExitNotice
from core.domain.notices.limits import LimitNotice
from core.domain.notices.logins import LoginNotice
from core.domain.notices.orders import OrderNotice
from core.domain.notices.panic import PanicNotice
from core.domain.notices.positions import PositionNotice
from core.domain.notices.prices import PriceNotice
from core.domain.notices.protection import ProtectionNotice
from core.domain.notices.result_guards import GuardNotice
from core.domain.notices.results import ResultNotice
from core.domain.notices.runs import RunNotice
from core.domain.notices.summary import SummaryNotice
from core.domain.notices.system import SystemNotice

__all__ = ["Notice"]

Notice: TypeAlias = (
    RunNotice
    | OrderNotice
    | ResultNotice
    | LoginNotice
    | AccountNotice
    | PositionNotice
    | ProtectionNotice
    | ExitNotice
    | GuardNotice
    | PanicNotice
    | LimitNotice
    | CalendarNotice
    | PriceNotice
    | BackupNotice
    | SummaryNotice
    | SystemNotice
)
