"""The registry of commands and buttons, which the dispatcher, the menu and /help read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.conversation.dispatch import Action, Handler
from bot.edge.menu import CommandHelp
from bot.handlers import (
    accounts,
    addresses,
    dashboard,
    limits,
    links,
    login,
    modes,
    orders,
    owners,
    panic,
    paper,
    parameters,
    result_guards,
    start,
    stops,
    strategies,
    unresolved,
)
from bot.views.verbs import Verb
from bot.wizard import answers, renewal

__all__ = ["ACTIONS", "COMMANDS", "CommandEntry", "command_help"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command of the chat."""

    name: str
    summary: str
    handler: Handler


COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry("start", "Greeting and today's state", start.start),
    CommandEntry("dashboard", "One account now", dashboard.show_dashboard),
    CommandEntry("brokers", "Your accounts", accounts.brokers),
    CommandEntry("add", "Connect another account", answers.begin),
    CommandEntry("login", "All logins of the morning", login.morning_round),
    CommandEntry("strategies", "Switch, tune and run", strategies.listing),
    CommandEntry("positions", "What is held", dashboard.positions),
    CommandEntry("orders", "Today's orders", dashboard.orders),
    CommandEntry("trades", "Today's trades", dashboard.trades),
    CommandEntry("pnl", "Today's profit", dashboard.pnl),
    CommandEntry("mode", "Normal, exit only, paused", modes.panel),
    CommandEntry("panic", "Close everything now", panic.ask),
    CommandEntry("limits", "Limits of loss and orders", limits.overview),
    CommandEntry("guard", "Guards on the day's result", result_guards.overview),
    CommandEntry("settings", "Settings", start.settings),
    CommandEntry("owners", "Who may use me", owners.listing),
    CommandEntry("health", "How I am doing", start.health),
    CommandEntry("help", "What I can do", start.help_),
    CommandEntry("cancel", "End my question", start.cancel),
)

