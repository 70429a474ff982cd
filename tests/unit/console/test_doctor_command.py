"""What is asked of the doctor on the command line, and how its report ends (F4, F7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import console.cli
import console.doctor
from console.doctor import DoctorOptions, run_doctor
from console.doctor.console_questions import Question, questions_of
from console.doctor.finding import Finding, fail, ok
from core.adapters.fyers import FYERS
from core.config import Settings

pytestmark = [pytest.mark.row("F4"), pytest.mark.row("F7")]


def test_each_option_reaches_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's questions, the proxy's file and the settings' file; none of them by default."""
    given: list[DoctorOptions] = []

    async def noted(_settings: Settings, *, options: DoctorOptions) -> int:
        given.append(options)
        return 0

    monkeypatch.setattr(console.cli, "run_doctor", noted)
    file, proxy = tmp_path / "saarthi.toml", tmp_path / "nginx.conf"
    file.write_text(f'data = "{tmp_path}"\n')
    config = ["--config", str(file)]
    assert console.cli.main(["doctor", *config]) == 0
    assert console.cli.main(["doctor", "--console", "--proxy-file", str(proxy), *config]) == 0
    assert given == [DoctorOptions(None, False, file), DoctorOptions(proxy, True, file)]


def examined(*findings: Finding) -> Callable[..., AsyncIterator[Finding]]:
    """Return checks that find this, and have the questions of one broker to ask."""

    async def examine(
        settings: Settings, _names: Any, _options: Any, asked: list[Question]
    ) -> AsyncIterator[Finding]:
        asked += questions_of([FYERS], settings, {})
        for one in findings:
            yield one

    return examine


@pytest.mark.parametrize(
    ("findings", "answers", "code"),
    [
        ([ok("store", "is there")], ["y\n"] * 3, 0),
        ([ok("store", "is there")], ["y\n", "n\n", "y\n"], 1),
        ([fail("store", "is away", "start it"), ok("owners", "1")], ["y\n"] * 3, 1),
    ],
    ids=["all is well", "a no", "a failure"],
)
async def test_answers_count_like_what_was_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: Sequence[Finding],
    answers: Sequence[str],
    code: int,
) -> None:
    """The questions are asked after the checks, one by one; a no is a failure with its advice."""
    lines = iter(answers)

    async def typed() -> str:
        return next(lines, "")

    monkeypatch.setattr(console.doctor, "_examine", examined(*findings))
    monkeypatch.setattr(console.doctor, "_line", typed)
    monkeypatch.setattr(console.doctor, "keep_log_quiet", lambda: None)
    settings = Settings(data=tmp_path, public_url="https://saarthi.example.in")
    assert await run_doctor(settings, {}, DoctorOptions(is_asking=True)) == code
    told = capsys.readouterr().out
    assert told.startswith(f"{findings[0]}\n")
    assert "1 of 3 · Fyers" in told and "3 of 3 · Fyers" in told
    assert ("ok    console" in told) is ("n\n" not in answers)
    assert ("-> correct it at" in told) is ("n\n" in answers)


async def test_real_brokers_are_told_how_the_answers_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without being asked for; beside simulated ones there is no console."""
    monkeypatch.setattr(console.doctor, "_examine", examined())
    monkeypatch.setattr(console.doctor, "keep_log_quiet", lambda: None)
    assert await run_doctor(Settings(data=tmp_path), {}) == 0
    assert "Fyers: 3 of 3 questions are not answered -> saarthi doctor --console" in (
        capsys.readouterr().out
    )
