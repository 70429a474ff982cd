"""Whether a broker's login page refuses a key, before anybody is sent there.

No broker documents how its page answers an unknown key. So only an error of the client's that names
the key counts, in the broker's own words; a page of any other kind, and none, prove nothing.
"""

from __future__ import annotations

import re

from core.adapters.broker_http import BrokerTransport, NoReply
from core.adapters.sdk_requests import Outgoing
from core.adapters.throttle import Bucket

__all__ = ["is_refused_page"]

_WITHIN_S = 3.0
_LARGEST = 256 * 1024
_CLIENT_ERRORS = range(400, 500)


async def is_refused_page(transport: BrokerTransport, address: str, words: re.Pattern[str]) -> bool:
    """Return whether the login page is an error that says these words. Never raises."""
    request = Outgoing("GET", address, {"Accept": "text/html, application/json"}, b"")
    raw = await transport.send(request, Bucket.OTHER, limit=_LARGEST, deadline_s=_WITHIN_S)
    if isinstance(raw, NoReply) or raw.status not in _CLIENT_ERRORS:
        return False
    return words.search(raw.body.decode("utf-8", "replace")) is not None
