"""A connection that failed is named by its cause, also where a client wraps that."""

from __future__ import annotations

import socket
import ssl

import pytest

from core.connection_failures import why_not_connected

CANARY = "https://host/?token=CANARY"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (socket.gaierror(-2, CANARY), "the name could not be looked up"),
        (ssl.SSLCertVerificationError(1, CANARY), "the certificate is not trusted"),
        (ssl.SSLError(1, CANARY), "no TLS connection"),
        (ConnectionRefusedError(111, CANARY), "the connection was refused"),
        (ConnectionResetError(104, CANARY), "the connection broke"),
        (TimeoutError(CANARY), "no answer in time"),
        (OSError(101, CANARY), "no connection from this machine"),
        (ValueError(CANARY), "a request that cannot be sent"),
        (RuntimeError(CANARY), "no connection"),
    ],
)
@pytest.mark.parametrize("layers", [0, 2])
def test_cause_is_named_and_nothing_is_quoted(cause: Exception, said: str, layers: int) -> None:
    """What a client raises says less than what was raised below it, and may quote an address."""
    error = cause
    for _ in range(layers):
        wrapped = RuntimeError(CANARY)
        wrapped.__cause__ = error
        error = wrapped
    assert why_not_connected(error) == said
