"""The one registry of commands and of buttons: handlers, menu and help all read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.conversation.dispatch import Action, Handler
from bot.edge.menu import CommandHelp
from bot.handlers import accounts, dashboard, login, modes, orders, start, strategies
from bot.wizard import answers

__all__ = ["ACTIONS", "COMMANDS", "CommandEntry", "command_help"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command of the chat."""

    name: str
    summary: str
    handler: Handler


COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry("start", "Greeting and today's state", start.start),
    CommandEntry(
        "dashboard", "One account: funds, profit, positions, orders", dashboard.show_dashboard
    ),
    CommandEntry("brokers", "Your accounts: enable, edit, log in", accounts.brokers),
    CommandEntry("add", "Connect another account", answers.begin),
    CommandEntry("login", "Morning round: all logins in one message", login.morning_round),
    CommandEntry("strategies", "Strategies: switch, parameters, run now", strategies.listing),
    CommandEntry("positions", "Open positions, with Close", dashboard.positions),
    CommandEntry("orders", "Today's orders, with Cancel", dashboard.orders),
    CommandEntry("trades", "Today's trades", dashboard.trades),
    CommandEntry("pnl", "Today's profit", dashboard.pnl),
    CommandEntry("mode", "Normal, exit only, paused", modes.panel),
    CommandEntry("settings", "Settings", start.settings),
    CommandEntry("health", "How I am doing", start.health),
    CommandEntry("help", "What I can do", start.help_),
    CommandEntry("cancel", "Stop the question that I am asking", start.cancel),
)

ACTIONS: Mapping[str, Action] = {
    # to look at something
    "dash": Action(dashboard.show_dashboard, "/dashboard"),
    "brokers": Action(accounts.brokers, "/brokers"),
    "acc": Action(accounts.page, "/brokers"),
    "mode": Action(modes.panel, "/mode"),
    "drain": Action(modes.drain, "/mode"),
    "strats": Action(strategies.listing, "/strategies"),
    "strat": Action(strategies.page, "/strategies"),
    "pars": Action(strategies.parameters, "/strategies"),
    "asg": Action(strategies.assignment, "/strategies"),
    "posn": Action(dashboard.positions, "/positions"),
    "ords": Action(dashboard.orders, "/orders"),
    "trds": Action(dashboard.trades, "/trades"),
    "pnl": Action(dashboard.pnl, "/pnl"),
    "health": Action(start.health, "/health"),
    "help": Action(start.help_, "/help"),
    "share": Action(login.share, "/brokers"),
    "login": Action(login.login, "/login"),
    # to be asked something
    "add": Action(answers.begin, "/add"),
    "wiz": Action(answers.move, "/add"),
    "drop": Action(start.cancel, "/start"),
    "ren": Action(accounts.ask_name, "/brokers"),
    "disc": Action(accounts.ask_disconnect, "/brokers"),
    "ask_mode": Action(modes.ask, "/mode"),
    "ask_run": Action(strategies.ask_run, "/strategies"),
    "ask_cxall": Action(orders.ask_cancel_all, "/orders"),
    "par": Action(strategies.ask_parameter, "/strategies"),
    "a_size": Action(strategies.ask_size, "/strategies"),
    "set": Action(start.ask_setting, "/settings"),
    "pos": Action(orders.ask_close, "/positions"),
    "ord": Action(orders.ask_cancel_order, "/orders"),
    "unres": Action(orders.ask_resolve, "/orders"),
    # to change something that is changed back as easily
    "on": Action(accounts.enable, "/brokers", is_change=True),
    "off": Action(accounts.disable, "/brokers", is_change=True),
    "def": Action(accounts.set_default, "/brokers", is_change=True),
    "s_on": Action(strategies.switch_on, "/strategies", is_change=True),
    "s_off": Action(strategies.switch_off, "/strategies", is_change=True),
    "a_on": Action(strategies.switch_assignment_on, "/strategies", is_change=True),
    "a_off": Action(strategies.switch_assignment_off, "/strategies", is_change=True),
    "a_prod": Action(strategies.set_product, "/strategies", is_change=True),
    "nowarn": Action(login.dismiss, "/login", is_change=True),
    # to change something for good: a nonce each
    "dis": Action(accounts.disable_with, "/brokers", has_nonce=True),
    "discok": Action(accounts.disconnect, "/brokers", has_nonce=True),
    "mode_ok": Action(modes.change, "/mode", has_nonce=True),
    "close": Action(orders.close, "/positions", has_nonce=True),
    "cx": Action(orders.cancel_order, "/orders", has_nonce=True),
    "cxall": Action(orders.cancel_all, "/orders", has_nonce=True),
    "res": Action(orders.resolve_order, "/orders", has_nonce=True),
    "run": Action(strategies.run_now, "/strategies", has_nonce=True),
}


def command_help() -> tuple[CommandHelp, ...]:
    """Return the commands as the help shows them."""
    return tuple(CommandHelp(one.name, one.summary) for one in COMMANDS)
