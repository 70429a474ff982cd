"""The command line: exit codes, and one line on stderr for a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import console.cli
from console.cli import main

ROOT = Path(__file__).parents[2]


def saarthi(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing in its environment but ``settings``."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "console", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run", "--fast"),
        ("demo", "--port", "65536"),
        ("live", "--strategy", "x"),
        ("live", "--broker-id", "zerodha_abc123"),
        ("doctor", "now"),
        ("rotate-key", "--config"),
        ("migrate-legacy", "--mode", "PAUSED"),
        ("restore",),
        ("calendar",),
        ("calendar", "import"),
        ("calendar", "export", "x.csv"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood is answered with the usage."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: saarthi" in capsys.readouterr().err


def test_help_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every command."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for command in (
        "run",
        "demo",
        "live",
        "doctor",
        "rotate-key",
        "backup",
        "restore",
        "migrate-legacy",
        "calendar",
    ):
        assert f"\n    {command}" in told


@pytest.mark.row("F4")
@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("doctor",),
        ("rotate-key",),
        ("migrate-legacy",),
        ("backup",),
        ("restore", "x.backup"),
        ("live", "--strategy", "opening_range_breakout", "--broker-id", "zerodha_abc123"),
    ],
    ids=lambda command: command[0],
)
def test_explained_failure_is_1(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong setting is one line that says what to do, from every command."""
    file = tmp_path / "saarthi.toml"
    file.write_text('listen = "nowhere"\n')
    assert main([*command, "--config", str(file)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "saarthi: SAARTHI_LISTEN: found 'nowhere'; expected host:port, like 127.0.0.1:8443."
    ]


@pytest.mark.row("F4")
def test_start_without_a_token_says_so(tmp_path: Path) -> None:
    """The process ends with 1 before anything is started."""
    done = saarthi("run", SAARTHI_DATA=str(tmp_path / "data"), HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("saarthi: SAARTHI_TELEGRAM_TOKEN is not set")
    assert not (tmp_path / "data").exists()


def test_store_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    """An address where no store is: one line, without the password in it."""
    done = saarthi(
        "rotate-key",
        MONGODB_URI="mongodb://u:canary@127.0.0.1:1/?replicaSet=none",
        SAARTHI_DATA=str(tmp_path / "data"),
        HOME=str(tmp_path),
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "canary" not in done.stderr


@pytest.mark.matrix("K04")
def test_days_are_imported(tmp_path: Path) -> None:
    """A right file is added and what is known is shown; a wrong one is a sentence a mistake, and 1."""
    header = "kind,date,open,close,square_off,text\n"
    file = tmp_path / "days.csv"
    file.write_text(header + "session,2026-11-08,18:00,19:00,,Muhurat trading\n")
    data = {"SAARTHI_DATA": str(tmp_path / "data")}

    done = saarthi("calendar", "import", str(file), **data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("added 0 holiday(s) and 1 special session(s)\n")
    assert "\n2027  derived    worked out before NSE's list was out" in done.stdout
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["calendar.csv"]

    file.write_text(header + "session,2026-11-08,18:00,17:00,,x\nholiday,soon,,,,x\n")
    refused = saarthi("calendar", "import", str(file), **data)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"saarthi: {file}: line 2: found 18:00 to 17:00; expected a close after the open.\n"
        f"{file}: line 3: found the date 'soon'; expected a day like 2027-01-26.\n"
    )


def test_what_is_stopped_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while a command is at work ends it with a line, and no traceback."""

    def stopped(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(console.cli._COMMANDS, "doctor", stopped)
    assert main(["doctor"]) == 0
    assert capsys.readouterr() == ("\nsaarthi doctor: stopped before it was done.\n", "")
