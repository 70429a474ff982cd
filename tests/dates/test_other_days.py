"""The short form of ``make test-dates``: what reads dates passes at each of its moments."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import cannot
from tests.dates.moments import MOMENTS, Moment, environment, library

ROOT = Path(__file__).parents[2]
SHORT = (
    "tests/unit/engine/runs/test_run_queue.py",
    "tests/unit/adapters/test_clock.py",
    "tests/unit/demo/test_stage.py",
    "tests/unit/domain/test_due.py",
    "tests/unit/sandbox/test_clock.py",
)
NOW = "import datetime, time; time.sleep(0.01); print(datetime.datetime.now().astimezone().isoformat())"


@pytest.fixture(params=MOMENTS, ids=lambda moment: moment.name)
def there(request: pytest.FixtureRequest) -> dict[str, str]:
    """An environment in which it is one of the moments."""
    faketime = library()
    if faketime is None:
        cannot("there is no libfaketime on this machine (Debian: apt-get install faketime)")
    return environment(request.param, faketime)


def run(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_date_sensitive_tests_pass(there: dict[str, str]) -> None:
    """On other days and in another zone; the embedded store is enough for it."""
    run(there, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not mongod", *SHORT)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name)
def test_program_lives_at_the_moment(moment: Moment) -> None:
    """A child sees the day and the zone, its own children the same, and it can sleep."""
    faketime = library()
    if faketime is None:
        cannot("there is no libfaketime on this machine (Debian: apt-get install faketime)")
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {NOW!r}], check=True)"
    expected = moment.at(datetime.now(UTC).astimezone(moment.zone))
    for code in (NOW, nested):
        found = datetime.fromisoformat(run(environment(moment, faketime), "-c", code).strip())
        assert abs((found - expected).total_seconds()) < 60
        assert found.utcoffset() == found.astimezone(moment.zone).utcoffset()
