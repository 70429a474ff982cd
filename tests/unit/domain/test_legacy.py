"""Documents of older programs of one account: what is found in them, and what is refused (A11)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.adapters.fyers.legacy import LEGACY
from core.domain.legacy import LegacyChoice, LegacyLogin, read_legacy
from core.domain.plain_text import plain_line
from core.domain.sessions import IST
from core.errors import UserError

pytestmark = pytest.mark.row("A11")

KEY, SECRET, TOKEN = "AB1CD2EF3G-100", "CANARYSECRET1", "canary-token-000000000001"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
MORNING = datetime(2026, 11, 23, 8, 41, tzinfo=IST)
Documents = Mapping[str, Sequence[Mapping[str, Any]]]


def read(documents: Documents, **more: Any) -> LegacyLogin:
    choice = LegacyChoice(more.pop("document", None), more.pop("fields", {}))
    variables = more.pop("variables", {})
    return read_legacy(documents, FYERS, LEGACY, choice=choice, variables=variables, now=NOW)


def jwt(**claims: object) -> str:
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256"}, claims)
    )
    return f"{head}.{body}.c2lnbmF0dXJl"


PLAIN: Mapping[str, Any] = {
    "_id": "fyers",
    "app_id": KEY,
    "secret_key": SECRET,
    "access_token": TOKEN,
}
SHAPES: Mapping[str, Documents] = {
    "one document": {"fyers_tokens": [{**PLAIN, "created_at": MORNING}]},
    "the SDK's names": {
        "tokens": [
            {
                "_id": 1,
                "client_id": KEY,
                "secret_key": SECRET,
                "accessToken": TOKEN,
                "refresh_token": "canary-refresh-token-1",
                "timestamp": MORNING.timestamp(),
            }
        ]
    },
    "the broker's name before each": {
        "config": [
            {
                "fyers_client_id": KEY.lower(),
                "fyers_secret_id": f" {SECRET}\n",
                "fyers_access_token": TOKEN,
                "fyers_token_generated_at": "2026-11-23T08:41:00",
            }
        ]
    },
    "nested": {
        "settings": [
            {"theme": "dark"},
            {
                "broker": "Fyers",
                "credentials": {"app_id": KEY, "secret_id": SECRET},
                "token": {"access_token": TOKEN, "generated_at": MORNING},
            },
        ]
    },
    "a row for each name": {
        "settings": [
            {"_id": 1, "key": "fyers_app_id", "value": KEY},
            {"_id": 2, "key": "fyers_secret_key", "value": SECRET},
            {"_id": 3, "key": "fyers_access_token", "value": TOKEN, "updated_at": MORNING},
            {"_id": 4, "key": "capital", "value": 100_000},
        ]
    },
    "a value under each id": {
        "config": [
            {"_id": "fyers", "value": {"app_id": KEY, "secret": SECRET, "token": TOKEN}},
            {"_id": "fyers_login", "value": {"login_at": "2026-11-23 08:41:00+05:30"}},
        ]
    },
    "a document each day": {
        "fyers_tokens": [
            {"date": "2026-11-20", **PLAIN, "access_token": "canary-token-of-friday-1"},
            {"date": "2026-11-23T08:41:00+05:30", **PLAIN},
            {"date": "2026-11-19", **PLAIN, "access_token": "canary-token-thursday-1"},
        ]
    },
    "app and token in one text": {
        "fyers_tokens": [
            {
                "secret_key": SECRET,
                "token": f"{KEY}:{TOKEN}",
                "createdAt": MORNING.timestamp() * 1e3,
            }
        ]
    },
    "the app's ending apart": {
        "fyers_tokens": [{**PLAIN, "app_id": "AB1CD2EF3G", "app_type": 100, "login_time": MORNING}]
    },
    "the app beside the user": {
        "fyers_tokens": [{**PLAIN, "client_id": "XA12345", "saved_at": MORNING}]
    },
    "beside the program's own secret": {
        "config": [
            {
                "SECRET_KEY": "canary-of-the-sessions-1",
                "app_id": "AB1CD2EF3G",
                "client_id": KEY,
                "FYERS_SECRET_KEY": SECRET,
                "ACCESS_TOKEN": TOKEN,
                "LOGIN_TIME": "23/11/2026 08:41:00",
            }
        ]
    },
    "the broker's answer as text": {
        "fyers_auth": [
            {
                "client_id": KEY,
                "secret_key": SECRET,
                "response": json.dumps({"s": "ok", "code": 200, "access_token": TOKEN}),
                "created_at": "23-11-2026 08:41",
            }
        ]
    },
    "credentials in a collection of their own": {
        "tokens": [
            {"broker": "zerodha", "access_token": "canary-token-of-another"},
            {"broker": "fyers", "access_token": TOKEN, "created_at": MORNING},
        ],
        "credentials": [
            {"broker": "zerodha", "api_key": "kite", "api_secret": "canary-of-another"},
            {"broker": "fyers", "api_key": KEY, "api_secret": SECRET},
        ],
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_plausible_shapes_are_read(shape: str) -> None:
    """Whatever the names, the nesting and the form of the time: app, secret, token, moment."""
    found = read(SHAPES[shape])
    assert (found.api_key, found.api_secret, found.access_token) == (KEY, SECRET, TOKEN)
    assert found.login_at == MORNING
    assert SECRET not in repr(found)
    assert TOKEN not in repr(found)


def test_key_and_secret_may_be_in_the_old_environment() -> None:
    """Many such programs keep the token alone in the database."""
    variables = {"FYERS_CLIENT_ID": KEY, "FYERS_SECRET_KEY": SECRET}
    found = read({"tokens": [{"_id": "fyers", "access_token": TOKEN}]}, variables=variables)
    assert (found.api_key, found.api_secret, found.login_at) == (KEY, SECRET, None)


def test_token_says_when_and_whose_it_is() -> None:
    """Its own claims count before what stands beside it; nothing else is believed of them."""
    made, ends = MORNING.timestamp(), datetime(2026, 11, 24, 6, tzinfo=IST)
    token = jwt(iat=int(made), exp=int(ends.timestamp()), fy_id="XA12345", sub="access_token")
    found = read({"tokens": [{**PLAIN, "access_token": token, "created_at": "at breakfast"}]})
    assert (found.login_at, found.ends_at, found.user_id) == (MORNING, ends, "XA12345")


@pytest.mark.parametrize(
    ("claims", "beside"),
    [
        ({}, {"fy_id": "XA12345", "user_id": "admin", "user_name": "Asha Rao", "client_code": 7}),
        ({"fy_id": "asha@home.example"}, {}),
        ({"fy_id": 7, "user_id": "XA12345"}, {}),
        ({"fy_id": ""}, {"user_id": "XA12345"}),
        ({"fy_id": "XA12345\n"}, {}),
    ],
)
def test_user_is_left_to_the_first_login_unless_the_token_names_one(
    claims: Mapping[str, object], beside: Mapping[str, object]
) -> None:
    """A program's own users stand in its documents; taken for the broker's, no login would fit."""
    document = {**PLAIN, **beside, "access_token": jwt(sub="access_token", **claims)}
    assert read({"tokens": [document]}).user_id is None


def test_token_is_believed_before_the_time_beside_it() -> None:
    """Programs write the time of a document's last change there, whatever it was."""
    token = jwt(iat=int(MORNING.timestamp()), sub="access_token")
    beside = MORNING - timedelta(days=1)
    found = read({"tokens": [{**PLAIN, "access_token": token, "created_at": beside}]})
    assert found.login_at == MORNING


