"""``python -m tests.bench --output bench.json``: measure, print a table, write the figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.bench.figure import table, write
from tests.bench.isolation import isolation
from tests.bench.outbox import outbox
from tests.bench.startup import startup
from tests.bench.submission import submission


def main() -> None:
    """Measure everything once."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where the figures go, as JSON")
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
        directory = Path(made)
        figures = {
            **asyncio.run(submission(directory / "submission")),
            **asyncio.run(isolation(directory / "isolation")),
            **asyncio.run(outbox(directory / "outbox")),
            **startup(directory / "startup"),
        }
    write(figures, output)
    sys.stdout.write(table(figures))


if __name__ == "__main__":
    main()
