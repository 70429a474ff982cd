"""Checks of what is on this machine: settings, files, keys, addresses, the calendar."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from console.doctor.finding import Finding, fail, ok, warn
from console.process import bot_parameters
from core.bootstrap import PROFILES
from core.config import Settings, setting_name, settings_with_defaults
from core.domain.calendar_years import CalendarYear, EndsSoon, known_until, reminders
from core.errors import ConfigurationError
from core.inspection import CALENDAR_FILE, calendar_years, clock_trouble, key_file, vault_of

__all__ = [
    "calendar",
    "configuration",
    "data_directory",
    "is_loopback",
    "secret_key",
    "settings_file",
    "talks_to_real_brokers",
]

_OPEN_TO_OTHERS = 0o077
_MOUNTED = Path("/run/secrets")
"""Where a container has its secrets: nobody else is in it."""
_IMPORT = "when the exchange has published its list: saarthi calendar import FILE"
_LEAST_HORIZON_S = 120.0


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def talks_to_real_brokers(settings: Settings) -> bool:
    """Return whether any broker address is not on this machine."""
    roots = [
        settings.roots.get(root.setting, root.default)
        for broker in PROFILES
        for root in broker.roots
        if not root.is_public
    ]
    return not all(is_loopback(urlsplit(root).hostname or "") for root in roots)


def configuration(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Check every setting beyond its form, and names that are not settings."""
    wrong = [*_bot(settings), *_clock_setting(settings), *_unread(environment)]
    wrong += _store_settings(settings)
    if settings.horizon_s < _LEAST_HORIZON_S and talks_to_real_brokers(settings):
        wrong.append(
            warn(
                "configuration",
                f"SAARTHI_HORIZON_S: found {settings.horizon_s:g}; an order was seen to appear "
                "95 s late at a broker",
                f"leave it at {_LEAST_HORIZON_S:g} or more",
            )
        )
    names = [setting_name(field) for field in settings.given]
    text = f"{len(names)} of {len(settings_with_defaults())} settings given"
    return [ok("configuration", text + (f": {', '.join(names)}" if names else "")), *wrong]


def _bot(settings: Settings) -> Iterable[Finding]:
    try:
        bot_parameters(settings)
    except ConfigurationError as error:
        yield fail("configuration", str(error), "set it to what BotFather gives")


def _clock_setting(settings: Settings) -> Iterable[Finding]:
    trouble = clock_trouble(settings)
    if trouble:
        yield fail("configuration", trouble, "correct it, or unset it")
    if settings.clock is None or trouble:
        return
    if talks_to_real_brokers(settings):
        yield fail(
            "configuration",
            "SAARTHI_CLOCK moves market time while the brokers are real",
            "unset it; it is for the sandbox and replays",
        )
    else:
        yield ok("configuration", "SAARTHI_CLOCK: market time is simulated")


def _unread(environment: Mapping[str, str]) -> Iterable[Finding]:
    known = {setting_name(field) for field in settings_with_defaults()}
    for name in sorted(environment):
        if name.startswith("SAARTHI_") and name not in known:
            yield warn("configuration", f"{name}: no such setting", "see docs/operations.md")


def _store_settings(settings: Settings) -> Iterable[Finding]:
    if settings.mongod is None:
        return
    if settings.mongodb_uri is not None:
        yield warn("configuration", "SAARTHI_MONGOD is not used beside MONGODB_URI", "unset one")
    elif not os.access(settings.mongod, os.X_OK):
        yield fail(
            "configuration",
            f"SAARTHI_MONGOD: found {str(settings.mongod)!r}; expected a program",
            "give the path of a mongod, or unset it",
        )


def settings_file(file: Path | None) -> list[Finding]:
    """Check that not everybody reads the file of settings, which holds the bot's token."""
    if file is None or not file.is_file() or file.is_relative_to(_MOUNTED):
        return []
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & stat.S_IROTH:
        return []
    return [
        warn("configuration", f"{file}: mode {mode:04o}, so that others may read it", "chmod 640")
    ]


def data_directory(settings: Settings) -> list[Finding]:
    """Check that only this user has access to the data directory."""
    directory = settings.data_dir
    try:
        found = directory.stat()
    except FileNotFoundError:
        return [ok("data directory", f"{directory} is made at the first start")]
    except OSError as error:
        return [_unusable(directory, error.strerror or "", "give it to this user")]
    if not stat.S_ISDIR(found.st_mode):
        return [_unusable(directory, "not a directory", "name a directory in SAARTHI_DATA")]
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return [
            _unusable(directory, "not writable for this user", f"chown it to uid {os.getuid()}")
        ]
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OPEN_TO_OTHERS:
        return [_unusable(directory, f"mode {mode:04o}, expected 0700", f"chmod 700 {directory}")]
    open_files = [
        path.name
        for path in directory.iterdir()
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & _OPEN_TO_OTHERS
    ]
    if open_files:
        text = f"{directory}: others may read {', '.join(sorted(open_files))}"
        return [warn("data directory", text, "chmod 600 them")]
    return [ok("data directory", f"{directory}, mode {mode:04o}")]


def _unusable(directory: object, what: str, advice: str) -> Finding:
    return fail("data directory", f"{directory}: {what}", advice)


def secret_key(settings: Settings) -> list[Finding]:
    """Check the key that seals every stored secret."""
    try:
        vault = vault_of(settings)
    except ConfigurationError as error:
        return [fail("secret key", str(error), "correct it; nothing stored can be read without it")]
    except OSError as error:
        return [
            fail("secret key", f"{key_file(settings)}: {error.strerror}", "let this user read it")
        ]
    if vault is None:
        return [ok("secret key", f"{key_file(settings)} is made at the first start")]
    where = str(key_file(settings)) if vault.is_file_based else "SAARTHI_SECRET_KEY"
    return [ok("secret key", f"{where} is readable; keep a copy apart from the store's backup")]


def calendar(settings: Settings, today: date) -> list[Finding]:
    """Check that the exchange calendar reaches far enough, and name its sources."""
    try:
        years = calendar_years(settings)
    except ConfigurationError as error:
        advice = f"correct {CALENDAR_FILE} in the data directory, or delete it and import it again"
        return [fail("calendar", str(error), advice)]
    until = known_until(years, today)
    if until is None:
        text = f"no session of {today} is known: entries are denied, exits keep regular hours"
        return [fail("calendar", text, _IMPORT)]
    known = "; ".join(_year(one) for one in years if today.year <= one.year <= until.year)
    due = reminders(years, today)
    if any(isinstance(one, EndsSoon) for one in due):
        return [warn("calendar", f"sessions are known until {until} only: {known}", _IMPORT)]
    if due:
        return [warn("calendar", f"sessions are known until {until}: {known}", _IMPORT)]
    return [ok("calendar", f"sessions are known until {until}: {known}")]


def _year(one: CalendarYear) -> str:
    origin = "imported, " if one.is_added else ""
    return f"{one.year} {one.confidence.value} ({origin}{one.source})"
