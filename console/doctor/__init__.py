"""``saarthi doctor``: checks everything an installation needs, and says what to do (F4, F7).

It changes nothing and works beside a running controller. Each check is one line: ``ok``, ``warn``
or ``fail``; the exit code is 0 when nothing failed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.doctor import inside, machine, network
from console.doctor.console_questions import Answers, Question, ask, standing
from console.doctor.finding import Finding, Level, fail, warn
from console.doctor.reverse_proxy import reverse_proxy
from core.bootstrap import build, strategy_processes
from core.config import Settings
from core.errors import ConfigurationError, StoreError
from core.inspection import clock_of, inspect_store
from core.observability.logs import keep_log_quiet
from strategy.registry import REGISTRY, STRATEGIES

__all__ = ["DoctorOptions", "run_doctor"]


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What a user asks of the doctor besides.

    Attributes:
        proxy_file: The configuration of the reverse proxy; None looks in the usual places.
        is_asking: Ask about the brokers' consoles, and keep the answers: all that it ever writes.
        config: The file of settings that was given.
    """

    proxy_file: Path | None = None
    is_asking: bool = False
    config: Path | None = None


async def run_doctor(
    settings: Settings,
    environment: Mapping[str, str] | None = None,
    options: DoctorOptions | None = None,
) -> int:
    """Print a line for each check; return 0 when nothing failed, else 1.

    Args:
        settings: Of the installation.
        environment: Checked for misspelt settings; the process' own by default.
        options: What else is asked for.
    """
    keep_log_quiet()  # what went wrong is a finding, in a sentence of its own
    chosen = options or DoctorOptions()
    asked: list[Question] = []
    has_failed = False
    names = os.environ if environment is None else environment
    async for finding in _examine(settings, names, chosen, asked):
        has_failed |= _print(finding)
    answers = Answers(settings.data_dir)
    if chosen.is_asking:
        await ask(asked, answers, clock_of(settings).now, _line)
    if chosen.is_asking or machine.talks_to_real_brokers(settings):
        for finding in standing(asked, answers):
            has_failed |= _print(finding)
    return 1 if has_failed else 0


def _print(finding: Finding) -> bool:
    sys.stdout.write(f"{finding}\n")
    sys.stdout.flush()
    return finding.level is Level.FAIL


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def _examine(
    settings: Settings,
    environment: Mapping[str, str],
    options: DoctorOptions,
    asked: list[Question],
) -> AsyncIterator[Finding]:
    clock = clock_of(settings)
    directory = machine.data_directory(settings)
    key = machine.secret_key(settings)
    written = machine.settings_file(options.config)
    for finding in [*machine.configuration(settings, environment), *written, *directory, *key]:
        yield finding
    async with network.client() as http:
        for finding in [
            *await network.bot_token(settings, http),
            *await network.web_server(settings, http),
            *await network.public_address(settings, http),
            *reverse_proxy(settings, options.proxy_file),
            *await network.clock_drift(settings, clock, http),
            *await network.local_address(settings),
            *machine.calendar(settings, clock.market_now().date()),
        ]:
            yield finding
    if any(finding.level is Level.FAIL for finding in [*directory, *key]):
        yield warn("store", "not looked at", "correct the data directory and the key first")
        return
    for finding in await _inside(settings, asked):
        yield finding


async def _inside(settings: Settings, asked: list[Question]) -> list[Finding]:
    try:
        async with inspect_store(settings) as look:
            system = build(look.foundation, STRATEGIES, decisions=strategy_processes(REGISTRY))
            asked += await inside.console_questions(system, settings)
            return [
                *inside.store(look, settings),
                *await inside.backups(system, settings),
                *await inside.owners(look, settings),
                *await inside.accounts(system),
                *await inside.addresses(system),
                *await inside.masters(system),
            ]
    except (StoreError, OSError) as error:
        return [fail("store", str(error), "start it, or see docs/operations.md under The store")]
    except ConfigurationError as error:
        return [fail("store", str(error), "correct MONGODB_URI")]