def test_the_brokers_own_secret_counts_before_the_programs() -> None:
    """A Flask program has a SECRET_KEY of its own, of the same form perhaps."""
    both = {**PLAIN, "secret_key": "CANARYOFFLASK", "fyers_secret_id": SECRET}
    assert read({"config": [both]}).api_secret == SECRET


def test_a_token_loses_the_prefix_of_its_own_app_alone() -> None:
    """The SDK wants app and token apart; with another word before it the token is kept whole."""
    for prefix, kept in ((KEY, TOKEN), (KEY.lower(), TOKEN), ("bearer", f"bearer:{TOKEN}")):
        document = {**PLAIN, "access_token": f"{prefix}:{TOKEN}"}
        assert read({"tokens": [document]}).access_token == kept


def test_a_field_that_was_named_wrongly_is_not_guessed() -> None:
    """Another field of a likely name may hold another app's secret."""
    with pytest.raises(UserError, match="the Secret ID is missing"):
        read({"tokens": [PLAIN]}, fields={"secret": "sekret"})


def test_what_is_left_behind_is_named() -> None:
    """The refresh token is of no use any more."""
    documents: Documents = {"tokens": [{**PLAIN, "refresh_token": "canary", "pin": "canary"}]}
    found = read(documents)
    assert [one.partition(" ")[0] for one in found.not_taken] == ["refresh_token", "pin"]


