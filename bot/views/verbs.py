"""The verbs of buttons: each button carries one, and the registry maps it to its action.

Buttons stay in the chat forever and carry the value, so a value is never changed and never reused.
"""

from __future__ import annotations

from enum import StrEnum, unique

__all__ = ["Verb"]


@unique
class Verb(StrEnum):
    """What a button does when it is tapped; ``bot.registry.ACTIONS`` says how."""

    # show something
    DASHBOARD = "dash"
    ACCOUNTS = "brokers"
    ACCOUNT = "acc"
    MODES = "mode"
    LIMITS = "lims"
    LIMIT = "limit"
    DRAIN_VIEW = "drain"
    STRATEGIES = "strats"
    STRATEGY = "strat"
    PARAMETERS = "pars"
    ASSIGNMENT = "asg"
    POSITIONS = "posn"
    ORDERS = "ords"
    TRADES = "trds"
    PNL = "pnl"
    HEALTH = "health"
    HELP = "help"
    SHARE_LOGIN = "share"
    LOGIN = "login"
    # ask something
    ADD_ACCOUNT = "add"
    WIZARD_STEP = "wiz"
    DROP_QUESTION = "drop"
    ASK_NAME = "ren"
    ASK_DISCONNECT = "disc"
    ASK_RENEWAL = "renew"
    KEEP_KEY = "keepkey"
    ASK_MODE = "ask_mode"
    ASK_LIMIT = "ask_lim"
    ASK_NO_LIMIT = "ask_nolim"
    ASK_RUN = "ask_run"
    ASK_CANCEL_ALL = "ask_cxall"
    ASK_PARAMETER = "par"
    ASK_SIZE = "a_size"
    ASK_SETTING = "set"
    ASK_CLOSE = "pos"
    ASK_CANCEL_ORDER = "ord"
    ASK_RESOLVE = "unres"
    ASK_BROKER = "ask_brk"
    ASK_BELIEVE = "ask_bel"
    ASK_PANIC = "ask_pn"
    PANIC_PICK = "pn_pick"
    ASK_STOP_PANIC = "ask_pnx"
    # change something that one tap changes back
    ENABLE_ACCOUNT = "on"
    DISABLE_ACCOUNT = "off"
    SET_DEFAULT = "def"
    ENABLE_STRATEGY = "s_on"
    DISABLE_STRATEGY = "s_off"
    ENABLE_ASSIGNMENT = "a_on"
    DISABLE_ASSIGNMENT = "a_off"
    SET_PRODUCT = "a_prod"
    DISMISS_WARNING = "nowarn"
    RESTORE_STOP = "stop_on"
    # change something for good: each has a nonce
    DISABLE_WITH_POLICY = "dis"
    DISCONNECT = "discok"
    CHANGE_MODE = "mode_ok"
    SET_LIMIT = "lim_ok"
    REMOVE_LIMIT = "nolim_ok"
    CLOSE_POSITION = "close"
    CANCEL_ORDER = "cx"
    CANCEL_ALL = "cxall"
    RESOLVE_ORDER = "res"
    BELIEVE_POSITIONS = "bel"
    RUN_NOW = "run"
    PANIC = "panic"
    STOP_PANIC = "pnx"
