"""Small parts: button data, parameters, flood limits, login buttons, the registry's tables."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram.error import RetryAfter

import bot.handlers
import bot.views
from bot.conversation.login_buttons import LoginButtons
from bot.edge.limiter import AT_ONCE, ChatLimiter
from bot.parameters import BotParameters
from bot.registry import ACTIONS, COMMANDS
from bot.views.callbacks import LIMIT_BYTES, Tap, encode, handle, noticed, parse, resolve
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.errors import ConfigurationError, NotFound
from tests.fakes.bot_engine import BotEngine
from tests.fakes.clock import ManualClock
from tests.fakes.views import an_account

OF_THE_FIRST_VERSION = {
    "DASHBOARD": "dash",
    "ACCOUNTS": "brokers",
    "ACCOUNT": "acc",
    "MODES": "mode",
    "DRAIN_VIEW": "drain",
    "STRATEGIES": "strats",
    "STRATEGY": "strat",
    "PARAMETERS": "pars",
    "ASSIGNMENT": "asg",
    "POSITIONS": "posn",
    "ORDERS": "ords",
    "TRADES": "trds",
    "PNL": "pnl",
    "HEALTH": "health",
    "SETTINGS": "sets",
    "HELP": "help",
    "SHARE_LOGIN": "share",
    "ADDRESS": "addr",
    "ADDRESS_CHECK": "ad_chk",
    "LOGIN": "login",
    "ADD_ACCOUNT": "add",
    "WIZARD_STEP": "wiz",
    "DROP_QUESTION": "drop",
    "ASK_NAME": "ren",
    "ASK_DISCONNECT": "disc",
    "ASK_RENEWAL": "renew",
    "KEEP_KEY": "keepkey",
    "ASK_ROUTE": "ad_rt",
    "TYPE_ROUTE": "ad_type",
    "ASK_REGISTERED": "ad_reg",
    "ASK_SHARING": "ad_why",
    "ASK_MODE": "ask_mode",
    "ASK_RUN": "ask_run",
    "ASK_CANCEL_ALL": "ask_cxall",
    "ASK_PARAMETER": "par",
    "ASK_SIZE": "a_size",
    "ASK_SETTING": "set",
    "ASK_CLOSE": "pos",
    "ASK_CANCEL_ORDER": "ord",
    "ASK_RESOLVE": "unres",
    "ASK_BROKER": "ask_brk",
    "ASK_BELIEVE": "ask_bel",
    "ASK_PANIC": "ask_pn",
    "PANIC_PICK": "pn_pick",
    "ASK_STOP_PANIC": "ask_pnx",
    "ENABLE_ACCOUNT": "on",
    "DISABLE_ACCOUNT": "off",
    "SET_DEFAULT": "def",
    "ENABLE_STRATEGY": "s_on",
    "DISABLE_STRATEGY": "s_off",
    "ENABLE_ASSIGNMENT": "a_on",
    "DISABLE_ASSIGNMENT": "a_off",
    "PICK_PARAMETER": "par_pick",
    "PICK_SETTING": "set_pick",
    "SET_PRODUCT": "a_prod",
    "DISMISS_WARNING": "nowarn",
    "MAKE_LINK": "lnk_new",
    "REVOKE_LINK": "lnk_rev",
    "SET_ROUTE": "ad_set",
    "SET_SHARING": "ad_rel",
    "RESTORE_STOP": "stop_on",
    "DISABLE_WITH_POLICY": "dis",
    "DISCONNECT": "discok",
    "SET_REGISTERED": "ad_regok",
    "CHANGE_MODE": "mode_ok",
    "CLOSE_POSITION": "close",
    "CANCEL_ORDER": "cx",
    "CANCEL_ALL": "cxall",
    "RESOLVE_ORDER": "res",
    "BELIEVE_POSITIONS": "bel",
    "RUN_NOW": "run",
    "SET_PARAMETER": "par_ok",
    "GUARDS": "rg_all",
    "GUARD": "guard",
    "GUARD_PART": "gd_part",
    "TYPE_GUARD": "gd_type",
    "ASK_GUARD": "gd_ask",
    "ASK_GUARD_LOCK": "gd_lock",
    "LOOSEN_GUARD": "gd_loose",
    "KEEP_GUARD": "gd_keep",
    "SET_GUARD": "gd_set",
    "LOCK_GUARD": "gd_lockok",
    "PANIC": "panic",
    "STOP_PANIC": "pnx",
    "LIMITS": "lims",
    "LIMIT": "limit",
    "LIMIT_CHANGES": "lim_log",
    "ASK_LIMIT": "ask_lim",
    "ASK_NO_LIMIT": "ask_nolim",
    "SET_LIMIT": "lim_ok",
    "REMOVE_LIMIT": "nolim_ok",
    "ASK_ROUND_TRIP": "ask_trip",
    "ROUND_TRIP": "trip_ok",
    "OWNERS": "owners",
    "ASK_REMOVE_OWNER": "ask_own",
    "REMOVE_OWNER": "own_off",
    "ASK_PAPER_MONEY": "ask_ppr",
    "SET_PAPER_MONEY": "ppr",
}
PARTS = st.text(st.characters(exclude_characters=":", codec="utf-8"))


@given(st.lists(PARTS, max_size=4))
def test_button_data_is_read_back_or_refused(arguments: list[str]):
    """Whatever fits in 64 bytes comes back as it was; more is a mistake of ours, never sent."""
    try:
        data = encode(Verb.ORDERS, *arguments)
    except ValueError:
        assert len(":".join(["v1", "ords", *arguments]).encode()) > LIMIT_BYTES
        return
    assert parse(data) == Tap(Verb.ORDERS, tuple(arguments))
    on_notice = noticed(data)
    assert parse(on_notice) == Tap(Verb.ORDERS, tuple(arguments), is_on_notice=True)
    assert len(on_notice) == len(data) and noticed(on_notice) == on_notice


@pytest.mark.parametrize("data", [None, "", "v1", "v1:", "v2:dash", "dash:v1", ":", "v1:of_old"])
def test_foreign_button_data_is_no_tap(data: str | None):
    """Another version's or nobody's data is not guessed at, nor is a verb that is not served."""
    assert parse(data) is None


def test_a_separator_in_an_argument_is_refused():
    """It would be read back as two."""
    with pytest.raises(ValueError, match="separator"):
        encode(Verb.DASHBOARD, "a:b")


def test_handles_find_names_and_only_those():
    """A long name travels as eight characters and is found again among what exists."""
    name = "a_strategy_with_quite_a_long_name|NFO:NIFTY26NOV24500CE|NRML"
    assert len(handle(name)) == 8
    assert resolve(handle(name), ["x", name], "strategy") == name
    with pytest.raises(NotFound, match="strategy"):
        resolve(handle("gone"), ["x", name], "strategy")


def test_every_verb_has_its_action_and_its_button():
    """The registry serves each verb, and none is declared that no button carries."""
    assert set(ACTIONS) == set(Verb)
    root = Path(bot.views.__file__).parents[1]
    paths = [path for path in root.rglob("*.py") if path.name != "registry.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    made = {name for tree in trees for node in ast.walk(tree) for name in _verbs(node)}
    assert made == {verb.name for verb in Verb}


def _verbs(node: ast.AST) -> list[str]:
    """Return the name of the verb where a node stands for a member of ``Verb`` in the source."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return [node.attr] if node.value.id == "Verb" else []
    return []


