"""The brokers' consoles, asked about one by one; the answers are kept and go stale with an address (F7)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.doctor.console_questions import Answers, Question, ask, questions_of, standing
from core.adapters.brokers import PROFILES
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.config import Settings

pytestmark = pytest.mark.row("F7")

SETTINGS = Settings(public_url="https://saarthi.example.in")
NOW = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)


def typed(lines: Iterable[str]) -> Callable[[], object]:
    """Return an input that ends after these lines."""
    rest = iter(lines)

    async def reply() -> str:
        return next(rest, "")

    return reply


async def answer(questions: list[Question], directory: Path, *lines: str) -> Answers:
    answers = Answers(directory)
    await ask(questions, answers, lambda: NOW, typed(lines))  # type: ignore[arg-type]
    return Answers(directory)


def test_every_broker_asks_what_its_console_must_hold() -> None:
    """The redirect address and the static IP, whole; nothing is left to fill in."""
    for broker in PROFILES:
        if broker.is_paper:
            continue
        found = questions_of([broker], SETTINGS, {broker.name: ("203.0.113.5",)})
        text = " ".join(one.text for one in found)
        assert f"https://saarthi.example.in{broker.callback_path} ?" in text
        assert "203.0.113.5" in text
        assert "{" not in text


async def test_answers_are_kept_and_told(tmp_path: Path) -> None:
    """Yes, no, later and nonsense; the file is for this user alone; the end of the input is later."""
    questions = questions_of([ZERODHA], SETTINGS, {})
    answers = await answer(questions, tmp_path / "data", "perhaps\n", "Y\n", "no\n", "\n")
    assert [answers.answer(one) for one in questions] == [
        (True, "2026-11-27"),
        (False, "2026-11-27"),
        None,
        None,
    ]
    (path,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [str(one) for one in standing(questions, answers)]
    assert "fail" in lines[0]
    assert "Is its redirect URL exactly https://saarthi.example.in/broker" in lines[0]
    assert "Zerodha: 2 of 4 questions are not answered" in lines[1]
    answers = await answer(questions, tmp_path / "data", *["yes\n"] * 4)
    (line,) = standing(questions, answers)
    assert str(line).startswith("ok")
    assert "2026-11-27" in line.text


async def test_another_address_is_another_question(tmp_path: Path) -> None:
    """A new public address, or another static one, opens what it concerns and nothing else."""
    here = {FYERS.name: ("203.0.113.5",)}
    answers = await answer(questions_of([FYERS], SETTINGS, here), tmp_path, *["y\n"] * 3)
    moved = questions_of([FYERS], Settings(public_url="https://new.example"), here)
    assert [answers.answer(one) is None for one in moved] == [False, True, False]
    other = questions_of([FYERS], SETTINGS, {FYERS.name: ("203.0.113.6",)})
    assert [answers.answer(one) is None for one in other] == [False, False, True]


async def test_damaged_answers_are_open_questions(tmp_path: Path) -> None:
    """A file that is none is no reason to fail: everything is asked again."""
    questions = questions_of([FYERS], SETTINGS, {})
    for text in ("", "[]", "{", '{"Fyers: x": 3}', '{"' + questions[0].text + '": "yes"}'):
        (tmp_path / "console-answers.json").write_text(text)
        assert [Answers(tmp_path).answer(one) for one in questions] == [None] * 3
