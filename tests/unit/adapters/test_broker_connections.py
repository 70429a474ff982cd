"""How old a connection may be for an order, and what a request looks like."""

from __future__ import annotations

import pytest

from core.adapters.broker_connections import Lifetime, Origin, origin_of, request_bytes


def test_orders_trust_an_unknown_broker_for_four_seconds() -> None:
    """Nothing is known about how long it keeps connections."""
    assert Lifetime().safe_s == 4.0


def test_connection_that_lived_makes_orders_trust_half_of_its_time() -> None:
    """A broker that answered after a minute of silence will not close within half of one."""
    lifetime = Lifetime()
    lifetime.survived(60.0)
    lifetime.survived(10.0)
    assert lifetime.safe_s == 30.0
    lifetime.survived(3_000.0)
    assert lifetime.safe_s == 45.0


@pytest.mark.matrix("N12")
def test_order_stays_away_from_the_moment_at_which_the_broker_closes() -> None:
    """Seen to close after a time, a connection is trusted for half of that at most."""
    lifetime = Lifetime()
    lifetime.survived(80.0)
    lifetime.closed(60.0)
    assert lifetime.safe_s == 30.0
    lifetime.closed(3.0)
    assert lifetime.safe_s == 1.5


def test_broker_that_closes_at_once_still_gets_orders() -> None:
    """A connection that was just opened can always be used."""
    lifetime = Lifetime()
    lifetime.closed(0.0)
    assert lifetime.safe_s == 0.5


def test_restart_of_the_broker_is_forgotten() -> None:
    """A connection that was closed early by chance does not make every order open its own."""
    lifetime = Lifetime()
    lifetime.closed(1.0)
    lifetime.survived(20.0)
    assert lifetime.safe_s == 10.0


@pytest.mark.parametrize(
    ("root", "origin"),
    [
        ("https://api.kite.trade", Origin(True, "api.kite.trade", 443, "api.kite.trade")),
        ("http://127.0.0.1:8001", Origin(False, "127.0.0.1", 8001, "127.0.0.1:8001")),
        ("http://[::1]:80", Origin(False, "::1", 80, "[::1]")),
        (
            "https://bücher.example",
            Origin(True, "xn--bcher-kva.example", 443, "xn--bcher-kva.example"),
        ),
    ],
)
def test_origin_is_read(root: str, origin: Origin) -> None:
    """Scheme, host and port decide where a connection leads."""
    assert origin_of(root) == origin


@pytest.mark.parametrize("root", ["ftp://a", "a", "https://", "https://user:word@a", "http://a:b"])
def test_address_that_is_not_of_http_is_refused(root: str) -> None:
    """Nothing is opened for it."""
    with pytest.raises(ValueError):  # noqa: PT011 - urllib has its own words for some
        origin_of(root)


@pytest.mark.parametrize("name", ["a\r\nX: b", "", "a b"])
@pytest.mark.parametrize("value", ["fine", "a\r\nX: b", "a\0"])
def test_header_cannot_break_out_of_its_line(name: str, value: str) -> None:
    """A header that would be read as two is refused before anything is sent."""
    origin = origin_of("http://a")
    with pytest.raises(ValueError, match="cannot carry"):
        request_bytes("GET", "/", origin, {name: value}, b"")
    with pytest.raises(ValueError, match="cannot carry"):
        request_bytes("GET", "/\u2028", origin, {}, b"")


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: b", "/a\0", "/é"])
def test_address_cannot_break_out_of_its_line(target: str) -> None:
    """The same for what follows the method."""
    with pytest.raises(ValueError, match="cannot carry"):
        request_bytes("GET", target, origin_of("http://a"), {}, b"")


def test_request_is_written_as_it_stands() -> None:
    """Method, address, host, headers, body."""
    data = request_bytes("PUT", "/a?b=c", origin_of("http://a:81"), {"X": "y"}, b"z")
    assert data == b"PUT /a?b=c HTTP/1.1\r\nHost: a:81\r\nX: y\r\n\r\nz"
