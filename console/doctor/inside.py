"""Checks of what is in the store: the store itself, owners, accounts, and what accounts need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from bot.views.words import token_state
from console.doctor.console_questions import Question, questions_of
from console.doctor.finding import Finding, fail, ok, warn
from console.doctor.machine import talks_to_real_brokers
from core.bootstrap import System
from core.bootstrap.backups import kept_backups, passphrase_of
from core.config import Settings
from core.domain.account import Account
from core.domain.owner import BotOwner, Way
from core.domain.route import Route
from core.domain.shared_address import has_way_out, seen_trouble, unexplained_sharers, way_out
from core.engine.users import owners as owners_of
from core.errors import BrokerReadError, VaultError
from core.inspection import StoreLook
from core.ports.address_probe import Sighted, Sighting

__all__ = ["accounts", "addresses", "backups", "console_questions", "masters", "owners", "store"]

_OLD = timedelta(hours=36)
_HOURS_UP_TO = 72


def store(look: StoreLook, settings: Settings) -> list[Finding]:
    """Report the kind of the store, and whether live accounts may use it."""
    kind = look.foundation.store_kind
    text = f"{kind}, {look.origin}"
    if look.schema is None:
        text += "; empty, the controller's first start fills it"
    else:
        text += "; transactions work"
    found = [ok("store", text), *_schema(look)]
    if kind == "embedded":
        found.append(_beta(settings))
    return found


def _schema(look: StoreLook) -> Iterable[Finding]:
    if look.is_half_restored:
        text = "a restore into it was not finished, and nothing starts on it"
        yield fail("store", text, "run saarthi restore again")
    if look.schema is None or look.schema == look.known_schema:
        return
    text = f"its schema has version {look.schema}, this program knows {look.known_schema}"
    if look.schema > look.known_schema:
        yield fail("store", text, "start the newer Saarthi that wrote it")
    else:
        yield ok("store", f"{text}; the next start migrates it")


def _beta(settings: Settings) -> Finding:
    text = "the built-in database is beta"
    advice = "use a MongoDB replica set (MONGODB_URI) or a mongod for live accounts"
    if settings.accept_embedded_store_for_live:
        return warn("store", f"{text}; you accepted it for live brokers", advice)
    if not talks_to_real_brokers(settings):
        return warn("store", f"{text}; brokers are refused until you accept it", advice)
    return fail(
        "store",
        f"{text}, and live brokers need an explicit yes",
        f"{advice}, or set SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE=yes",
    )


async def backups(system: System, settings: Settings) -> list[Finding]:
    """Say how old the newest backup is, and what opens it."""
    now = system.foundation.clock.now()
    kept = kept_backups(settings)
    since = await system.accounts.first_at()
    if not kept:
        text = f"none yet in {settings.backups_dir}; the controller makes one each evening"
        if since is None or now - since < _OLD:
            return [ok("backup", text)]
        return [warn("backup", text, "see the log, or make one now: saarthi backup")]
    newest = kept[0]
    hours = (now - newest.made_at).total_seconds() / 3600
    age = f"{hours:.0f} h" if hours < _HOURS_UP_TO else f"{hours / 24:.0f} days"
    opened = "its keys or your passphrase" if passphrase_of(settings) else "its keys alone"
    text = f"{len(kept)}, the newest {age} old: {newest.path}, opened by {opened}"
    if now - newest.made_at > _OLD:
        return [warn("backup", text, "see the log, or make one now: saarthi backup")]
    return [ok("backup", f"{text}; copy them to another machine too")]


async def owners(look: StoreLook, settings: Settings) -> list[Finding]:
    """Check that the bot has an owner, and say how each came in."""
    known = await owners_of(look.foundation.store, settings.owners)
    if known:
        return [ok("owners", f"Telegram users {', '.join(map(_owner, known))}")]
    return [
        warn(
            "owners",
            "nobody may use the bot yet",
            "saarthi run prints a code for /pair, or set SAARTHI_OWNERS",
        )
    ]


def _owner(owner: BotOwner) -> str:
    way = "listed" if owner.way is Way.LISTED else "paired"
    return f"{owner.user_id} ({way})"


async def accounts(system: System) -> list[Finding]:
    """Check each account's login and that its secrets can be opened."""
    found = []
    for account in await system.accounts.all():
        found.append(_login(account))
        found += await _secrets(system, account)
    return found or [ok("accounts", "none yet: /add in the chat connects one")]


