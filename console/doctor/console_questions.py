"""What only a person can see: the brokers' developer consoles, asked about one by one (F7).

``saarthi doctor --console`` asks, and keeps the answers in ``console-answers.json`` in the data
directory, by the whole text of each question. A question holds the addresses as they are now: when
one changes, it is another question and open again. A doctor that is not told to ask says how the
answers stand.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from console.doctor.finding import Finding, fail, ok, warn
from core.config import Settings
from core.domain.broker_profile import BrokerProfile
from core.domain.sessions import IST

__all__ = ["Answers", "Question", "ask", "questions_of", "standing"]

_FILE = "console-answers.json"
_CHECK = "console"
_YES, _NO = {"y", "yes"}, {"n", "no"}
_UNKNOWN_ADDRESS = "the address that this machine's calls leave from"


@dataclass(frozen=True, slots=True)
class Question:
    """One question, with everything filled in."""

    broker: str
    console: str
    text: str


def questions_of(
    brokers: Iterable[BrokerProfile], settings: Settings, addresses: Mapping[str, Sequence[str]]
) -> list[Question]:
    """Return what to ask of the consoles.

    Args:
        brokers: Whose consoles.
        settings: Of the installation.
        addresses: From where each broker's accounts leave, by the broker's name.
    """
    root = settings.redirect_root
    found = []
    for broker in brokers:
        leaves = " and ".join(addresses.get(broker.name, ())) or _UNKNOWN_ADDRESS
        values = {
            "redirect": root + broker.callback_path,
            "postback": root + broker.postback_path,
            "addresses": leaves,
        }
        found += [
            Question(broker.label, broker.console, text.format(**values))
            for text in broker.console_questions
        ]
    return found


class Answers:
    """The answers that were given, in a file that this user alone can read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        self._kept = self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def answer(self, question: Question) -> tuple[bool, str] | None:
        """Return whether it was answered by yes, and on which day; None while it is open."""
        kept = self._kept.get(_key(question))
        if not isinstance(kept, dict) or kept.get("answer") not in {"yes", "no"}:
            return None
        return kept["answer"] == "yes", str(kept.get("at", ""))[:10]

    def keep(self, question: Question, *, is_yes: bool, at: datetime) -> None:
        """Keep an answer; the file is replaced as a whole."""
        day = at.astimezone(IST).isoformat(timespec="seconds")
        self._kept[_key(question)] = {"answer": "yes" if is_yes else "no", "at": day}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._kept, file, indent=2, ensure_ascii=False)
        draft.replace(self._path)


def _key(question: Question) -> str:
    return f"{question.broker}: {question.text}"


async def ask(
    questions: Sequence[Question],
    answers: Answers,
    now: Callable[[], datetime],
    reply: Callable[[], Awaitable[str]],
) -> None:
    """Ask each question until it is answered or left; the end of the input ends it all."""
    for number, question in enumerate(questions, 1):
        sys.stdout.write(
            f"\n{number} of {len(questions)} · {question.broker}, {question.console}\n"
            f"{question.text}\n"
        )
        while True:
            sys.stdout.write("[y]es, [n]o, Enter for later: ")
            sys.stdout.flush()
            line = await reply()
            if not line:
                sys.stdout.write("\n")
                return
            word = line.strip().lower()
            if not word:
                break
            if word in _YES | _NO:
                answers.keep(question, is_yes=word in _YES, at=now())
                break
            sys.stdout.write(f"Found {word[:20]!r}; expected y, n or nothing.\n")


def standing(questions: Sequence[Question], answers: Answers) -> list[Finding]:
    """Return how the answers stand, a line for each broker and for each no."""
    found: list[Finding] = []
    for broker in dict.fromkeys(one.broker for one in questions):
        mine = [one for one in questions if one.broker == broker]
        given = [(one, answers.answer(one)) for one in mine]
        for question, answer in given:
            if answer is not None and not answer[0]:
                text = f"{broker}, answered no on {answer[1]}: {question.text}"
                advice = f"correct it at {question.console}, then saarthi doctor --console"
                found.append(fail(_CHECK, text, advice))
        open_ones = [one for one, answer in given if answer is None]
        if open_ones:
            text = f"{broker}: {len(open_ones)} of {len(mine)} questions are not answered"
            found.append(warn(_CHECK, text, "saarthi doctor --console asks them one by one"))
        elif all(answer is not None and answer[0] for _, answer in given):
            oldest = min(answer[1] for _, answer in given if answer is not None)
            found.append(ok(_CHECK, f"{broker}: as it must be, as you said on {oldest}"))
    return found
