"""What strangers get from the web server, and what the log keeps of it (product.md G4)."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from core.errors import ConfigurationError, LoginFault
from tests.fakes.clock import ManualClock
from tests.fakes.web_world import LINK, NONCE, FakeLogins, running
from webhooks.app import build_app, serve
from webhooks.guard import RateLimit, SlidingWindow

CALLBACK = "/broker/callback/zerodha"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes and return everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 150)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.row("G4")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/favicon.ico"),
        ("GET", "/.env"),
        ("GET", "/admin"),
        ("GET", "/healthz/x"),
        ("GET", "/postback/zerodha"),
        ("POST", CALLBACK),
        ("HEAD", CALLBACK),
        ("OPTIONS", f"/login/{LINK}"),
        ("DELETE", f"/login/{LINK}"),
        ("PUT", "/healthz"),
        ("GET", "/broker/callback/paper"),
        ("POST", "/postback/paper"),
    ],
)
async def test_strangers_get_nothing_useful(method: str, path: str) -> None:
    """What is no route of ours, or the wrong method, is one and the same bare 404."""
    async with running() as world:
        answer = await world.http.request(method, path)
    assert answer.status_code == 404
    assert answer.text == ("" if method == "HEAD" else "Not Found")
    assert "Allow" not in answer.headers


@pytest.mark.row("G4")
@pytest.mark.parametrize(
    "path", ["/", f"/login/{LINK}", "/login/none-such-link-012345", CALLBACK, "/healthz"]
)
async def test_every_answer_has_the_headers(path: str) -> None:
    """Pages, refusals and errors alike: not stored, not framed, not sniffed, no server named."""
    async with running() as world:
        answer = await world.http.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


@pytest.mark.row("G4")
@pytest.mark.invariant("I12")
@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /" + b"codecanary" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"codecanary\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad codecanary header\r\n\r\n",
        b"\x16\x03\x01codecanary\r\n\r\n",
    ],
    ids=["long", "no http", "bad header", "tls"],
)
async def test_what_is_no_http_is_neither_echoed_nor_logged(
    request_line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Garbage is answered with a bare status; no byte of it reaches the answer or the log."""
    caplog.set_level("DEBUG")
    async with running() as world:
        answer = await raw(world.port, request_line)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"aiohttp" not in answer and b"Python" not in answer and b"codecanary" not in answer
    lines = [f"{one.getMessage()} {one.exc_info}" for one in caplog.records]
    assert [line for line in lines if "codecanary" in line] == []


@pytest.mark.row("G2", "G4")
@pytest.mark.invariant("I12")
async def test_log_holds_routes_only(caplog: pytest.LogCaptureFixture) -> None:
    """The access log names routes: no link, nonce, code, mistyped path or query."""
    caplog.set_level("DEBUG")
    async with running() as world:
        await world.http.get(f"/login/{LINK}")
        await world.http.post(f"/login/{LINK}")
        await world.http.get(f"/login/{LINK}/mistyped")
        await world.http.get(CALLBACK, params={"nonce": NONCE, "request_token": "codecanary"})
        world.logins.fault = LoginFault.WRONG_SECRET
        await world.http.get(CALLBACK, params={"nonce": NONCE, "request_token": "codecanary"})
    ours = [one.getMessage() for one in caplog.records if one.name.startswith(("web", "aioh"))]
    text = "\n".join(ours)
    for line in (
        "GET /login/{link} 200",
        "POST /login/{link} 303",
        "GET (no route) 404",
        f"GET {CALLBACK} 200",
        f"GET {CALLBACK} 502",
    ):
        assert line in text
    for canary in (LINK, NONCE, "codecanary"):
        assert canary not in text


@pytest.mark.row("G4")
async def test_bug_is_answered_bare_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error reaches the log with its traceback and the browser with nothing."""
    async with running(FakeLogins(trouble=RuntimeError("inner words"))) as world:
        answer = await world.http.get(f"/login/{LINK}")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert "inner words" in caplog.text and LINK not in caplog.text


@pytest.mark.row("G4")
async def test_large_body_is_refused() -> None:
    """A body over 64 KiB is refused wherever one is read."""
    async with running() as world:
        for path in ("/postback/zerodha", "/postback/fyers"):
            answer = await world.http.post(path, content=b"x" * (64 * 1024 + 1))
            assert answer.status_code == 413


@pytest.mark.row("G4")
async def test_rate_of_one_address() -> None:
    """An address over its rate waits until its window has moved on; postbacks do not count."""
    async with running(rate=RateLimit(requests=3, window_s=10)) as world:
        codes = [(await world.http.get("/healthz")).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert (await world.http.post("/postback/fyers", json={})).status_code == 200
        await world.clock.advance(10)
        assert (await world.http.get("/healthz")).status_code == 200


@pytest.mark.row("G4")
async def test_rate_behind_a_reverse_proxy() -> None:
    """Behind a proxy on this machine the address is the one it names last; what is no address is not."""
    async with running(rate=RateLimit(requests=1, window_s=10)) as world:
        for named, expected in (
            ("203.0.113.1", 200),
            ("203.0.113.1", 429),
            ("198.51.100.9, 203.0.113.1", 429),
            ("203.0.113.2", 200),
            ("nonsense", 200),
            ("other nonsense", 429),
        ):
            answer = await world.http.get("/healthz", headers={"X-Forwarded-For": named})
            assert (named, answer.status_code) == (named, expected)


@pytest.mark.row("G4")
def test_window_forgets_addresses() -> None:
    """However many addresses come, only so many are remembered."""
    window = SlidingWindow(RateLimit(requests=1, addresses=10), ManualClock())
    for number in range(1000):
        assert window.admits(str(number))
    assert len(window._seen) == 10
    assert not window.admits("999")


@pytest.mark.row("G4")
async def test_health_is_one_word() -> None:
    """A monitor learns whether all is well, and nobody learns more."""
    async with running() as world:
        well = await world.http.get("/healthz")
        world.logins.trouble = RuntimeError("x")
        ill = await world.http.get("/healthz")
    assert (well.status_code, well.text) == (200, "ok")
    assert (ill.status_code, ill.text) == (503, "unavailable")


@pytest.mark.row("F4")
@pytest.mark.parametrize("listen", ["", "8443", "host:", ":1", "host:x", "host:70000"])
def test_listen_setting_is_checked(listen: str) -> None:
    """A wrong address stops the start with the setting's name and what is expected."""
    with pytest.raises(ConfigurationError, match="SAARTHI_LISTEN"):
        serve(web.Application(), listen)


async def test_port_that_is_taken() -> None:
    """A port that another program holds is named."""
    async with running() as world:
        server = serve(build_app(world.parts), f"127.0.0.1:{world.port}")
        with pytest.raises(ConfigurationError, match=str(world.port)):
            await server.start()
