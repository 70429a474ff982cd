"""What the pages of a login say, and what they never hold."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from http import HTTPStatus

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile
from core.errors import LoginFault, StoreUnavailable, VaultError
from tests.fakes.web_world import LINK, NONCE, FakeLogins, account, running

CALLBACK = "/broker/callback/zerodha"
QUERY = {"nonce": NONCE, "request_token": "codecanary"}

TITLES = {
    LoginFault.DENIED: "The login was not allowed",
    LoginFault.NONCE_EXPIRED: "That took longer than ten minutes",
    LoginFault.NONCE_USED: "This login was already used",
    LoginFault.NONCE_UNKNOWN: "This login was not started here",
    LoginFault.ACCOUNT_UNKNOWN: "The account is not connected any more",
    LoginFault.CODE_USED: "Zerodha did not take the code",
    LoginFault.WRONG_SECRET: "The API secret is wrong",
    LoginFault.OTHER_USER: "That was another user",
    LoginFault.NOT_ADMITTED: "This user may not use the app",
    LoginFault.BROKER_DOWN: "Zerodha does not answer",
    LoginFault.MALFORMED: "Something is missing in the answer",
    LoginFault.NOT_SAVED: "The login could not be saved",
    LoginFault.KEY_UNKNOWN: "Zerodha does not know the API key",
    LoginFault.SECRET_UNREADABLE: "Saarthi cannot read the API secret",
}


class Outline(HTMLParser):
    """The tags of a page, in order; fails on one that is never closed."""

    VOID = frozenset({"meta", "link", "path", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in {"href", "src", "action"}]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag


@pytest.mark.row("B3")
@pytest.mark.parametrize("fault", list(LoginFault))
async def test_each_fault_has_its_own_page(fault: LoginFault) -> None:
    """Every failure has a title, a status that is no success, a way on, and shows no secret."""
    async with running(FakeLogins(fault=fault, detail="the broker said no")) as world:
        answer = await world.http.get(CALLBACK, params=QUERY)
    outline = Outline(answer.text)
    assert answer.status_code >= 400
    assert f"<h1>{TITLES[fault]}</h1>" in answer.text
    assert "What to do" in answer.text
    # Who logged in instead is known from a profile; other words may be those of whoever came.
    assert ("broker said no" in answer.text) == (fault is LoginFault.OTHER_USER)
    assert outline.links == ["data:,", f"/login/{LINK}"]
    assert outline.tags.count("h1") == 1 and "script" not in outline.tags
    assert "codecanary" not in answer.text and NONCE not in answer.text
    assert "{" not in answer.text.partition("</style>")[2]


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    ("broker", "where"),
    [(ZERODHA, "kite.zerodha.com"), (FYERS, "fyers.in")],
)
async def test_other_user_page_says_how_to_log_out(broker: BrokerProfile, where: str) -> None:
    """Whose cookie chose for the user is said, and where to log out there."""
    logins = FakeLogins(account(broker), LoginFault.OTHER_USER, "CD5678 logged in")
    query = QUERY | {broker.callback.nonce: NONCE}
    async with running(logins) as world:
        answer = await world.http.get(broker.callback_path, params=query)
    assert answer.status_code == 403
    for words in (where, "ogout", "log in as AB1234", "cookie of an earlier login in this browser"):
        assert words in answer.text


@pytest.mark.row("B3")
async def test_stranger_gets_no_name_and_no_link() -> None:
    """Who brings no nonce of ours learns no account and no login link."""
    async with running(FakeLogins(fault=LoginFault.NONCE_UNKNOWN)) as world:
        answer = await world.http.get(CALLBACK, params=QUERY | {"nonce": "guess"})
    assert answer.status_code == 404
    for words in ("Main", "AB1234", LINK):
        assert words not in answer.text


@pytest.mark.row("B2")
async def test_connected_page() -> None:
    """Success names the account and the user, and leads back to the chat."""
    async with running(chat_url="https://t.me/example_bot") as world:
        answer = await world.http.get(CALLBACK, params=QUERY)
    assert answer.status_code == 200
    assert "Zerodha - Main is connected. Go back to Telegram." in answer.text
    assert "Asha Bhat (AB1234)" in answer.text
    assert Outline(answer.text).links == ["data:,", "https://t.me/example_bot"]


@pytest.mark.row("B2", "B3")
async def test_reload_of_a_done_login_is_friendly() -> None:
    """A page that is loaded again says so and shows that the account is connected."""
    async with running(FakeLogins(fault=LoginFault.NONCE_USED, is_done=True)) as world:
        answer = await world.http.get(CALLBACK, params=QUERY)
    assert answer.status_code == 409
    assert "Zerodha - Main is connected" in answer.text and "already used" in answer.text


@pytest.mark.row("B1")
@pytest.mark.parametrize("user_id", ["AB1234", None])
async def test_login_page(user_id: str | None) -> None:
    """The page names account and user, and has one button, which posts to the page itself."""
    async with running(FakeLogins(account(user_id=user_id))) as world:
        answer = await world.http.get(f"/login/{LINK}")
        head = await world.http.head(f"/login/{LINK}")
        assert world.logins.started == 0
        gone = await world.http.post(f"/login/{LINK}")
    outline = Outline(answer.text)
    assert (answer.status_code, head.status_code, gone.status_code) == (200, 200, 303)
    assert gone.headers["Location"].startswith("https://broker.example/")
    assert "<dd>Zerodha - Main</dd>" in answer.text
    assert f"<dd>{user_id or 'not known yet'}</dd>" in answer.text
    assert (outline.tags.count("form"), outline.tags.count("button")) == (1, 1)
    assert '<form method="post">' in answer.text
    assert "Continue to Zerodha" in answer.text


async def test_names_are_escaped() -> None:
    """A display name, a user's name and a broker's words cannot bring markup into a page."""
    evil = '<script>alert("x")</script>&$title{0}'
    named = account(display_name=evil, user_name=evil, user_id=evil)
    async with running(FakeLogins(named)) as world:
        pages = [
            await world.http.get(f"/login/{LINK}"),
            await world.http.get(CALLBACK, params=QUERY),
        ]
        for fault in LoginFault:
            world.logins.fault, world.logins.detail = fault, evil
            pages.append(await world.http.get(CALLBACK, params=QUERY))
    for page in pages:
        assert "script" not in Outline(page.text).tags
        assert "<script" not in page.text
        assert page.status_code != HTTPStatus.INTERNAL_SERVER_ERROR


@pytest.mark.row("B1")
async def test_link_that_has_ended() -> None:
    """A link of the right form that stands for nothing (any more) says so; others are not there."""
    async with running() as world:
        for answer in (
            await world.http.get("/login/some-other-link-0123456789"),
            await world.http.post("/login/some-other-link-0123456789"),
        ):
            assert answer.status_code == 404 and "has ended" in answer.text
        for path in ("/login/short", "/login/", "/login", f"/login/{LINK}/x", "/login/a%2Fb" * 9):
            answer = await world.http.get(path)
            assert (answer.status_code, answer.text) == (404, "Not Found")


@pytest.mark.row("B1")
@pytest.mark.parametrize("trouble", [StoreUnavailable("mongodb://x"), VaultError("key 1")])
async def test_trouble_of_our_own_has_a_page(trouble: Exception) -> None:
    """When no login can be started the page says so, and keeps the reason to itself."""
    async with running(FakeLogins(trouble=trouble)) as world:
        answer = await world.http.post(f"/login/{LINK}")
    assert answer.status_code == 503
    assert "cannot do this now" in answer.text and str(trouble) not in answer.text


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    "query",
    ["", "nonce=a&nonce=b&request_token=c", "nonce=" + "a" * 5000, "nonce=%00&request_token=b"],
)
async def test_query_that_no_broker_sends(query: str) -> None:
    """An empty, ambiguous, oversized or binary query never reaches the logins."""
    async with running() as world:
        answer = await world.http.get(f"{CALLBACK}?{query}")
        assert world.logins.callbacks == []
    assert answer.status_code == 400
    assert "Something is missing" in answer.text


async def test_policy_admits_exactly_the_style_of_the_page() -> None:
    """The page's one style is the one whose hash the policy names; nothing else may load."""
    async with running() as world:
        answer = await world.http.get(f"/login/{LINK}")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
    assert "style=" not in answer.text


