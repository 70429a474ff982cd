"""The official Fyers SDK as a builder of requests: no log files, no shared error, no exit-all.

``FyersModel`` opens two log files an instance, in the working directory unless set otherwise, and
its service writes replies with personal data into them (facts/fyers.md 9.4). This subclass leaves
its constructor out and sets what the pinned version's calls use. The SDK's addresses are global to
the process; they are left alone, each request is moved to the account's own root instead.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from fyers_apiv3.fyersModel import Config, FyersModel, FyersServiceSync

from core.adapters.sdk_requests import RequestCapture

__all__ = ["FyersSdk"]

_MUTE = logging.getLogger("fyers_sdk_muted")
_MUTE.addHandler(logging.NullHandler())
_MUTE.propagate = False


class _MovedCapture(RequestCapture):
    """Takes the request that the SDK built and points it at another root."""

    def __init__(self, api_root: str) -> None:
        super().__init__()
        self._root = api_root.rstrip("/")

    def moved(self, url: str) -> str:
        """Return the address with the account's root in the place of the SDK's.

        Raises:
            InvalidURL: It does not begin with the SDK's root.
        """
        root = _root_of(Config.API)
        if not url.startswith(f"{root}/"):
            raise requests.exceptions.InvalidURL("the SDK left its own root")
        return self._root + url.removeprefix(root)


@cache
def _root_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


class FyersSdk(FyersModel):  # type: ignore[misc] # published without types
    """A ``FyersModel`` whose calls end in ``sdk_requests.capture``."""

    def __init__(self, api_root: str, client_id: str, token: str) -> None:
        # Not super().__init__(): it opens the log files.
        self.client_id = client_id
        self.token = token
        self.is_async = False
        self.header = f"{client_id}:{token}"
        self.service = FyersServiceSync(_MUTE, _MUTE)
        self.service.session.close()
        self.service.session = _MovedCapture(api_root)

    def exit_positions(self, data: Any = None) -> NoReturn:
        """Refuse: without an argument the SDK closes the whole account, manual trades included."""
        raise NotImplementedError("positions are closed by orders, one by one")