def test_buttons_of_earlier_versions_still_work():
    """A verb that a button in some chat carries keeps its bytes and its meaning."""
    assert {verb.name: verb.value for verb in Verb}.items() >= OF_THE_FIRST_VERSION.items()


@pytest.mark.row("G3")
def test_what_changes_something_for_good_needs_a_nonce():
    """The verbs that trade, change a mode or wipe secrets carry one."""
    assert {verb for verb, action in ACTIONS.items() if action.has_nonce} == {
        "dis",
        "discok",
        "ad_regok",
        "mode_ok",
        "lim_ok",
        "nolim_ok",
        "trip_ok",
        "close",
        "cx",
        "cxall",
        "res",
        "bel",
        "run",
        "par_ok",
        "gd_set",
        "gd_lockok",
        "panic",
        "pnx",
        "own_off",
    }
    homes = {f"/{one.name}" for one in COMMANDS}
    assert {action.home for action in ACTIONS.values()} <= homes


@pytest.mark.parametrize("token", ["", "abc", "123", "x:y", "12:"])
def test_a_malformed_token_stops_the_start_without_being_repeated(token: str):
    """The setting is named; the value is not."""
    with pytest.raises(ConfigurationError, match="SAARTHI_TELEGRAM_TOKEN") as caught:
        BotParameters(token)
    assert not token or token not in str(caught.value).replace("123456:ABC", "")


