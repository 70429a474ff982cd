"""What people type instead of a command: ``STOP``, ``pause everything``, ``pnl yesterday``. Pure.

Words that mean a panic lead to its question, never to a deed; others open the view that fits.
"""

from __future__ import annotations

import re

from bot.conversation.hindi import in_english
from core.domain.plain_text import plain_line

__all__ = [
    "COMMAND_OF",
    "asks_another_day",
    "daily_loss_in",
    "is_cancel_word",
    "is_negated",
    "is_panic_word",
    "meant_command",
    "view_alone",
]

_PANIC_MARKS = frozenset("🛑⛔🚨🆘")
_NO_LETTERS = re.compile(r"[\W_]+")
_LONGEST = 40
_DEEDS = ("stop", "exit", "close", "sell", "squareoff", "flatten", "halt", "kill")
_WHAT = ("", "all", "everything", "allnow", "everythingnow", "allpositions", "trading", "now")
_PANIC = frozenset(
    {"panic", "emergency", "emergencystop", "emergencyexit", "killswitch", "sos"}
    | {deed + what for deed in _DEEDS for what in _WHAT}
) - {
    # What a question may be answered with, or what is too little to mean everything.
    "exit",
    "close",
    "sell",
    "kill",
    "sellnow",
}
_WORDS = re.compile(r"[a-z]+")
_ALL = {"all", "everything", "every"}
_TRADING = {"trading"}
_EVERYTHING = _ALL | {
    *("my", "the", "our", "open", "position", "positions", "trade", "trades", "trading"),
    *("account", "accounts", "on", "of", "in", "and", "now", "immediately", "please"),
    *("today", "right", "away", "asap", "fast", "quickly"),
}
_ANOTHER_DAY = re.compile(
    r"\b(yesterday|tomorrow|last|previous|past|weekly|monthly|yearly|ytd|weeks?|months?|years?"
    r"|history|(mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_NOT = re.compile(
    r"\b(don'?t|do not|never|not|except|excluding|besides|other than|apart from|but)\b"
)
_LONG_LETTER = re.compile(r"(\w)\1{2,}")
_SQUARE_OFF = re.compile(r"\bsq(?:uare|r)?\.?[ -]?off\b")
_PRESSING = frozenset(
    {"please", "pls", "plz", "hey", "saarthi", "just", "ok", "okay", "it", "this", "bhai", "yaar"}
    | {"bro", "right", "away", "asap", "fast", "quickly", "immediately", "quick"}
)

_STOPS = r"(sl|stop ?loss(es)?)"
_REMOVE = r"(hata\w*|remove|cancel|delete|withdraw)"

COMMAND_OF: tuple[tuple[str, str], ...] = (
    # The stops at the broker are orders; what protects a position stands beside it.
    (rf"{_REMOVE} (\w+ )*{_STOPS}|{_STOPS} (\w+ )*{_REMOVE}", "orders"),
    (rf"(set|put|lagao|laga) (\w+ )*{_STOPS}|{_STOPS} (\w+ )*(\d+|set|lagao|laga)", "guard"),
    (r"sl (?=\w)|stop ?loss(es)?", "positions"),
    (r"(market|bazaar|bazar) (\w+ )*band|band (rahega|rahegi|rahe|hai|kya)|chh?utti", "health"),
    (r"limits?|max loss|daily loss", "limits"),
    (r"money|cash", "dashboard"),
    (
        r"pause|exit ?only|resume|normal|mode|kill|shut ?down|(turn|switch) off|stop (the )?bot",
        "mode",
    ),
    (r"guards?|target", "guard"),
    (
        r"p ?& ?l|p ?/ ?l|p n l|pnl|profits?|loss|results?|mtm|how much|gains?|earn(ed|ings?)?",
        "pnl",
    ),
    (r"positions?|holdings?|open trades?|portfolio", "positions"),
    (r"orders?|pending", "orders"),
    (r"trades?|fills?", "trades"),
    (r"logged in", "brokers"),
    (r"log ?in|token|otp", "login"),
    (r"(add|another|new)( \w+){0,2} accounts?|connect", "add"),
    (r"accounts?|brokers?", "brokers"),
    (r"strateg(y|ies)|parameters?|instruments?|size|quantity|qty|runs?", "strategies"),
    (r"dashboard|status|funds?|margin|balance|summary|happening|going on", "dashboard"),
    (
        r"health|alive|are you there|ping|market (open|closed?|hours|time)|holidays?|what time",
        "health",
    ),
    (r"(everything|all) (ok|okay|good|fine|well)", "health"),
    (r"settings?|capital", "settings"),
    (
        r"hi|hello|hey|namaste|start|menu|gm|good (morning|afternoon|evening)|who are you|home",
        "start",
    ),
    (r"help|what can you do|commands?", "help"),
    (r"(en|dis)able", "strategies"),
    (r"charges|brokerage|report|history|last (week|month|year)|yesterday", "pnl"),
    (r"cancel|never ?mind|forget it|abort|quit", "cancel"),
)
"""What a message is about, by its words, and the command that shows it; the first that fits."""
_CANCEL = re.compile(
    r"(please )?(cancel|never ?mind|forget it|leave it|abort|quit|cancel (it|this|that))"
)
_MAX_LOSS = re.compile(
    r"(?:set |put |my |please )*(?:max(?:imum)?|daily) loss(?: limit)?(?: to| of| at| is)?"
    r" (?:rs\.? ?|₹ ?|inr )?-?(\d[\d,.]* ?(?:k|l|lakh)?)"
)
_NO_VIEWS = frozenset({"start", "help", "cancel", "add"})
_PATTERNS = tuple((re.compile(rf"\b(?:{words})(?:\b|$)"), name) for words, name in COMMAND_OF)


