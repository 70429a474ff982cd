"""From where an account's orders leave, set from the chat (A12)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bot.conversation.visit import Visit
from bot.views.addresses import (
    OTHER,
    OWN,
    PROXY,
    address_page,
    registered_choice,
    registered_question,
    route_question,
    sharing_question,
    typed_route_question,
)
from bot.views.markup import bold, esc
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.domain.account import Account, Sharing
from core.domain.route import checked_address, checked_addresses, checked_proxy
from core.domain.shared_address import way_out
from core.errors import StoreError, UserError

__all__ = [
    "answer_local",
    "answer_proxy",
    "answer_registered",
    "ask_registered",
    "ask_route",
    "ask_sharing",
    "check",
    "page",
    "set_registered",
    "set_route",
    "set_sharing",
    "type_route",
]


async def page(visit: Visit) -> None:
    """Show where an account's orders leave."""
    await _show(visit, await visit.services.control.accounts.get(visit.tap.argument(0)))


async def check(visit: Visit) -> None:
    """Look again, and show what was found."""
    broker_id = visit.tap.argument(0)
    check_it = partial(visit.services.control.addresses.check, broker_id)
    await _show(visit, await visit.look(broker_id, check_it))


async def _show(visit: Visit, account: Account, note: str = "") -> None:
    try:
        sharers = await visit.services.control.addresses.sharers(account)
    except StoreError:
        if not note:
            raise
        # What was set is set, and is said all the same.
        await visit.send(Screen(f"{note}\nThe rest cannot be shown: the database does not answer."))
        return
    screen = address_page(_by_market(visit, account), sharers)
    await visit.show(screen.with_note(note) if note else screen)


def _by_market(visit: Visit, account: Account) -> Account:
    """Return an account whose times are the market's, as all that the chat shows."""
    clock = visit.services.clock
    seen, changed = account.address_checked_at, account.registered_at
    return replace(
        account,
        address_checked_at=clock.market_at(seen) if seen else None,
        registered_at=clock.market_at(changed) if changed else None,
    )


async def ask_route(visit: Visit) -> None:
    """Ask from where the account's requests shall leave."""
    control = visit.services.control
    account = await control.accounts.get(visit.tap.argument(0))
    await visit.show(route_question(account, control.addresses.local_addresses()))


async def set_route(visit: Visit) -> None:
    """Let the account leave from the chosen address of this machine."""
    broker_id, chosen = visit.tap.argument(0), visit.tap.argument(1)
    address = None if chosen == OWN else checked_address(chosen)
    account = await visit.services.control.addresses.set_local(visit.command, broker_id, address)
    await _show(visit, account, _taken(account))


def _taken(account: Account) -> str:
    return f"✅ {bold(account.label)} leaves from {esc(way_out(account))} from now on."


async def type_route(visit: Visit) -> None:
    """Ask for an address or a proxy that has to be typed."""
    account = await visit.services.control.accounts.get(visit.tap.argument(0))
    what = visit.tap.argument(1)
    if what not in {OTHER, PROXY}:
        raise UserError("I do not know that choice. Open /brokers again.")
    await _ask(visit, account, "proxy" if what == PROXY else "local", what)


async def _ask(visit: Visit, account: Account, kind: str, what: str) -> None:
    # A proxy may bring a password along: its question is one for a secret.
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        kind,
        "secret" if kind == "proxy" else "address",
        {"broker_id": account.broker_id},
        update_id=visit.update_id,
    )
    screen = (
        registered_question(account)
        if kind == "registered"
        else typed_route_question(account, what)
    )
    await visit.services.prompts.shown_in(prompt, await visit.send(screen))


async def answer_local(visit: Visit, broker_id: str) -> None:
    """Let the account leave from the address that the user typed."""
    address = checked_address(visit.text)
    account = await visit.services.control.addresses.set_local(visit.command, broker_id, address)
    await _show(visit, account, _taken(account))


async def answer_proxy(visit: Visit, broker_id: str) -> None:
    """Let the account leave through the proxy that the user typed; the message is deleted."""
    proxy = checked_proxy(visit.text)
    account = await visit.services.control.addresses.set_proxy(visit.command, broker_id, proxy)
    await _show(visit, account, _taken(account))


async def ask_registered(visit: Visit) -> None:
    """Ask which address the broker's console holds."""
    account = await visit.services.control.accounts.get(visit.tap.argument(0))
    await _ask(visit, account, "registered", "")


async def answer_registered(visit: Visit, broker_id: str) -> None:
    """Ask when the typed address was registered: the broker takes one change a week."""
    addresses = checked_addresses(visit.text)
    account = await visit.services.control.accounts.get(broker_id)
    args = {"broker_id": broker_id, "addresses": list(addresses)}
    nonce = await visit.issue(Verb.SET_REGISTERED, args)
    now = visit.services.clock.market_now()
    await visit.show(registered_choice(_by_market(visit, account), addresses, nonce, now))


async def set_registered(visit: Visit) -> None:
    """Note the address, and whether it was changed just now."""
    account = await visit.services.control.addresses.set_registered(
        visit.command,
        visit.args["broker_id"],
        visit.args["addresses"],
        is_change=visit.tap.argument(1) == "new",
    )
    await _show(visit, account)


async def ask_sharing(visit: Visit) -> None:
    """Ask why the account may share its address."""
    control = visit.services.control
    account = await control.accounts.get(visit.tap.argument(0))
    await visit.show(sharing_question(account, await control.addresses.sharers(account)))


async def set_sharing(visit: Visit) -> None:
    """Note why the account may share its address."""
    broker_id, chosen = visit.tap.argument(0), visit.tap.argument(1)
    if chosen not in {*Sharing, "none"}:
        raise UserError("I do not know that choice. Open /brokers again.")
    sharing = None if chosen == "none" else Sharing(chosen)
    account = await visit.services.control.addresses.set_sharing(visit.command, broker_id, sharing)
    await _show(visit, account)
