"""What holds a secret wherever it is typed: it is deleted, whoever it is for (row A3)."""

from __future__ import annotations

import pytest

from bot.wizard.secrecy import tells_secret

pytestmark = [pytest.mark.row("A3"), pytest.mark.row("G2")]


@pytest.mark.parametrize(
    "text",
    [
        "http://u:canary@10.0.0.1:3128",
        "my proxy is SOCKS5h://u:canary@h:1080 thanks",
        "ftp://u:canary@h",
        "u:canary@10.0.0.1:1080",
        "10.0.0.1:1080:u:canary",
        "mongodb://u:canary@h:27017/x",
        "7000000001:AAcanaryTOKEN-canaryTOKEN_canaryTOK",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhcGkuZnllcnMuaW4ifQ.x",
        "c2VjcmV0LWNhbmFyeS1rZXktb2YtdGhlLXZhdWx0LTE=",
        "password: canary",
        "Password is canary1",
        "the passphrase = correct horse",
        "pwd=canary",
        "token: canary12345",
        "api secret = canary12345",
        "API_KEY=canary12345",
    ],
)
def test_what_tells_a_secret_is_seen(text: str) -> None:
    """Logins of proxies in each of their forms, tokens, keys, and what is called a password."""
    assert tells_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pnl yesterday",
        "close sbin at 9:20",
        "9:15:30 to 15:20:00",
        "NSE:SBIN, BSE:TCS",
        "token expired",
        "the token is expired",
        "secret",
        "I forgot the password",
        "https://saarthi.example:8443/login/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "me@example.com",
        "SBIN26DEC800CE",
        "5000-2500-1000-500",
        "203.0.113.5 203.0.113.6",
    ],
)
def test_other_words_tell_none(text: str) -> None:
    """Times, instruments, addresses of pages, talk about a token."""
    assert not tells_secret(text)
