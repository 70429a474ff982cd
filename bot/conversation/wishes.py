"""What a typed sentence asks for: a mode, the end of a position, an order of one's own. Pure.

Words are matched, not parsed (decision 30). What is found here leads to a question or to buttons,
never to a deed; whose account or which position is meant is for the handler to find out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bot.conversation.hindi import in_english
from core.domain.mode import TradingMode

__all__ = ["Wish", "WishKind", "names_in", "wish_of"]

_LONGEST = 60
_MOST_NAMES = 6
_SHORT = 4
_VERBS = {"close", "exit", "sell", "buy", "squareoff"}
_WORD = re.compile(r"[a-z0-9&][a-z0-9&.:_-]*")
_POLITE = {
    "please",
    "pls",
    "plz",
    "kindly",
    "hey",
    "hi",
    "saarthi",
    "can",
    "could",
    "you",
    "i",
    "want",
}
_SMALL = {"a", "an", "the", "my", "our", "in", "on", "of", "for", "to", "at", "from", "with", "and"}
_PLACES = {"account", "accounts", "broker", "brokers", "position", "positions", "trade", "trades"}
_ALL = {"all", "everything", "every", "everyone", "both"}
_NOW = {"now", "immediately", "asap", "quickly", "again", "back", "market"}
_MODES = {"mode", "trading", "strategies", "strategy", "entries", "only", "just", "it"} | {
    *("new", "more", "fresh", "today", "buying", "orders"),
}
_DEEDS_OF_MODE = {"set", "put", "switch", "turn", "make", "go", "be", "into"}
_FILLERS = _POLITE | _SMALL | _PLACES | _NOW | _ALL
_PAUSE = {"pause", "paused", "pausing", "suspend"}
_NORMAL = {"resume", "unpause", "normal", "continue", "unfreeze"}
_BEGIN = re.compile(r"^(?:re)?start (?:all )?trading\b")
_EXIT_ONLY = re.compile(r"\bexits?[ -]?only\b|\bonly exits?\b|\bno (?:new|more) \w+\b|\bexitonly\b")
_CLOSE = re.compile(
    r"^(?:square[ -]?off|squareoff|square|close|exit|flatten|cover|liquidate|sell|dump"
    r"|get (?:me )?out|get rid|book (?:profits?|loss(?:es)?)|take profits?|cut)\b"
)
_STOP = re.compile(r"^(?:stop|halt|freeze)\b")
_ENTER = re.compile(
    r"^(?:buy|long|short|enter|purchase|accumulate|go (?:long|short)|open a"
    r"|place (?:an? )?orders?)\b"
)
_CANCEL = re.compile(r"^(?:cancel|withdraw|remove|delete|kill)\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|half|some|part")
_UNITS = {
    "share",
    "shares",
    "qty",
    "quantity",
    "lot",
    "lots",
    "unit",
    "units",
    "nos",
    "rs",
    "order",
    "orders",
    "it",
    "this",
    "that",
    "them",
    "today",
}
_ORDERS = {"order", "orders"}
_OUT = {
    "out",
    "off",
    "up",
    "down",
    "mis",
    "nrml",
    "cnc",
    "intraday",
    "holding",
    "holdings",
    "profit",
}


class WishKind(Enum):
    """What is asked for."""

    MODE = "a trading mode"
    CLOSE = "the end of a position"
    ENTER = "an order that opens or grows a position"
    CANCEL = "the end of an order"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, in words that are still to be looked up.

    Attributes:
        names: Words that may name accounts or instruments, lower case, in their order.
        mode: Of a mode, which.
        is_sale: It said "sell", which closes what is held, or else opens a short position.
        is_stop: It said "stop", which is also the first word of other things: "stop loss".
        is_part: It named a number of units, or a part.
        is_all: It said "all" or the like.
    """

    kind: WishKind
    names: tuple[str, ...] = ()
    mode: TradingMode | None = None
    is_sale: bool = False
    is_stop: bool = False
    is_part: bool = False
    is_all: bool = False


def wish_of(text: str) -> Wish | None:
    """Return what a typed sentence asks for, or None where it asks for none of this."""
    english = in_english(text)
    said = " ".join(english.casefold().replace("’", "'").split())
    if not said or len(said) > _LONGEST or said.startswith("/") or said.endswith("?"):
        return None
    said = " ".join(_without(said.split(" "), _POLITE))
    return (
        _of_mode(said)
        or _of_orders(said)
        or _of_orders(_verb_first(said, is_hindi=english != text))
    )


def _verb_first(said: str, *, is_hindi: bool) -> str:
    """Return ``sbin close`` as ``close sbin``: people name first what they look at.

    In English a last "stop" is a noun.
    """
    words = said.split(" ")
    is_verb = words[-1] in _VERBS or (is_hindi and words[-1] == "stop")
    is_short = 1 < len(words) <= _SHORT
    return " ".join([words[-1], *words[:-1]]) if is_short and is_verb else said


def names_in(text: str) -> tuple[str, ...]:
    """Return the words of a text that may name something."""
    return _names(text.casefold(), set())


def _without(words: Sequence[str], left_out: set[str]) -> list[str]:
    return [one for one in words if one.strip("!.,?") not in left_out]


def _names(said: str, more: set[str]) -> tuple[str, ...]:
    words = [one.strip(".:-_") for one in _WORD.findall(said)]
    return tuple(one for one in words if one and one not in _FILLERS | more)


def _of_mode(said: str) -> Wish | None:
    words = set(_WORD.findall(said))
    mode = None
    if found := _EXIT_ONLY.search(said):
        mode, said = TradingMode.EXIT_ONLY, said.replace(found.group(), " ")
    elif words & _PAUSE:
        mode = TradingMode.PAUSED
    elif words & _NORMAL:
        mode = TradingMode.NORMAL
    elif found := _BEGIN.search(said):
        mode, said = TradingMode.NORMAL, said.replace(found.group(), " ")
    if mode is None:
        return None
    names = _names(said, _PAUSE | _NORMAL | _MODES | _DEEDS_OF_MODE)
    return Wish(WishKind.MODE, names, mode, is_all=bool(words & _ALL))


def _of_orders(said: str) -> Wish | None:
    for pattern, kind in (
        (_CLOSE, WishKind.CLOSE),
        (_STOP, WishKind.CLOSE),
        (_ENTER, WishKind.ENTER),
        (_CANCEL, WishKind.CANCEL),
    ):
        found = pattern.match(said)
        if found is None:
            continue
        rest = said[found.end() :]
        is_of_orders = kind is WishKind.CLOSE and bool(_ORDERS & set(_WORD.findall(rest)))
        words = _names(rest, _UNITS | _OUT)
        names = tuple(one for one in words if not _NUMBER.fullmatch(one))
        if len(names) > _MOST_NAMES:
            return None
        return Wish(
            WishKind.CANCEL if is_of_orders else kind,
            names,
            is_sale=found.group() == "sell",
            is_stop=pattern is _STOP,
            is_part=len(names) < len(words),
            is_all=bool(set(_WORD.findall(rest)) & (_ALL | {"orders"})),
        )
    return None