@pytest.mark.row("B11")
async def test_holder_without_the_chat_is_not_sent_to_it() -> None:
    """A login at a link that was given away ends there; opened again, nothing is to be done."""
    logins = FakeLogins(is_shared=True)
    async with running(logins, chat_url="https://t.me/example_bot") as world:
        before = await world.http.get(f"/login/{LINK}")
        done = await world.http.get(CALLBACK, params=QUERY)
        after = await world.http.get(f"/login/{LINK}")
    assert "Continue to Zerodha" in before.text
    for answer in (done, after):
        assert answer.status_code == 200
        assert "Zerodha - Main is connected. You can close this page." in answer.text
        assert "t.me" not in answer.text
    assert "There is nothing to do." in after.text
    assert "<form" not in after.text


@pytest.mark.row("B11")
@pytest.mark.parametrize("fault", list(LoginFault))
async def test_holder_is_told_only_what_a_holder_can_do(fault: LoginFault) -> None:
    """No chat, no command, no way into it; and the page says what is left to do."""
    async with running(
        FakeLogins(fault=fault, is_shared=True), chat_url="https://t.me/example_bot"
    ) as world:
        answer = await world.http.get(CALLBACK, params=QUERY)
    page = answer.text.partition("<main>")[2]
    if fault not in {LoginFault.NONCE_UNKNOWN, LoginFault.MALFORMED, LoginFault.ACCOUNT_UNKNOWN}:
        assert "Telegram" not in page  # of these three nobody can know who reads
    assert "/brokers" not in page and "/health" not in page and "t.me" not in page
    assert "What to do" in page


