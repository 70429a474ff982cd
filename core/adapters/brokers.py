"""The real brokers, built from the roots that the settings name."""

from __future__ import annotations

from core.adapters.fyers import FyersBroker
from core.adapters.zerodha import ZerodhaBroker
from core.domain.account import BrokerType
from core.ports.broker import Broker
from core.ports.clock import Clock

__all__ = ["build_brokers"]


def build_brokers(
    clock: Clock,
    *,
    kite_api: str,
    kite_login: str,
    fyers_api: str,
    fyers_masters: str,
    deadline_s: float,
) -> dict[BrokerType, Broker]:
    """Return each broker type's ``Broker``.

    Args:
        clock: Paces requests.
        kite_api: Root of Kite Connect.
        kite_login: Root of Kite's login page.
        fyers_api: Root of Fyers' API.
        fyers_masters: Root of Fyers' public symbol masters.
        deadline_s: Total time of one call, all waits included.
    """
    return {
        BrokerType.ZERODHA: ZerodhaBroker(
            clock, api_root=kite_api, login_root=kite_login, deadline_s=deadline_s
        ),
        BrokerType.FYERS: FyersBroker(
            clock, api_root=fyers_api, masters_root=fyers_masters, deadline_s=deadline_s
        ),
    }
