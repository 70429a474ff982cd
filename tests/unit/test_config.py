"""A wrong setting stops the start: its name, what was found, what is expected, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.zerodha import ZERODHA
from core.config import load_settings, setting_name, settings_with_defaults
from core.errors import ConfigurationError

pytestmark = pytest.mark.row("F4")

WRONG = [
    ("telegram_api", "api.telegram.org", "https://"),
    ("owners", "12a,13", "user ids separated by commas"),
    ("public_url", "saarthi.example.in", "https://"),
    ("listen", "8443", "host:port"),
    ("listen", "127.0.0.1:65536", "host:port"),
    ("trusted_proxies", "proxy", "addresses or networks"),
    ("db", "a/b", "pattern"),
    ("kite_api", "ftp://x.example", "https://"),
    ("kite_login", "https://", "https://"),
    ("fyers_api", "x", "https://"),
    ("fyers_masters", "x", "https://"),
    ("kite_stream", "https://ws.kite.trade", "wss://"),
    ("fyers_stream", "wss://", "or off"),
    ("log", "LOUD", "DEBUG|INFO"),
    ("horizon_s", "0", "greater than or equal to 1"),
    ("horizon_s", "soon", "valid number"),
    ("horizon_s", "nan", "less than or equal to 3600"),
    ("order_deadline_s", "0.1", "greater than or equal to 0.5"),
    ("order_deadline_s", "61", "less than or equal to 60"),
    ("warning_interval_s", "-1", "greater than or equal to 1"),
    ("accept_embedded_store_for_live", "perhaps", "boolean"),
    ("prove_accounts", "perhaps", "boolean"),
    ("tunnel_url", "https://saarthi.example", "http://127.0.0.1:8443"),
    ("address_echo", "checkip.example", "https://"),
    ("chat_url", "t.me/saarthi", "https://"),
]


@pytest.mark.parametrize(("field", "found", "expected"), WRONG)
def test_wrong_value_says_what_is_wrong(field: str, found: str, expected: str) -> None:
    """The message names the setting as it stands in the environment, the value and the rule."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={setting_name(field): found})
    message = str(caught.value)
    assert message.startswith(f"{setting_name(field)}: found {found!r}; ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "field", ["telegram_token", "mongodb_uri", "legacy_uri", "secret_key", "backup_passphrase"]
)
def test_wrong_secret_is_not_repeated(field: str, tmp_path: Path) -> None:
    """Of a secret of the wrong type the message shows nothing."""
    file = tmp_path / "saarthi.toml"
    file.write_text(f'{field} = ["canary-secret"]\n')
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environment={})
    message = str(caught.value)
    assert message.startswith(f"{setting_name(field)}: found a value; ")
    assert "canary" not in message


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    ("field", "scheme"),
    [
        ("public_url", "https"),
        ("telegram_api", "https"),
        ("tunnel_url", "http"),
        ("address_echo", "https"),
        ("kite_api", "https"),
        ("fyers_stream", "wss"),
    ],
)
def test_an_address_holds_no_password(field: str, scheme: str) -> None:
    """It stands in the chat, in the doctor's lines and at the broker: refused and not repeated."""
    given = f"{scheme}://u:canary@127.0.0.1"
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={setting_name(field): given})
    message = str(caught.value)
    assert "without a user and a password" in message and "canary" not in message


def test_a_device_is_no_file_of_settings() -> None:
    """Reading one has no end."""
    with pytest.raises(ConfigurationError, match="is no file"):
        load_settings(Path("/dev/zero"), environment={})