@pytest.mark.row("B11")
async def test_holder_is_told_before_the_broker_s_page_too() -> None:
    """Only the user of the chat can send another key."""
    async with running(FakeLogins(unknown_key=True, is_shared=True)) as world:
        answer = await world.http.post(f"/login/{LINK}", follow_redirects=False)
    assert "Tell the person who sent you the link what this page says." in answer.text
    assert "Telegram" not in answer.text.partition("<main>")[2]


@pytest.mark.row("B11")
async def test_where_nobody_knows_who_reads_the_words_fit_both() -> None:
    """A link that has ended, and a store that is away."""
    async with running(FakeLogins()) as world:
        ended = await world.http.get("/login/nobodyslink-0123456789abcdefghij")
    assert "If somebody sent you the link, ask them for a new one." in ended.text
    assert "Otherwise look in Telegram" in ended.text
    async with running(FakeLogins(trouble=StoreUnavailable("away"))) as world:
        away = await world.http.get(f"/login/{LINK}")
    assert "tell the person who sent you the link, or look at /health" in away.text


@pytest.mark.row("B3")
async def test_unknown_key_is_said_before_the_broker_s_page() -> None:
    """The page names the console and leads back to the link; nobody is redirected."""
    logins = FakeLogins(unknown_key=True)
    async with running(logins) as world:
        answer = await world.http.post(f"/login/{LINK}", follow_redirects=False)
    assert answer.status_code == 502
    assert "Zerodha does not know the API key" in answer.text
    assert "developers.kite.trade" in answer.text
    assert Outline(answer.text).links == ["data:,", f"/login/{LINK}"]