def is_panic_word(text: str) -> bool:
    """Whether a typed message asks to stop or close everything, however it is written.

    In haste: ``stop stop stop``, ``STOPPPP``, ``just stop it``.
    """
    if len(text) > _LONGEST:
        return False
    marks = text.replace("\N{VARIATION SELECTOR-16}", "").replace(" ", "")
    if marks and set(marks) <= _PANIC_MARKS:
        return True
    if is_negated(text):
        return False
    said = _verb_first(in_english(_calm(plain_line(text))))
    words = _WORDS.findall(said)
    if "panic" in words or (words[1:] and len({*words}) == 1 and words[0] in _DEEDS):
        return True
    return _NO_LETTERS.sub("", said) in _PANIC or _means_all(said)


def _calm(text: str) -> str:
    """Return what is typed in haste without what haste adds: letters, and words that only press."""
    said = _SQUARE_OFF.sub("squareoff", _LONG_LETTER.sub(r"\1", text.casefold()))
    return " ".join(one for one in said.split() if one.strip("!.,") not in _PRESSING)


def _verb_first(said: str) -> str:
    """Return ``all stop`` as ``stop all``, and ``trading stop``, which is how Hindi puts it."""
    words = said.split()
    return " ".join([words[-1], *words[:-1]]) if words[:1] in (["all"], ["trading"]) else said


def _means_all(said: str) -> bool:
    """Whether it is a deed and nothing but words for everything: ``close all my positions now``."""
    words = _WORDS.findall(said)
    rest = set(words[1:])
    wanted = _ALL | (_TRADING if words[:1] in (["stop"], ["halt"]) else set())
    return bool(words) and words[0] in _DEEDS and rest <= _EVERYTHING and bool(rest & wanted)


def meant_command(text: str) -> str | None:
    """Return the command whose view fits what was typed, or None."""
    said = " ".join(in_english(text).casefold().split())
    if said and not said.strip("?"):
        return "help"
    if not said or len(said) > _LONGEST:
        return None
    if said.strip(" ?!.") == "sl":  # two letters alone may also be the answer to a question
        return "positions"
    return next((name for pattern, name in _PATTERNS if pattern.search(said)), None)


def daily_loss_in(text: str) -> str:
    """Return the amount of ``set max loss 500``, '' where no such limit is asked for."""
    found = _MAX_LOSS.fullmatch(" ".join(in_english(text).casefold().split()))
    return found.group(1) if found else ""


def is_cancel_word(text: str) -> bool:
    """Whether a text means the end of the open question, and nothing else."""
    said = " ".join(in_english(text).casefold().strip(" .!").split())
    return _CANCEL.fullmatch(said) is not None


def view_alone(text: str) -> str | None:
    """Return the command that a text names and says no other word beside, or None."""
    said = " ".join(in_english(text).casefold().strip(" .!?").split())
    found = next((name for one, name in _PATTERNS if one.fullmatch(said)), None)
    return None if found in _NO_VIEWS else found


def asks_another_day(text: str) -> bool:
    """Whether what was typed asks for more than today, or for another day."""
    return _ANOTHER_DAY.search(in_english(text).casefold()) is not None


def is_negated(text: str) -> bool:
    """Whether a text says what is not to be done, or what is left out: it is no wish for that."""
    return _NOT.search(in_english(text).casefold().replace("’", "'")) is not None
