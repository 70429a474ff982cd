"""Settings: read once from the environment and an optional TOML file, validated, frozen.

The environment wins over the file. In TOML the keys are the same without the prefix, in lower
case (``telegram_token``); ``mongodb_uri`` is ``MONGODB_URI``. A wrong value stops the start
with the setting's name, what was found and what is expected; a secret's value is never repeated.

The brokers' addresses are settings too. Each broker's profile declares its own (``kite_api``), and
those that are given are together in ``Settings.roots``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from core.adapters.brokers import PROFILES
from core.domain.broker_profile import NO_STREAM
from core.errors import ConfigurationError

__all__ = ["Settings", "load_settings", "setting_name", "settings_with_defaults"]

_PREFIX = "SAARTHI_"
_OWN_NAMES = {"mongodb_uri": "MONGODB_URI"}
_LARGEST_PORT = 65535
_SHORTEST_PASSPHRASE = 12
_ROOTS = "roots"
_STREAMS = "streams"
_AT = "@"
"""What stands in an address with a user."""


def _without_login(parts: SplitResult) -> str:
    """Say that a user and a password have no place in an address: it is shown, and logged."""
    return ", without a user and a password" if _AT in parts.netloc else ""


def _http_root(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or _AT in parts.netloc:
        raise ValueError(f"expected an address like https://example.in{_without_login(parts)}")
    return value.rstrip("/")


def _stream_root(value: str) -> str:
    if value == NO_STREAM:
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc or _AT in parts.netloc:
        login = _without_login(parts)
        raise ValueError(f"expected an address like wss://example.in{login}, or {NO_STREAM}")
    return value.rstrip("/")


def _loopback_root(value: str) -> str:
    root = _http_root(value)
    if urlsplit(root).hostname not in {"127.0.0.1", "localhost"}:
        raise ValueError(
            "expected an address of the user's own machine, like http://127.0.0.1:8443"
        )
    return root


def _echo_root(value: str) -> str:
    return value if value == NO_STREAM else _http_root(value)


def _host_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdigit() and int(port) <= _LARGEST_PORT):
        raise ValueError("expected host:port, like 127.0.0.1:8443")
    return value


def _owners(value: object) -> object:
    if isinstance(value, int):
        return [value]
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not all(part.isdigit() for part in parts):
            raise ValueError("expected Telegram user ids separated by commas, like 12345,67890")
        return [int(part) for part in parts]
    return value


def _proxies(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError(
            "expected addresses or networks separated by commas, like 10.0.0.2,172.16.0.0/12"
        ) from None


def _passphrase(value: SecretStr | None) -> SecretStr | None:
    if value is not None and len(value.get_secret_value()) < _SHORTEST_PASSPHRASE:
        raise ValueError(f"expected at least {_SHORTEST_PASSPHRASE} characters")
    return value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


Root = Annotated[str, AfterValidator(_http_root)]
StreamRoot = Annotated[str, AfterValidator(_stream_root)]
Network = Annotated[str, AfterValidator(_network)]
Optional_ = BeforeValidator(_empty_is_none)


class Settings(BaseModel):
    """Every setting; docs/operations.md has the table for users.

    Attributes:
        chat_url: The address that leads back into the chat; None means the bot's at t.me.
        public_url: What brokers redirect to; None means logins by pasting (product.md B4).
        tunnel_url: What they redirect to without a public URL: an address of the user's own
            machine, from which an SSH tunnel may lead here.
        horizon_s: Seconds after which an unresolved order that the broker does not show is given
            up.
        order_deadline_s: Total time of one call to a broker, waits included.
        trusted_proxies: Reverse proxies elsewhere than on this machine, whose X-Forwarded-For is
            believed.
        legacy_uri: Where ``migrate-legacy`` finds the older program's database.
        backups: The folder of backups; None means ``backups`` in the data directory.
        backup_passphrase: Opens backups beside the keys.
        mongod: A ``mongod`` binary to start, when no ``mongodb_uri`` is given.
        prove_accounts: Whether entries need limits and a round trip at other addresses than the
            broker's own as well (F8).
        address_echo: What is asked from which address accounts' requests leave (A12), or ``off``.
        roots: Addresses of brokers other than their own, by setting.
        streams: The same for their order updates, or ``off``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    telegram_token: SecretStr = SecretStr("")
    telegram_api: Root = "https://api.telegram.org"
    chat_url: Annotated[Root | None, Optional_] = None
    owners: Annotated[tuple[int, ...], BeforeValidator(_owners)] = ()
    public_url: Annotated[Root | None, Optional_] = None
    tunnel_url: Annotated[str, AfterValidator(_loopback_root)] = "https://127.0.0.1"
    listen: Annotated[str, AfterValidator(_host_port)] = "127.0.0.1:8443"
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_proxies)] = ()
    mongodb_uri: Annotated[SecretStr | None, Optional_] = None
    mongod: Annotated[Path | None, Optional_] = None
    legacy_uri: Annotated[SecretStr | None, Optional_] = None
    db: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = "saarthi"
    data: Path = Path("~/.saarthi")
    secret_key: Annotated[SecretStr | None, Optional_] = None
    backups: Annotated[Path | None, Optional_] = None
    backup_passphrase: Annotated[SecretStr | None, AfterValidator(_passphrase), Optional_] = None
    roots: Mapping[str, Root] = {}
    streams: Mapping[str, StreamRoot] = {}
    log: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    clock: Annotated[str | None, Optional_] = None
    horizon_s: Annotated[float, Field(ge=1, le=3600)] = 120.0
    order_deadline_s: Annotated[float, Field(ge=0.5, le=60)] = 7.0
    warning_interval_s: Annotated[float, Field(ge=1, le=86400)] = 1800.0
    accept_embedded_store_for_live: bool = False
    prove_accounts: bool = False
    address_echo: Annotated[str, AfterValidator(_echo_root)] = "https://checkip.amazonaws.com"

    @property
    def given(self) -> Sequence[str]:
        """The names of the settings that were given, in order."""
        named = {*self.model_fields_set, *self.roots, *self.streams}
        return sorted(named - {_ROOTS, _STREAMS})

    @property
    def secrets(self) -> Sequence[str]:
        """The values of the settings that are secrets and are given."""
        found = [getattr(self, name) for name in sorted(_SECRETS)]
        return [one.get_secret_value() for one in found if one is not None]

    @property
    def addresses(self) -> Mapping[str, str]:
        """Every address of a broker that was given, by setting."""
        return {**self.roots, **self.streams}

    @property
    def redirect_root(self) -> str:
        """The root of the addresses that brokers redirect to."""
        return self.public_url or self.tunnel_url

    @property
    def echo(self) -> str | None:
        """What is asked for our address; None for nobody.

        Where a broker is simulated only what is given is asked: the world outside is not the one
        that the simulator sees.
        """
        is_given = "address_echo" in self.model_fields_set
        is_off = self.address_echo == NO_STREAM or (bool(self.roots) and not is_given)
        return None if is_off else self.address_echo

    @property
    def data_dir(self) -> Path:
        """The data directory, ``~`` resolved."""
        return self.data.expanduser()

    @property
    def backups_dir(self) -> Path:
        """The folder of backups, ``~`` resolved."""
        return (self.backups or self.data / "backups").expanduser()

    @property
    def listen_on(self) -> tuple[str, int]:
        """Host and port of the web server."""
        host, _, port = self.listen.rpartition(":")
        return host, int(port)


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read and validate the settings.

    Raises:
        ConfigurationError: The file cannot be read, or a setting is wrong.
    """
    values = _from_file(file) if file else {}
    values.update(_from_environment(os.environ if environment is None else environment))
    roots = {name: values.pop(name) for name in _broker_roots() if name in values}
    streams = {name: values.pop(name) for name in _broker_streams() if name in values}
    for name in (_ROOTS, _STREAMS):
        if name in values:
            raise ConfigurationError(_unknown(name))
    try:
        return Settings(**values, roots=roots, streams=streams)
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None


def _from_file(file: Path) -> dict[str, Any]:
    try:
        if file.exists() and not file.is_file():
            raise ConfigurationError(f"{file}: is no file; expected one of settings.")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: is not valid TOML: {error}.") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for field in settings_with_defaults():
        name = setting_name(field)
        if name in environment:
            found[field] = environment[name]
    return found


def _broker_roots() -> dict[str, str]:
    return {root.setting: root.default for broker in PROFILES for root in broker.roots}


def _broker_streams() -> dict[str, str]:
    found = [broker.stream for broker in PROFILES if broker.stream is not None]
    return {stream.setting: stream.default for stream in found}


def settings_with_defaults() -> dict[str, Any]:
    """Return every setting's field name and default, those that brokers declare among them."""
    named = {_ROOTS, _STREAMS}
    own = {name: one.default for name, one in Settings.model_fields.items() if name not in named}
    return own | _broker_roots() | _broker_streams()


def setting_name(field: str) -> str:
    """Return the environment's name of a setting."""
    return _OWN_NAMES.get(field, _PREFIX + field.upper())


_SECRETS = {"telegram_token", "mongodb_uri", "legacy_uri", "secret_key", "backup_passphrase"}


def _explain(error: ValidationError) -> str:
    """Return one sentence for the first wrong setting."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(part) for part in first["loc"]] or ["?"]
    field = where[1] if where[0] in {_ROOTS, _STREAMS} else where[0]
    if first["type"] == "extra_forbidden":
        return _unknown(field)
    is_told = field not in _SECRETS and _AT not in str(first.get("input"))
    found = repr(first.get("input")) if is_told else "a value"
    expected = str(first["msg"]).removeprefix("Value error, ")
    return f"{setting_name(field)}: found {found}; {expected[:1].lower()}{expected[1:]}."


def _unknown(field: str) -> str:
    known = ", ".join(sorted(settings_with_defaults()))
    return f"{field}: no such setting; expected one of {known}."