def test_fields_and_document_can_be_named() -> None:
    """What is called otherwise is found where the user says."""
    documents: Documents = {
        "things": [
            {"_id": "other", "a": {"k": "ZZ9YY8XX7W-100"}, "t": "canary-token-of-another"},
            {"_id": "mine", "a": {"k": KEY, "s": SECRET}, "t": TOKEN, "w": MORNING},
        ]
    }
    fields = {"key": "a.k", "secret": "a.s", "token": "t", "at": "w"}
    found = read(documents, fields=fields, document="mine")
    assert (found.api_key, found.api_secret, found.access_token) == (KEY, SECRET, TOKEN)
    assert found.login_at == MORNING


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PLAIN.items() if key != name}


LATER = datetime(2026, 12, 24, 6, tzinfo=IST)
BROKEN: Mapping[str, tuple[Documents, str]] = {
    "no token": (
        {"tokens": [without("access_token")]},
        "looked for a field access_token, auth_token, token",
    ),
    "no key": ({"tokens": [without("app_id")]}, "the App ID is missing"),
    "no secret": ({"tokens": [without("secret_key")]}, "the Secret ID is missing"),
    "nothing at all": ({"tokens": []}, "No document in the database has an access token"),
    "null token": ({"tokens": [{**PLAIN, "access_token": None}]}, "access_token: found nothing"),
    "empty secret": ({"tokens": [{**PLAIN, "secret_key": ""}]}, "secret_key: found nothing"),
    "token as a number": (
        {"tokens": [{**PLAIN, "access_token": 12345678901234567}]},
        "access_token: found a number; expected an access token as text",
    ),
    "token as bytes": (
        {"tokens": [{**PLAIN, "access_token": b"canary-token-0000000"}]},
        "access_token: found a binary value",
    ),
    "short token": ({"tokens": [{**PLAIN, "access_token": "abc"}]}, "access_token: found 3 char"),
    "sealed token": (
        {"tokens": [{**PLAIN, "access_token": "gAAAAABcanary-sealed-text-00000"}]},
        "access_token: found an encrypted text",
    ),
    "token with a space": (
        {"tokens": [{**PLAIN, "access_token": "canary-token of-two-words"}]},
        "access_token: found 25 characters; expected an access token without spaces",
    ),
    "sealed secret": (
        {"tokens": [{**PLAIN, "secret_key": "gAAAAABcanaryasealedtext"}]},
        "secret_key: found an encrypted text",
    ),
    "two secrets beside it": (
        {
            "tokens": [without("secret_key")],
            "apps": [{"_id": 1, "secret_key": SECRET}, {"_id": 2, "secret_key": "CANARYSECRET2"}],
        },
        "the Secret ID is missing",
    ),
    "refresh token": (
        {"tokens": [{**PLAIN, "access_token": jwt(sub="refresh_token")}]},
        "access_token: found a token for refresh_token",
    ),
    "key without its ending": (
        {"tokens": [{**PLAIN, "app_id": "AB1CD2EF3G"}]},
        "app_id: found 10 characters; expected a Fyers App ID with its suffix",
    ),
    "secret of another form": (
        {"tokens": [{**PLAIN, "secret_key": "canary secret with spaces"}]},
        "secret_key: found 25 characters; expected 6 to 64 letters and digits",
    ),
    "secret as a list": (
        {"tokens": [{**PLAIN, "secret_key": ["canary"]}]},
        "secret_key: found a list",
    ),
    "no time": (
        {"tokens": [{**PLAIN, "created_at": "yesterday"}]},
        "created_at: found 9 characters; expected a time",
    ),
    "a time to come": (
        {"tokens": [{**PLAIN, "created_at": LATER}]},
        "created_at: found 24 Dec 2026; expected a time that is past",
    ),
    "two apps": (
        {"tokens": [PLAIN, {**PLAIN, "_id": "b", "app_id": "ZZ9YY8XX7W-100"}]},
        "holds tokens of 2 apps (documents fyers, b); expected one app: name a document with --id",
    ),
    "two undated": (
        {"tokens": [PLAIN, {**PLAIN, "_id": "b"}]},
        "holds 2 documents with a token, and not all say when they were made",
    ),
    "two collections": (
        {"tokens": [PLAIN], "fyers_tokens": [PLAIN]},
        "Documents with a token are in 2 collections (fyers_tokens, tokens)",
    ),
    "another broker's": ({"tokens": [{**PLAIN, "broker": "zerodha"}]}, "has an access token"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_documents_end_in_one_sentence(case: str) -> None:
    """It names the document and the field, says what is expected, and repeats no secret."""
    documents, said = BROKEN[case]
    with pytest.raises(UserError) as error:
        read(documents)
    told = str(error.value)
    assert said in told
    assert "\n" not in told
    assert "canary" not in told.lower()
    assert told.endswith(".")


def test_newest_is_by_the_id_where_nothing_else_says_so() -> None:
    """MongoDB's own ids hold the moment of their making."""

    class Id:
        def __init__(self, day: int) -> None:
            self.generation_time = datetime(2026, 11, day, tzinfo=UTC)

    old, new = Id(3), Id(20)
    rows = [{**PLAIN, "_id": new}, {**PLAIN, "_id": old, "access_token": "canary-token-older"}]
    assert read({"tokens": rows}).access_token == TOKEN


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "value", [TOKEN, f"ZQ7RW2XE1M-200:{TOKEN}", SECRET, jwt(), jwt(sub=SECRET), f" {TOKEN[:20]} "]
)
@pytest.mark.parametrize("field", [*PLAIN, "created_at"])
def test_a_secret_in_the_wrong_field_is_never_repeated(field: str, value: str) -> None:
    """Not even its beginning: whoever made the document may have mixed its fields up."""
    document = {**PLAIN, field: value}
    text = value.strip()
    for broken in (document, *({**document, other: "%"} for other in PLAIN if other != field)):
        told = refusal(broken)
        assert not any(text[at : at + 6] in told for at in range(len(text) - 5)), told


def refusal(document: dict[str, Any]) -> str:
    """Return why a document is refused, '' where it is not."""
    try:
        read({"tokens": [document]})
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "document",
    [
        {**PLAIN, "created_at": datetime(9999, 12, 31, 23, 59, 59)},  # noqa: DTZ001 - as stored
        {**PLAIN, "created_at": 10**18},
        {**PLAIN, "created_at": [SECRET, TOKEN]},
        {**without("app_id"), "_id": TOKEN},
        {**without("secret_key"), "data": "{" + '"a":[' * 100_000},
        {**PLAIN, "access_token": "x." + base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".y"},
        {"\x1b[2J\u202eevil": {"app_id": "x", "access_token": 5}},
        {**without("app_id"), "_id": "\x1b]0;evil\x07"},
        {"n" * 100_000: {"access_token": 5}},
    ],
    ids=range(9),
)
def test_hostile_documents_are_said_in_a_plain_sentence(document: dict[str, Any]) -> None:
    """No traceback, no secret, nothing that a terminal obeys, and not a page of it."""
    try:
        read({"tokens": [document]})
    except UserError as error:
        said = str(error)
        assert len(said) < 500 and plain_line(said) == said.replace("…", "...")
        assert SECRET not in said and TOKEN not in said
