"""Attacks on the web server that failed when they were tried, so that they go on failing (G4)."""

from __future__ import annotations

import asyncio
import re

import pytest

from core.errors import LoginFault
from tests.fakes.web_world import LINK, NONCE, FakeLogins, WebWorld, running

pytestmark = pytest.mark.row("G4")

CALLBACK = "/broker/callback/zerodha"
EVIL = "evil.example"
BROKER = b"Location: https://broker.example/login"


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes, and return everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 150)
    writer.close()
    await writer.wait_closed()
    return answer


def http(line: str, *headers: str, body: bytes = b"") -> bytes:
    """Return a request that ends its connection."""
    lines = [f"{line} HTTP/1.1", "Host: saarthi.example", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


PATHS = [
    "/../../../../etc/passwd",
    "/login/../../etc/passwd",
    "/login/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..;/admin",
    "/login/%2e%2e/healthz",
    f"//{EVIL}/login/{LINK}",
    f"/login/{LINK}%00",
    f"/login/{LINK}%0d%0aSet-Cookie:x=1",
    f"/login/{LINK}/",
    f"/login/{LINK}%2f..",
    "/login/" + "A" * 65,
    "/login/%ff%fe%fd%fc%fb%fa%f9%f8%f7%f6%f5%f4%f3%f2%f1%f0",
    "/login/[$ne]=aaaaaaaaaaaaaaaaaaaa",
    '/login/{"$gt":""}aaaaaaaaaaaaaaaa',
    "/webhooks/pages/login.html",
    "/secret.key",
    "/store.json",
    "/.git/config",
    "/static/../secret.key",
    "/healthz/../../secret.key",
    "/postback/zerodha/../../login/x",
    "/broker/callback/../callback/zerodha",
    "/broker/callback/__proto__",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_path_leads_anywhere_else(method: str) -> None:
    """Dots, encodings, null bytes, other files, operators of the store: a bare 404, nothing done."""
    async with running() as world:
        for path in PATHS:
            answer = await raw(world.port, http(f"{method} {path}"))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.split(b" ")[1] in {b"404", b"400"}, path
            assert body in {b"Not Found", b"Bad Request"}, path
            assert b"Set-Cookie" not in head and b"Location" not in head, path
        assert world.logins.started == 0 and world.logins.callbacks == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PATCH", "G\u00cbT", "get"])
async def test_other_methods_are_nothing(method: str) -> None:
    """No method of HTTP but GET and POST does anything, and TRACE echoes nothing."""
    async with running() as world:
        target = f"/login/{LINK}" if method != "CONNECT" else "saarthi.example:443"
        answer = await raw(world.port, http(f"{method} {target}", "X-Canary: canary0001"))
    assert b" 200 " not in answer[:20] and b"canary0001" not in answer
    assert world.logins.started == 0


FORGED = [
    ("Host: evil.example",),
    ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http"),
    ("Forwarded: host=evil.example;proto=http",),
    ("X-Original-URL: /healthz", "X-Rewrite-URL: /healthz"),
    ("Referer: https://evil.example/", "Origin: https://evil.example"),
    ("Origin: null", "Cookie: session=1; admin=true"),
    ("X-HTTP-Method-Override: DELETE",),
]


@pytest.mark.parametrize("headers", FORGED, ids=str)
async def test_headers_of_a_client_change_no_address(headers: tuple[str, ...]) -> None:
    """Where a login leads is in the settings; no page names a host that a client sent."""
    lines = [one for one in headers if not one.startswith("Host")]
    async with running() as world:
        shown = await raw(world.port, http(f"GET /login/{LINK}", *lines))
        if len(lines) < len(headers):
            request = http(f"GET /login/{LINK}").replace(b"saarthi.example", EVIL.encode())
            shown = await raw(world.port, request)
        started = await raw(world.port, http(f"POST /login/{LINK}", *lines))
    for answer in (shown, started):
        assert EVIL.encode() not in answer
        for header in (b"Set-Cookie", b"Access-Control-Allow"):
            assert header not in answer
    assert b"200 OK" in shown and BROKER in started


@pytest.mark.parametrize("name", ["next", "redirect", "redirect_url", "return", "url", "continue"])
async def test_nobody_is_sent_where_a_query_says(name: str) -> None:
    """There is no open redirect: not from the page, its form, nor from a callback of any end."""
    query = f"{name}=https://{EVIL}/&{name}=//{EVIL}"
    form = f"{name}=https://{EVIL}/".encode()
    async with running(FakeLogins(fault=LoginFault.DENIED)) as world:
        answers = [
            await raw(world.port, http(f"GET /login/{LINK}?{query}")),
            await raw(world.port, http(f"POST /login/{LINK}?{query}", body=form)),
            await raw(world.port, http(f"GET {CALLBACK}?nonce={NONCE}&{name}=https://{EVIL}/")),
        ]
    assert not any(EVIL.encode() in one for one in answers)
    assert BROKER in answers[1]


QUERIES = [
    "nonce[$ne]=&request_token[$gt]=",
    "nonce[]=a&request_token[]=b",
    "nonce=%7B%22%24gt%22%3A%22%22%7D&request_token=a",
    "nonce=a&nonce=b&request_token=c",
    "request_token=a%00b&nonce=c",
    "request_token=a%0d%0aSet-Cookie:%20x=1&nonce=c",
    "request_token=" + "A" * 5000,
    "&".join(f"p{number}=1" for number in range(500)),
    "nonce=%c0%ae%c0%ae&request_token=x",
    "nonce=%3Cscript%3Ealert(1)%3C/script%3E&status=error&message=%3Cimg%20src=x%20onerror=1%3E",
    "status=error&message=" + "%F0%9F%98%80" * 300,
    "%24where=sleep(5000)",
    "",
]


async def test_a_callback_takes_plain_text_alone() -> None:
    """What reaches the login service is text under text, once each; the rest is refused before."""
    async with running(FakeLogins(fault=LoginFault.NONCE_UNKNOWN)) as world:
        for query in QUERIES:
            answer = await raw(world.port, http(f"GET {CALLBACK}?{query}"))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert int(head.split(b" ")[1]) in {400, 404}, query
            assert b"Set-Cookie" not in head and b"x=1" not in head, query
            assert b"<script" not in body and b"onerror" not in body, query
    for given in world.logins.callbacks:
        assert {type(value) for value in given.values()} == {str}
        assert all(value.isprintable() and len(value) <= 4096 for value in given.values())


AHEAD = [
    "Sec-Purpose: prefetch",
    "Sec-Purpose: Prefetch;prerender",
    "Purpose: prefetch",
    "X-Purpose: preview",
    "X-Moz: prefetch",
]


@pytest.mark.parametrize("header", AHEAD)
async def test_a_browser_that_looks_ahead_spends_no_login(header: str) -> None:
    """Old browsers say it in other words; the nonce waits for whoever opens the page."""
    request = http(f"GET {CALLBACK}?nonce={NONCE}&request_token=x", header)
    async with running() as world:
        answer = await raw(world.port, request)
    assert answer.startswith(b"HTTP/1.1 503") and world.logins.callbacks == []


_POST = b"POST /login/%s HTTP/1.1\r\nHost: a\r\n"
_GET = b"GET /login/%s HTTP/1.1\r\n"
_SECOND = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SMUGGLED = [
    _POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: 0\r\nContent-Length: 30\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: +5\r\n\r\nhello",
    _POST + b"Content-Length: -1\r\n\r\n",
    _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    _GET + b"Host : a\r\n\r\n",
    b"GET /login/%s HTTP/9.9\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("request_", SMUGGLED, ids=lambda one: str(one[34:70]))
async def test_one_request_is_not_taken_for_two(request_: bytes) -> None:
    """A proxy and the server must not differ on where a request ends: such ones are refused."""
    async with running() as world:
        answer = await raw(world.port, request_ % LINK.encode())
    statuses = re.findall(rb"^HTTP/1\.[01] (\d+)", answer, re.MULTILINE)
    assert statuses == [b"400"], answer[:200]
    assert world.logins.started == 0


async def test_large_requests_are_refused() -> None:
    """A line, a header, many headers, a body: each has a bound, and the answer is bare."""
    requests = [
        http("GET /login/" + "A" * 9000),
        http(f"GET /login/{LINK}", "X-Long: " + "A" * 9000),
        http(f"GET /login/{LINK}", *(f"X-{number}: {'A' * 100}" for number in range(4000))),
        http("POST /postback/zerodha", body=b"A" * 70_000),
    ]
    async with running() as world:
        for request in requests:
            answer = await raw(world.port, request)
            assert answer[9:12] in {b"400", b"404", b"413", b"431", b""}, answer[:60]
            assert b"AAAA" not in answer
        assert b" 200 " in (await raw(world.port, http("GET /healthz")))[:20]


async def test_a_form_on_another_site_can_do_nothing_with_a_guess() -> None:
    """The address of the page is the secret (CSRF): no cookie stands for it, and a guess is a 404."""
    async with running() as world:
        for guess in (LINK[:-1] + "X", "A" * 33, LINK.upper()):
            answer = await raw(world.port, http(f"POST /login/{guess}", "Cookie: a=b"))
            assert answer.startswith(b"HTTP/1.1 404")
        assert await _cookies(world) == []
    assert world.logins.started == 0


async def _cookies(world: WebWorld) -> list[str]:
    found = [await world.http.get(path) for path in (f"/login/{LINK}", "/healthz", CALLBACK)]
    return [value for one in found for value in one.headers.get_list("set-cookie")]
