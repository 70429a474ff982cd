"""Why a connection failed, in words that quote nothing: an address may hold a token."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence

__all__ = ["why_not_connected"]

_SAID: Sequence[tuple[type[BaseException], str]] = (
    (socket.gaierror, "the name could not be looked up"),
    (ssl.SSLCertVerificationError, "the certificate is not trusted"),
    (ssl.SSLError, "no TLS connection"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection broke"),
    (TimeoutError, "no answer in time"),
    (OSError, "no connection from this machine"),
    (ValueError, "a request that cannot be sent"),
)
"""The narrower kinds first."""


def why_not_connected(error: BaseException) -> str:
    """Return what went wrong, by the error or by what a client has wrapped in it."""
    causes = list(_causes(error))
    for kind, said in _SAID:
        if any(isinstance(one, kind) for one in causes):
            return said
    return "no connection"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
