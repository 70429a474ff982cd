"""A process of the campaign that plays what it is told, one world a line, and says what came of it."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from tests.campaign.days import play_day
from tests.campaign.enumerator import crash_at, moments_of
from tests.campaign.processes import process_world
from tests.campaign.umpire import Verdict

__all__ = ["play"]


def play(task: dict[str, Any]) -> Verdict:
    """Play one world: a crash of a scenario, a day, or processes."""
    match task["part"]:
        case "crash":
            return crash_at(task["scenario"], task["k"])
        case "day":
            return play_day(task["seed"])
        case "processes":
            return process_world(task["seed"], task["rounds"])
        case "count":
            verdict = Verdict()
            verdict.figures["moments"] = moments_of(task["scenario"])
            return verdict
    raise ValueError(f"no part {task['part']!r}")


def _main() -> None:
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            verdict = play(task)
        # A world that cannot be played says nothing about the product, and must be seen.
        except Exception:  # noqa: BLE001 - see above
            verdict = Verdict()
            verdict.bad("worlds broken", traceback.format_exc())
        answer = {
            "task": task,
            "figures": verdict.figures,
            "faults": verdict.faults,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