@pytest.mark.row("G2")
def test_short_passphrase_is_refused_and_not_repeated() -> None:
    """Whoever finds a backup can try passphrases for as long as they like."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={"SAARTHI_BACKUP_PASSPHRASE": "canary"})
    message = str(caught.value)
    assert message == "SAARTHI_BACKUP_PASSPHRASE: found a value; expected at least 12 characters."


@pytest.mark.row("G2")
def test_settings_do_not_show_their_secrets() -> None:
    """Neither their text nor their form for people holds one."""
    settings = load_settings(
        environment={
            "SAARTHI_TELEGRAM_TOKEN": "1:canary",
            "MONGODB_URI": "mongodb://u:canary@h/",
            "SAARTHI_SECRET_KEY": "canary",
        }
    )
    assert "canary" not in f"{settings} {settings!r}"


def test_proxies_are_addresses_or_networks(tmp_path: Path) -> None:
    """Separated by commas in the environment, a list in the file."""
    file = tmp_path / "saarthi.toml"
    file.write_text('trusted_proxies = ["10.0.0.2", "2001:db8::/32"]\n')
    assert load_settings(file, {}).trusted_proxies == ("10.0.0.2/32", "2001:db8::/32")
    named = load_settings(environment={"SAARTHI_TRUSTED_PROXIES": "10.0.0.2, 172.16.0.1/12"})
    assert named.trusted_proxies == ("10.0.0.2/32", "172.16.0.0/12")


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """The same key may stand in both; empty texts mean that an optional one is not set."""
    file = tmp_path / "saarthi.toml"
    file.write_text('listen = "127.0.0.1:9000"\ndb = "other"\nowners = [7, 8]\nmongod = ""\n')
    settings = load_settings(
        file, environment={"SAARTHI_LISTEN": "127.0.0.1:9001", "SAARTHI_PUBLIC_URL": ""}
    )
    assert settings.listen_on == ("127.0.0.1", 9001)
    assert settings.db == "other"
    assert settings.owners == (7, 8)
    assert settings.mongod is None
    assert settings.public_url is None


def test_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    """A misspelt key would otherwise be a setting that silently has its default."""
    file = tmp_path / "saarthi.toml"
    file.write_text('listn = "127.0.0.1:9000"\n')
    with pytest.raises(
        ConfigurationError, match=r"listn: no such setting; expected one of .*listen"
    ):
        load_settings(file, environment={})


def test_brokers_declare_the_settings_of_their_addresses(tmp_path: Path) -> None:
    """Each may be given like any other, by both its names; what is not given is not there."""
    file = tmp_path / "saarthi.toml"
    file.write_text('kite_api = "http://127.0.0.1:1/"\nfyers_api = "http://127.0.0.1:2"\n')
    settings = load_settings(file, environment={"SAARTHI_KITE_API": "http://127.0.0.1:3"})
    assert settings.roots == {"kite_api": "http://127.0.0.1:3", "fyers_api": "http://127.0.0.1:2"}
    assert settings.given == ["fyers_api", "kite_api"]
    assert ZERODHA.addresses(settings.roots) == ["http://127.0.0.1:3", "https://kite.zerodha.com"]


def test_the_field_that_gathers_addresses_is_no_setting(tmp_path: Path) -> None:
    """``roots`` cannot be written into the file, past the check of its names."""
    file = tmp_path / "saarthi.toml"
    file.write_text('[roots]\nkite_apy = "http://127.0.0.1:1"\n')
    with pytest.raises(ConfigurationError, match=r"roots: no such setting; expected one of .*kite"):
        load_settings(file, environment={})


@pytest.mark.parametrize("text", [None, "listen = \n", b"\xff"])
def test_unreadable_file_is_told(tmp_path: Path, text: str | bytes | None) -> None:
    """A file that is not there, or is no TOML, stops the start with its name."""
    file = tmp_path / "saarthi.toml"
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=str(file)):
        load_settings(file, environment={})


def test_without_anything_the_defaults_stand() -> None:
    """Nobody has to set what has a sensible value."""
    settings = load_settings(environment={})
    assert settings.listen == "127.0.0.1:8443"
    assert settings.public_url is None
    assert settings.accept_embedded_store_for_live is False


def test_every_setting_has_a_wrong_value_here() -> None:
    """A setting that is added gets its row above, or is free text."""
    free = {"telegram_token", "mongodb_uri", "legacy_uri", "mongod", "data", "secret_key", "clock"}
    free |= {"backups", "backup_passphrase"}
    assert {field for field, _, _ in WRONG} | free == set(settings_with_defaults())
