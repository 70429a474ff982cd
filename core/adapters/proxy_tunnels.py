"""Tunnels through a proxy, HTTP or SOCKS, to a broker (A12).

Whatever goes wrong here happens before the first byte of a request: the proxy is told an address
and a port, and nothing else. What a proxy says is not repeated, and its login never.

SOCKS is python-socks'. ``CONNECT`` is written here: python-socks takes the first piece that comes
for the whole answer, and the rest of it would stand before the broker's.
"""

from __future__ import annotations

import asyncio
import base64
import socket

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy as SocksProxy

from core.domain.route import Proxy, ProxyKind

__all__ = ["ProxyFailed", "open_tunnel"]

_NEEDS_LOGIN = 407
_OK = range(200, 300)
_LARGEST_ANSWER = 16 * 1024
_END = b"\r\n\r\n"


class ProxyFailed(ConnectionError):
    """A proxy opened no tunnel.

    Attributes:
        is_absent: The proxy itself is not there or refuses its user, wherever the tunnel led.
    """

    def __init__(self, reason: str, *, is_absent: bool) -> None:
        super().__init__(reason)
        self.is_absent = is_absent


async def open_tunnel(proxy: Proxy, host: str, port: int) -> socket.socket:
    """Return a socket that leads to ``host`` through the proxy; its time is the caller's.

    Raises:
        ProxyFailed: No tunnel came about.
    """
    opened = _by_socks if proxy.kind is ProxyKind.SOCKS5 else _by_connect
    try:
        return await opened(proxy, host, port)
    except ProxyFailed:
        raise
    except (OSError, EOFError) as error:
        raise ProxyFailed(f"the proxy {proxy.shown} does not answer", is_absent=True) from error


async def _by_socks(proxy: Proxy, host: str, port: int) -> socket.socket:
    tunnel = SocksProxy(
        ProxyType.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.user or None,
        proxy.password or None,
        loop=asyncio.get_running_loop(),
    )
    try:
        return await tunnel.connect(host, port)
    except (ProxyConnectionError, ProxyTimeoutError) as error:
        raise ProxyFailed(f"the proxy {proxy.shown} does not answer", is_absent=True) from error
    except ProxyError as error:
        words = str(error).lower()
        raise _refusal(
            proxy,
            is_login="auth" in words or "password" in words,
            is_answer=error.error_code is not None,
        ) from error


async def _by_connect(proxy: Proxy, host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    tunnel = socket.socket(family, kind, protocol)
    try:
        tunnel.setblocking(False)
        await loop.sock_connect(tunnel, address)
        await loop.sock_sendall(tunnel, _connect_request(proxy, host, port))
        _check(proxy, _status(await _answer(tunnel)))
    except BaseException:
        tunnel.close()
        raise
    return tunnel


def _connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user or proxy.password:
        login = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {login}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _answer(tunnel: socket.socket) -> bytes:
    """Read the head of the proxy's answer, and nothing behind it: the peer speaks second."""
    loop = asyncio.get_running_loop()
    found = b""
    while _END not in found and len(found) < _LARGEST_ANSWER:
        part = await loop.sock_recv(tunnel, _LARGEST_ANSWER)
        if not part:
            raise EOFError
        found += part
    return found


def _status(answer: bytes) -> int | None:
    """Return the status of an answer, None when it is not HTTP."""
    words = answer.partition(b"\r\n")[0].split(b" ", 2)
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return int(words[1]) if is_http and answer.endswith(_END) else None


def _check(proxy: Proxy, status: int | None) -> None:
    if status is None or status not in _OK:
        is_login = status == _NEEDS_LOGIN
        raise _refusal(proxy, is_login=is_login, is_answer=status is not None)


def _refusal(proxy: Proxy, *, is_login: bool, is_answer: bool) -> ProxyFailed:
    if is_login:
        reason = f"the proxy {proxy.shown} refuses its user and password"
        return ProxyFailed(reason, is_absent=True)
    if not is_answer:
        return ProxyFailed(f"what answers at {proxy.shown} is no such proxy", is_absent=True)
    return ProxyFailed(f"the proxy {proxy.shown} does not reach the broker", is_absent=False)
