"""``saarthi migrate-legacy``: an old program's account becomes the default account here (A11)."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.bootstrap import Foundation, attach, open_system
from core.bootstrap.legacy import CarryPlan, OldProgram, carry_out, find_login, plan_carrying
from core.config import Settings
from core.domain.account import Account, TokenStatus
from core.domain.legacy import LegacyChoice, LegacyLogin
from core.domain.mode import TradingMode
from core.domain.sessions import IST
from core.errors import StoreUnavailable, UserError
from core.inspection import clock_of, inspect_store

__all__ = ["LegacyOptions", "migrate_legacy"]

_USUAL_URI = "mongodb://127.0.0.1:27017"


@dataclass(frozen=True, slots=True)
class LegacyOptions:
    """What was typed.

    Attributes:
        uri: Where the old database is; without one ``SAARTHI_LEGACY_URI``, else ``MONGODB_URI``,
            else a server at MongoDB's usual address.
        db: Its name.
        collection: Where the document is; without one the usual names are tried.
        document: Its ``_id``.
        fields: Dotted paths by what they hold.
        env_file: The old program's file of settings.
        name: What the account is to be called.
        mode: Its mode.
        dry_run: Change nothing.
    """

    uri: str | None
    db: str | None
    collection: str | None
    document: str | None
    fields: Mapping[str, str] = field(default_factory=dict)
    env_file: Path | None = None
    name: str = "Main"
    mode: TradingMode = TradingMode.EXIT_ONLY
    dry_run: bool = False


async def migrate_legacy(settings: Settings, options: LegacyOptions) -> int:
    """Carry the account over, or say what would be done; return the exit code.

    Raises:
        SaarthiError: One sentence; nothing was changed.
    """
    login = await find_login(_program(settings, options), clock_of(settings))
    if options.dry_run:
        async with inspect_store(settings) as look:
            plan = await plan_carrying(look.foundation, login, name=options.name, mode=options.mode)
        _say([*_found(login), *_would(plan), "nothing was changed (--dry-run)"])
        return 0
    async with _store(settings) as foundation:
        plan = await plan_carrying(foundation, login, name=options.name, mode=options.mode)
        if plan.there is not None:
            _say([*_found(login), *_would(plan), "nothing was changed"])
            return 0
        done = await carry_out(foundation, plan)
    if not done.is_new:
        _say([*_found(login), *_there(done.account), "nothing was changed"])
        return 0
    lines = [f"added     {_described(done.account)}", *_mark(plan, "took"), *_next(done.account)]
    _say([*_found(login), *lines])
    return 0


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Foundation]:
    """Reach the store beside a running controller, or start it."""
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    try:
        async with attach(settings, uri) as foundation:
            yield foundation
    except StoreUnavailable:
        if uri is not None:
            raise
        async with open_system(settings) as foundation:
            yield foundation


def _program(settings: Settings, options: LegacyOptions) -> OldProgram:
    choice = LegacyChoice(options.document, options.fields)
    given = settings.legacy_uri or settings.mongodb_uri
    uri = options.uri or (given.get_secret_value() if given else _USUAL_URI)
    program = OldProgram.at(
        uri,
        options.db,
        (options.collection,) if options.collection else (),
        choice,
        {**os.environ, **_variables(options.env_file)},
        otherwise=settings.db,
    )
    if options.uri and program.address.has_password:
        raise UserError(
            "--uri holds a password, which everybody on this machine can read in the list of "
            "processes: put the address into SAARTHI_LEGACY_URI instead."
        )
    return program


def _variables(file: Path | None) -> dict[str, str]:
    """Read a file of NAME=value lines, as Flask programs keep their settings."""
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"{file}: cannot be read ({reason}).") from None
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def _found(login: LegacyLogin) -> Iterator[str]:
    user = f", user {login.user_id}" if login.user_id else ""
    made = f"made {login.login_at.astimezone(IST):%d %b %Y %H:%M}" if login.login_at else "undated"
    yield f"found     {login.place}: {login.api_key}{user}, its secret, a token ({made})"
    if login.not_taken:
        yield f"left      {', '.join(login.not_taken)}"


def _would(plan: CarryPlan) -> Iterator[str]:
    if plan.there is not None:
        yield from _there(plan.there)
        return
    token = "its login is alive" if plan.carried.status is TokenStatus.VALID else "needs a login"
    name = f"{plan.draft.broker.label} - {plan.draft.display_name}"
    yield f"would add {name}: default, enabled, {plan.mode.value}, {token}"
    yield from _mark(plan, "would take")


def _there(account: Account) -> Iterator[str]:
    yield f"is here   {_described(account)}"


def _mark(plan: CarryPlan, verb: str) -> Iterator[str]:
    if plan.default is not None:
        yield f"{verb} the default mark from {plan.default.label}"


def _described(account: Account) -> str:
    """Return the account in words; never its secrets."""
    parts = [
        "default" if account.is_default else "not the default",
        "enabled" if account.enabled else "disabled",
        account.trading_mode.value,
        "needs a login" if account.needs_login else "its login is alive",
    ]
    return f"{account.label} ({account.broker_id}): {', '.join(parts)}"


def _next(account: Account) -> Iterator[str]:
    if account.needs_login:
        yield "log in with /login in the chat"
    yield "the old document is as it was; stop the old program before strategies trade here"


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
