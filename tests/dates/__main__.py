"""``make test-dates``: date-sensitive tests and the demo at each moment, one after the other."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.dates.moments import MOMENTS, Moment, environment, library

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run everything; return 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.dates")
    names = [moment.name for moment in MOMENTS]
    parser.add_argument("moments", nargs="*", metavar="MOMENT", help=", ".join(names))
    parser.add_argument("--only", choices=["tests", "demo"], help="leave the other out")
    parser.add_argument("--jobs", default="2", help="of pytest")
    options = parser.parse_args()
    if unknown := set(options.moments) - set(names):
        parser.error(f"found {', '.join(sorted(unknown))}; expected {', '.join(names)}")
    faketime = library()
    if faketime is None:
        sys.exit("no libfaketime on this machine (Debian: apt-get install faketime)")
    commands = {"tests": _pytest(options.jobs), "demo": _demo()}
    failed = 0
    for moment in MOMENTS:
        if options.moments and moment.name not in options.moments:
            continue
        for what, command in commands.items():
            if options.only in {None, what}:
                failed += not _passes(moment, what, faketime, command)
    return 1 if failed else 0


def _pytest(jobs: str) -> list[str]:
    return [sys.executable, "-P", "-m", "pytest", "-q", "-m", "dates", "-n", jobs]


def _demo() -> list[str]:
    return [sys.executable, "-P", "-m", "console", "demo", "--autoplay", "--port", "0"]


def _passes(moment: Moment, what: str, faketime: Path, command: list[str]) -> bool:
    """Run a command at a moment and print a line on it; what it said is shown when it failed."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(moment, faketime),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
        output.seek(0)
        text = output.read()
    took = time.monotonic() - began
    if code:
        sys.stderr.write(text)
    last = text.rstrip().rpartition("\n")[2].strip()
    outcome = f"FAILED ({code})" if code else "passed"
    sys.stdout.write(f"{moment.name:<18} {what:<5} {outcome} in {took:.0f} s: {last}\n")
    sys.stdout.flush()
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
