"""The only place in core that names concrete classes: settings in, a running system out.

``open_system`` brings up the store and takes nothing; ``build`` wires the engine over it. The
process' own composition root (``console.process``) adds the bot and the web server.
"""

from __future__ import annotations

from core.adapters.brokers import OFFERED, PROFILES
from core.adapters.loop_watch import LoopWatch
from core.bootstrap.calendar import ImportedDays, calendar_of, import_days
from core.bootstrap.foundation import (
    Foundation,
    attach,
    open_system,
    replace_lost_key,
    rotate_secrets,
)
from core.bootstrap.system import System, build, strategy_processes

__all__ = [
    "OFFERED",
    "PROFILES",
    "Foundation",
    "ImportedDays",
    "LoopWatch",
    "System",
    "attach",
    "build",
    "calendar_of",
    "import_days",
    "open_system",
    "replace_lost_key",
    "rotate_secrets",
    "strategy_processes",
]
