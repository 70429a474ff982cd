"""The official Kite SDK as a builder of requests, without its ticker.

``import kiteconnect`` imports its ticker, and with it Twisted and autobahn (facts/kite.md 9.4). An
empty module of that name replaces it, so that neither is loaded or need be installed.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from core.adapters.sdk_requests import RequestCapture

__all__ = ["kite_sdk"]

_TICKER = "kiteconnect.ticker"
if _TICKER not in sys.modules:
    _stub = ModuleType(_TICKER)
    _stub.KiteTicker = None  # type: ignore[attr-defined]
    sys.modules[_TICKER] = _stub

from kiteconnect import KiteConnect  # noqa: E402 - the stub must come before


def kite_sdk(api_root: str, api_key: str, access_token: str = "") -> Any:
    """Return a ``KiteConnect`` whose calls end in ``sdk_requests.capture``."""
    kite = KiteConnect(api_key=api_key, access_token=access_token or None, root=api_root)
    kite.reqsession = RequestCapture()
    return kite
