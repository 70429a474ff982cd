"""``python -m tests.bench --output bench.json``: measure, print a table, write the figures.

Each part runs in a process of its own under a deadline, so that one that fails or hangs costs no
other its figures; which runs, and how long it took, is said, and ``bench.json`` holds after each
part what is known by then. It ends with 1 when a part gave no figures. Every part also runs alone,
with more options: ``python -m tests.bench.fanout --help``. docs/performance.md says what each
measures, and by which method.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.bench.figure import kept
from tests.bench.parts import parts
from tests.bench.runner import Part, measure_all
from tests.bench.stores import busy


def _measure(part: Part, output: Path) -> None:
    """Be the process of a part."""
    found = asyncio.run(part.measure(output.parent / "data"))
    output.write_text(kept(found), encoding="utf-8")


def main() -> int:
    """Measure everything once."""
    every = parts()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--only", help=f"some of {', '.join(every)}, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    parser.add_argument("--patience", type=float, default=1.0, help="times each part's deadline")
    parser.add_argument("--part", choices=every, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        _measure(every[chosen.part], chosen.output)
        return 0
    names = chosen.only.split(",") if chosen.only else list(every)
    if unknown := [name for name in names if name not in every]:
        parser.error(f"no such part: {', '.join(unknown)}")
    with busy(chosen.busy):
        failed = measure_all([every[name] for name in names], chosen.output, chosen.patience)
    for name, why in failed.items():
        sys.stdout.write(f"\n{name}: no figures, {why}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