ACTIONS: Mapping[Verb, Action] = {
    # show something
    Verb.DASHBOARD: Action(dashboard.show_dashboard, "/dashboard"),
    Verb.ACCOUNTS: Action(accounts.brokers, "/brokers"),
    Verb.ACCOUNT: Action(accounts.page, "/brokers"),
    Verb.MODES: Action(modes.panel, "/mode"),
    Verb.DRAIN_VIEW: Action(modes.drain, "/mode"),
    Verb.LIMITS: Action(limits.overview, "/limits"),
    Verb.LIMIT: Action(limits.page, "/limits"),
    Verb.LIMIT_CHANGES: Action(limits.changes, "/limits"),
    Verb.STRATEGIES: Action(strategies.listing, "/strategies"),
    Verb.STRATEGY: Action(strategies.page, "/strategies"),
    Verb.PARAMETERS: Action(parameters.parameters, "/strategies"),
    Verb.ASSIGNMENT: Action(strategies.assignment, "/strategies"),
    Verb.POSITIONS: Action(dashboard.positions, "/positions"),
    Verb.ORDERS: Action(dashboard.orders, "/orders"),
    Verb.TRADES: Action(dashboard.trades, "/trades"),
    Verb.PNL: Action(dashboard.pnl, "/pnl"),
    Verb.HEALTH: Action(start.health, "/health"),
    Verb.SETTINGS: Action(start.settings, "/settings"),
    Verb.HELP: Action(start.help_, "/help"),
    Verb.GUARDS: Action(result_guards.overview, "/guard"),
    Verb.GUARD: Action(result_guards.page, "/guard"),
    Verb.GUARD_PART: Action(result_guards.part, "/guard"),
    Verb.SHARE_LOGIN: Action(links.page, "/brokers"),
    Verb.ADDRESS: Action(addresses.page, "/brokers"),
    Verb.ADDRESS_CHECK: Action(addresses.check, "/brokers", toast="Looking …"),
    Verb.LOGIN: Action(login.login, "/login"),
    Verb.OWNERS: Action(owners.listing, "/owners"),
    # ask something
    Verb.ADD_ACCOUNT: Action(answers.begin, "/add"),
    Verb.WIZARD_STEP: Action(answers.move, "/add"),
    Verb.DROP_QUESTION: Action(start.cancel, "/start"),
    Verb.ASK_NAME: Action(accounts.ask_name, "/brokers"),
    Verb.ASK_DISCONNECT: Action(accounts.ask_disconnect, "/brokers"),
    Verb.ASK_RENEWAL: Action(renewal.ask_renewal, "/brokers"),
    Verb.KEEP_KEY: Action(renewal.keep_key, "/brokers"),
    Verb.ASK_ROUTE: Action(addresses.ask_route, "/brokers"),
    Verb.TYPE_ROUTE: Action(addresses.type_route, "/brokers"),
    Verb.ASK_REGISTERED: Action(addresses.ask_registered, "/brokers"),
    Verb.ASK_SHARING: Action(addresses.ask_sharing, "/brokers"),
    Verb.ASK_MODE: Action(modes.ask, "/mode"),
    Verb.ASK_LIMIT: Action(limits.ask, "/limits"),
    Verb.ASK_NO_LIMIT: Action(limits.ask_removal, "/limits"),
    Verb.ASK_ROUND_TRIP: Action(limits.ask_round_trip, "/limits"),
    Verb.ASK_RUN: Action(strategies.ask_run, "/strategies"),
    Verb.ASK_CANCEL_ALL: Action(orders.ask_cancel_all, "/orders"),
    Verb.ASK_PARAMETER: Action(parameters.ask_parameter, "/strategies"),
    Verb.ASK_SIZE: Action(strategies.ask_size, "/strategies"),
    Verb.ASK_SETTING: Action(start.ask_setting, "/settings"),
    Verb.ASK_CLOSE: Action(orders.ask_close, "/positions"),
    Verb.ASK_CANCEL_ORDER: Action(orders.ask_cancel_order, "/orders"),
    Verb.ASK_RESOLVE: Action(unresolved.ask_resolve, "/orders"),
    Verb.ASK_BROKER: Action(unresolved.ask_broker, "/orders", toast="Asking the broker …"),
    Verb.ASK_BELIEVE: Action(orders.ask_believe, "/positions"),
    Verb.ASK_PANIC: Action(panic.ask, "/panic"),
    Verb.PANIC_PICK: Action(panic.pick, "/panic"),
    Verb.ASK_STOP_PANIC: Action(panic.ask_stop, "/panic"),
    Verb.ASK_REMOVE_OWNER: Action(owners.ask_removal, "/owners"),
    Verb.ASK_PAPER_MONEY: Action(paper.ask_money, "/brokers"),
    Verb.TYPE_GUARD: Action(result_guards.type_value, "/guard"),
    Verb.ASK_GUARD: Action(result_guards.ask_value, "/guard"),
    Verb.ASK_GUARD_LOCK: Action(result_guards.ask_lock, "/guard"),
    # change something that one tap changes back
    Verb.ENABLE_ACCOUNT: Action(accounts.enable, "/brokers", is_change=True),
    Verb.DISABLE_ACCOUNT: Action(accounts.disable, "/brokers", is_change=True),
    Verb.SET_DEFAULT: Action(accounts.set_default, "/brokers", is_change=True),
    Verb.ENABLE_STRATEGY: Action(strategies.switch_on, "/strategies", is_change=True),
    Verb.DISABLE_STRATEGY: Action(strategies.switch_off, "/strategies", is_change=True),
    Verb.ENABLE_ASSIGNMENT: Action(strategies.switch_assignment_on, "/strategies", is_change=True),
    Verb.DISABLE_ASSIGNMENT: Action(
        strategies.switch_assignment_off, "/strategies", is_change=True
    ),
    Verb.PICK_PARAMETER: Action(parameters.pick_parameter, "/strategies", is_change=True),
    Verb.PICK_SETTING: Action(start.pick_setting, "/settings", is_change=True),
    Verb.SET_PRODUCT: Action(strategies.set_product, "/strategies", is_change=True),
    Verb.DISMISS_WARNING: Action(login.dismiss, "/login", is_change=True),
    Verb.MAKE_LINK: Action(links.make, "/brokers", is_change=True),
    Verb.REVOKE_LINK: Action(links.revoke, "/brokers", is_change=True),
    Verb.SET_ROUTE: Action(addresses.set_route, "/brokers", is_change=True),
    Verb.SET_SHARING: Action(addresses.set_sharing, "/brokers", is_change=True),
    Verb.RESTORE_STOP: Action(stops.put_back, "/positions", is_change=True),
    Verb.SET_PAPER_MONEY: Action(paper.set_money, "/brokers", is_change=True),
    Verb.LOOSEN_GUARD: Action(result_guards.loosen, "/guard", is_change=True),
    Verb.KEEP_GUARD: Action(result_guards.keep, "/guard", is_change=True),
    # change something for good: each has a nonce
    Verb.DISABLE_WITH_POLICY: Action(accounts.disable_with, "/brokers", has_nonce=True),
    Verb.DISCONNECT: Action(accounts.disconnect, "/brokers", has_nonce=True),
    Verb.SET_REGISTERED: Action(addresses.set_registered, "/brokers", has_nonce=True),
    Verb.CHANGE_MODE: Action(modes.change, "/mode", has_nonce=True),
    Verb.SET_LIMIT: Action(limits.set_limit, "/limits", has_nonce=True),
    Verb.REMOVE_LIMIT: Action(limits.remove, "/limits", has_nonce=True),
    Verb.ROUND_TRIP: Action(limits.round_trip, "/limits", has_nonce=True),
    Verb.CLOSE_POSITION: Action(orders.close, "/positions", has_nonce=True),
    Verb.CANCEL_ORDER: Action(orders.cancel_order, "/orders", has_nonce=True),
    Verb.CANCEL_ALL: Action(orders.cancel_all, "/orders", has_nonce=True),
    Verb.RESOLVE_ORDER: Action(unresolved.resolve_order, "/orders", has_nonce=True),
    Verb.BELIEVE_POSITIONS: Action(orders.believe, "/positions", has_nonce=True),
    Verb.SET_PARAMETER: Action(parameters.set_parameter, "/strategies", has_nonce=True),
    Verb.RUN_NOW: Action(strategies.run_now, "/strategies", has_nonce=True),
    Verb.SET_GUARD: Action(result_guards.put, "/guard", has_nonce=True),
    Verb.LOCK_GUARD: Action(result_guards.lock, "/guard", has_nonce=True),
    Verb.PANIC: Action(panic.start, "/panic", has_nonce=True),
    Verb.STOP_PANIC: Action(panic.stop, "/panic", has_nonce=True),
    Verb.REMOVE_OWNER: Action(owners.remove, "/owners", has_nonce=True),
}


def command_help() -> tuple[CommandHelp, ...]:
    """Return the commands as the help shows them."""
    return tuple(CommandHelp(one.name, one.summary) for one in COMMANDS)
