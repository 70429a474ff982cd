"""Secrets are taken out of a broker's answer before anybody reads it (G2, I12).

An error that repeats what was sent would otherwise stand in the chat, the journal and the log. It
is done where bytes come in, so that no adapter can forget it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Redaction"]

_SHORTEST = 8
"""Shorter texts occur by chance, in a symbol or a number."""
_MASK = b"***"
_FIELDS = rb"(?:access|refresh|public|request)_token|enctoken"
_OWN_FIELD = rb'("(?:%b)"\s*:\s*"(?:[^"\\]{1,20}:)?)' % _FIELDS
"""A field that hands out a token, which the login needs; no text for users is read from these."""
_SENT = re.compile(
    rb"(?:request_token|checksum|appIdHash|refresh_token|auth_code|code|pin)"
    rb'(?:=|"\s*:\s*")([^"&\\\s]{8,4096})'
)
"""What a login sends along: it is good for nothing but the login, and nobody else's business."""


class Redaction:
    """Knows the secrets of one account.

    Args:
        secrets: Texts that no answer may repeat.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = tuple(one.encode() for one in secrets if len(one) >= _SHORTEST)

    def clean(self, body: bytes, sent: bytes) -> bytes:
        """Return an answer without secrets.

        Args:
            body: The answer, unpacked.
            sent: The request as it was written.
        """
        for secret in (*self._known, *_SENT.findall(sent.rpartition(b"\r\n\r\n")[2])):
            if secret in body:
                pattern = _OWN_FIELD + b"?" + re.escape(secret)
                body = re.sub(pattern, lambda found: found[0] if found[1] else _MASK, body)
        return body
