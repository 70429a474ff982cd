"""What the log writes: one line an event, and never a secret."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from core.observability.logs import JsonFormatter, Redactor

KNOWN = "canary-of-the-vault"
TOKEN = "123456789:AAHcanarycanarycanarycanarycanary"


@pytest.fixture
def redactor() -> Redactor:
    found = Redactor()
    found.learn(KNOWN)
    return found


def written(redactor: Redactor, message: str, *arguments: object, exc_info: Any = None) -> str:
    """Return what the formatter makes of a record."""
    record = logging.LogRecord("core.x", logging.INFO, __file__, 1, message, arguments, exc_info)
    return JsonFormatter(redactor).format(record)


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    ("text", "stays"),
    [
        (f"the key is {KNOWN}.", "the key is ***."),
        (f"GET https://api.telegram.org/bot{TOKEN}/getMe", "/getMe"),
        (f"bot{TOKEN.replace(':', '%3A')} asks", "asks"),
        (f"the token {TOKEN} was refused", "was refused"),
        ("access_token=canary&x=1", "x=1"),
        ("{'access_token': 'canary', 'user_id': 'AB1234'}", "AB1234"),
        ('{"access_token": "canary", "user_id": "AB1234"}', "AB1234"),
        ("request_token=canary status=success", "success"),
        ("redirected to /callback?auth_code=canary&state=s", "state=s"),
        ('api_secret: "canary"', "api_secret"),
        ("checksum=canary", "checksum"),
        ("appIdHash=canary", "appIdHash"),
        ("enctoken=canary; path=/", "path=/"),
        ("{b'authorization': b'token canary', b'host': b'x'}", "host"),
        ("to https://x.example/?next=%2Fcb%3Frequest_token%3Dcanary", "x.example"),
        ("Authorization: token key:canary", "Authorization"),
        ("{'Authorization': 'token key:canary', 'X-Kite-Version': '3'}", "X-Kite-Version"),
        ("mongodb://saarthi:canary@127.0.0.1:27017/?replicaSet=r", "127.0.0.1:27017"),
        ("mongodb+srv://saarthi:canary@cluster.example", "cluster.example"),
        ("GET /login/canarycanarycanarycanary HTTP/1.1", "HTTP/1.1"),
    ],
)
def test_secret_is_taken_out_and_the_rest_stays(redactor: Redactor, text: str, stays: str) -> None:
    """Registered texts and everything that looks like a secret are masked, nothing else is."""
    line = json.loads(written(redactor, text))
    assert "canary" not in line["message"]
    assert "***" in line["message"]
    assert stays in line["message"]


@pytest.mark.row("G2")
def test_arguments_are_cleaned_too(redactor: Redactor) -> None:
    """What is filled into the message is part of it."""
    assert "canary" not in written(redactor, "%s and %s", KNOWN, {"access_token": "canary"})


@pytest.mark.row("G2")
def test_traceback_is_cleaned(redactor: Redactor) -> None:
    """An exception whose text holds a secret is written without it, causes included."""
    cause = ValueError(f"https://api.telegram.org/bot{TOKEN}/x")
    error = RuntimeError(f"failed with {KNOWN}")
    error.__cause__ = cause
    line = written(redactor, "crashed", exc_info=(type(error), error, None))
    event = json.loads(line)
    assert "canary" not in line
    assert "RuntimeError" in event["error"]
    assert "ValueError" in event["error"]


@pytest.mark.parametrize("breaker", ["\n", "\r\n", "\r", "\u2028", "\x1b[2J", "\x00", "\x85"])
def test_one_event_is_one_line(redactor: Redactor, breaker: str) -> None:
    """Text from outside cannot forge a second event, nor steer a terminal."""
    line = written(redactor, 'first%s{"level": "INFO"}', breaker)
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert breaker in json.loads(line)["message"]


def test_time_is_utc_and_levels_are_named(redactor: Redactor) -> None:
    """A line tells when, how bad and where from."""
    event = json.loads(written(redactor, "x"))
    assert event["at"].endswith("+00:00")
    assert (event["level"], event["logger"]) == ("INFO", "core.x")


def test_short_texts_are_not_learnt(redactor: Redactor) -> None:
    """Masking a text of three letters everywhere would make the log unreadable."""
    redactor.learn("the")
    assert redactor.clean("the order") == "the order"