def _login(account: Account) -> Finding:
    state = "enabled" if account.enabled else "disabled"
    text = f"{account.label} ({account.broker_id}): {state}, {token_state(account)}"
    if account.parked_reason:
        return warn(
            "accounts", f"{text}, nothing is sent: {account.parked_reason}", "see its dashboard"
        )
    if account.needs_login and (account.enabled or account.is_default):
        return warn("accounts", text, "log in with /login in the chat")
    return ok("accounts", text)


async def _secrets(system: System, account: Account) -> Sequence[Finding]:
    try:
        await system.accounts.credentials(account.broker_id)
    except VaultError as error:
        advice = "bring back the key that sealed them, or send key and secret again: /brokers, Edit"
        return [fail("secret key", f"{account.label}: {error}", advice)]
    return []


async def masters(system: System) -> list[Finding]:
    """Load each broker's instrument master, which needs no login."""
    found = []
    for broker in system.connections.brokers:
        if broker.is_paper:
            continue  # it trades by the list of the data account
        try:
            rows = await system.connections.broker(broker).instruments.load()
        except BrokerReadError as error:
            text = f"{broker.label}'s cannot be loaded: {error}"
            found.append(fail("instruments", text, "no symbol can be resolved; check the network"))
        else:
            found.append(ok("instruments", f"{broker.label}: {len(rows)}"))
    return found


async def addresses(system: System) -> list[Finding]:
    """Look where accounts' requests leave, compare it with what is registered, and who shares it.

    Each way out is looked at once; nothing is sent to a broker (A12).
    """
    accounts = [one for one in await system.accounts.all() if has_way_out(one)]
    sighted: dict[Route, Sighting] = {}
    found = []
    for account in accounts:
        try:
            route = await system.accounts.route(account.broker_id)
        except VaultError:
            continue  # said among the accounts
        if route not in sighted:
            sighted[route] = await system.probe.look(route)
        found.append(_address(account, sighted[route]))
    for account in accounts:
        found += _shared(account, accounts)
    return found


async def console_questions(system: System, settings: Settings) -> list[Question]:
    """Return what to ask of the consoles of the brokers in use; of all, before the first account.

    Where nothing of an account's address is known yet, the question names no address.
    """
    accounts = [one for one in await system.accounts.all() if has_way_out(one)]
    leaves: dict[str, dict[str, None]] = {}
    for account in accounts:
        known = account.registered or (account.address_seen, account.source_address or "")
        found = leaves.setdefault(account.broker.name, {})
        found.update(dict.fromkeys([one for one in known if one][: len(account.registered) or 1]))
    offered = [one for one in system.connections.brokers if not one.is_paper]
    used = {account.broker for account in accounts} or set(offered)
    brokers = [one for one in offered if one in used]
    return questions_of(brokers, settings, {name: tuple(found) for name, found in leaves.items()})


def _address(account: Account, sighting: Sighting) -> Finding:
    text = f"{account.label} leaves from {way_out(account)}"
    broker = account.broker
    if sighting.kind is Sighted.ABSENT:
        return fail("address", f"{text}: {sighting.why}", "bring it back, or take another way")
    known = " and ".join(account.registered)
    if sighting.kind is Sighted.UNKNOWN:
        said = f"registered is {known}" if known else "no registered address was noted"
        return ok("address", f"{text}; {said}; not checked: {sighting.why}")
    trouble = seen_trouble(sighting.address, account.registered, broker.label)
    if trouble:
        advice = f"register it at {broker.console}, or let the account leave from another address"
        return fail("address", f"{account.label}: {trouble}", advice)
    if not known:
        text += f" and is seen at {sighting.address}; no registered address was noted"
        advice = f"note what {broker.console} holds: /brokers, Edit, Address"
        return warn("address", text, advice)
    return ok("address", f"{text} and is seen at {sighting.address}, which is registered")


def _shared(account: Account, accounts: Sequence[Account]) -> Iterable[Finding]:
    """Warn once for each pair that shares an address without a stated reason."""
    for other in unexplained_sharers(account, accounts):
        if account.broker_id > other.broker_id:
            continue
        users = [f"{one.label} ({one.user_id or 'not logged in yet'})" for one in (account, other)]
        yield warn(
            "address",
            f"{' and '.join(users)} share an address, and it was not said why they may",
            "say whose they are: /brokers, Edit, Address, Why shared",
        )