def test_the_parameters_never_show_the_token():
    """Neither as text nor in a traceback's representation."""
    parameters = BotParameters("123:secretpart")
    assert "secretpart" not in repr(parameters) and "secretpart" not in str(parameters)
    with pytest.raises(ConfigurationError, match="SAARTHI_TELEGRAM_API"):
        BotParameters("123:abc", api_root="ftp://x")


def test_the_redirect_url_follows_the_public_address():
    """What the guide shows is what the web server answers on."""
    public = BotParameters("1:a", public_url="https://x.example/")
    assert public.redirect_url(FYERS) == "https://x.example/broker/callback/fyers"
    none = BotParameters("1:a")
    assert none.redirect_url(FYERS) == "https://127.0.0.1/broker/callback/fyers"
    local = BotParameters("1:a", redirect_root="http://127.0.0.1:9000")
    assert local.redirect_url(ZERODHA) == "http://127.0.0.1:9000/broker/callback/zerodha"


@pytest.mark.row("B1", "B4")
@pytest.mark.parametrize(
    ("public_url", "is_link"),
    [("https://x.example", True), ("http://localhost:8443", False), (None, False)],
)
async def test_a_login_button_is_a_link_where_telegram_takes_it(
    public_url: str | None, is_link: bool
):
    """Our own page where there is one; else a tap that gives a fresh address."""
    engine = BotEngine(public_url=public_url)
    account = an_account()
    await engine.connect(account)
    logins = LoginButtons(engine.control.logins, BotParameters("1:a", public_url=public_url))
    made = await logins.button(account)
    assert (made.url is not None) is is_link
    assert is_link or made.callback_data == f"v1:login:{account.broker_id}"
    assert await engine.store.find("logins", {}) == [], (
        "rendering a button spends no broker address"
    )


class _Endpoint:
    """A Bot API method that refuses some calls."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.calls = 0

    async def __call__(self, *_: Any, **__: Any) -> bool:
        self.calls += 1
        if self.refusals:
            self.refusals -= 1
            raise RetryAfter(timedelta(seconds=10))
        return True


async def ask(limiter: ChatLimiter, endpoint: _Endpoint, chat: int | None, wish: str | None = None):
    data = {} if chat is None else {"chat_id": chat}
    return await limiter.process_request(endpoint, (), {}, "sendMessage", data, wish)


@pytest.mark.matrix("T02")
async def test_a_caller_who_cannot_wait_is_told_the_rest_of_the_wait():
    """The held chat's request does not reach Telegram; another chat's does."""
    clock = ManualClock()
    limiter = ChatLimiter(clock)
    endpoint = _Endpoint(1)
    with pytest.raises(RetryAfter):
        await ask(limiter, endpoint, 1, AT_ONCE)
    await clock.advance(4)
    with pytest.raises(RetryAfter) as held:
        await ask(limiter, endpoint, 1, AT_ONCE)
    assert held.value.retry_after == timedelta(seconds=6)
    assert endpoint.calls == 1
    assert await ask(limiter, endpoint, 2, AT_ONCE) is True
    await clock.advance(6)
    assert await ask(limiter, endpoint, 1, AT_ONCE) is True


async def test_a_request_without_a_chat_is_not_held():
    """Answers to taps have no chat: they go at once and are not repeated."""
    limiter = ChatLimiter(ManualClock())
    with pytest.raises(RetryAfter):
        await ask(limiter, _Endpoint(1), None)
    assert await ask(limiter, _Endpoint(0), None) is True
