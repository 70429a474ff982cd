"""What trading costs: brokerage, taxes and fees by dated rates, worked out from executions.

``rates.csv`` holds the rates with a source for each, ``rates.py`` reads them, ``kinds.py`` says
what an execution is (delivery, intraday, future, option), ``account.py`` works out the charges.
"""

from core.domain.charges.account import charges_of, closing_charges
from core.domain.charges.amounts import NOTHING, Charges
from core.domain.charges.kinds import (
    Execution,
    Kind,
    closing_execution,
    executions_of_orders,
    executions_of_trades,
    kind_of,
)
from core.domain.charges.rates import Rates, packaged_rates
from core.domain.charges.round_trip import newest, round_trip_charges

__all__ = [
    "NOTHING",
    "Charges",
    "Execution",
    "Kind",
    "Rates",
    "charges_of",
    "closing_charges",
    "closing_execution",
    "executions_of_orders",
    "executions_of_trades",
    "kind_of",
    "newest",
    "packaged_rates",
    "round_trip_charges",
]
