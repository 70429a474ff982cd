"""The ``saarthi`` command; its subcommands are in ``_COMMANDS``.

Exit codes: 0 success, 1 a failure that is explained in one line on stderr, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from console.backup import run_backup, run_restore
from console.days import run_import
from console.demo.launcher import main as run_demo
from console.demo.options import DemoOptions
from console.doctor import DoctorOptions, run_doctor
from console.keys import rotate_key
from console.legacy import LegacyOptions, migrate_legacy
from console.limits import keep_memory_private
from console.live import run_live
from console.owners import run_owners
from console.process import run_controller
from core.bootstrap import LoopWatch
from core.config import Settings, load_settings
from core.domain.mode import TradingMode
from core.errors import SaarthiError
from core.long_lived import collect_less

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    keep_memory_private()
    try:
        return int(_COMMANDS[options.command](options))
    except SaarthiError as error:
        sys.stderr.write(f"saarthi: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write(f"\nsaarthi {options.command}: stopped before it was done.\n")
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saarthi", description="A trading controller driven from a Telegram chat."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the controller")
    _add_config(run)
    demo = commands.add_parser("demo", help="a sandbox and the controller, on this machine alone")
    demo.add_argument("--port", type=_port, default=8080, help="of the chat page; 0 picks one")
    demo.add_argument("--data", type=Path, help="keep the demo's state here")
    demo.add_argument("--autoplay", action="store_true", help="play the whole story by itself")
    demo.add_argument("--clock", help="market time: SIM@WALL*SPEED")
    demo.add_argument("--replay", type=Path, help="folder of one-minute bars to replay")
    live = commands.add_parser("live", help="one strategy on one account")
    live.add_argument("--strategy", required=True, help="its name, as the chat shows it")
    live.add_argument(
        "--broker-id", required=True, help="the account, as the chat shows it, or its id"
    )
    live.add_argument("--once", action="store_true", help="one run now, then end")
    _add_config(live)
    doctor = commands.add_parser("doctor", help="check the installation and say what to do")
    doctor.add_argument("--proxy-file", type=Path, help="the reverse proxy's configuration")
    doctor.add_argument(
        "--console", action="store_true", help="ask about the brokers' consoles one by one"
    )
    _add_config(doctor)
    rotate = commands.add_parser("rotate-key", help="seal every secret with a new key")
    rotate.add_argument(
        "--lost-key", action="store_true", help="the key file is lost: make a new one"
    )
    _add_config(rotate)
    owners = commands.add_parser("owners", help="who may use the bot, and remove one")
    owners.add_argument("--remove", type=int, metavar="USER_ID", help="serve this user no more")
    _add_config(owners)
    backup = commands.add_parser("backup", help="put everything into one sealed file")
    backup.add_argument("--to", type=Path, metavar="FOLDER", help="another folder than usual")
    _add_config(backup)
    restore = commands.add_parser("restore", help="fill an empty store from a backup")
    restore.add_argument("file", type=Path, help="the backup")
    restore.add_argument("--key-file", type=Path, help="the secret.key that opens it")
    restore.add_argument("--replace", action="store_true", help="what is in the store goes")
    restore.add_argument("--keep-owners", action="store_true", help="who paired is served on")
    _add_config(restore)
    _add_legacy(commands)
    calendar = commands.add_parser("calendar", help="holidays and sessions of your own")
    actions = calendar.add_subparsers(dest="action", required=True, metavar="ACTION")
    importing = actions.add_parser("import", help="check a file of days and add them")
    importing.add_argument("file", type=Path, help="a CSV file; docs/operations.md has its form")
    _add_config(importing)
    return parser


def _add_legacy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    legacy = commands.add_parser(
        "migrate-legacy", help="take over the account of an older program of one account"
    )
    legacy.add_argument("--dry-run", action="store_true", help="say what would change")
    legacy.add_argument(
        "--uri", help="the old database's server; one with a password in SAARTHI_LEGACY_URI"
    )
    legacy.add_argument("--db", help="the old database; without it that of the address")
    legacy.add_argument("--collection", help="where the document is; else the usual names")
    legacy.add_argument("--id", dest="document", help="its _id, where there are several")
    for name, what in _LEGACY_FIELDS.items():
        legacy.add_argument(f"--{name}-field", metavar="PATH", help=f"the field of {what}")
    legacy.add_argument("--env-file", type=Path, help="the old program's file of settings")
    legacy.add_argument("--name", default="Main", help="what to call the account (Main)")
    legacy.add_argument(
        "--mode",
        type=TradingMode,
        choices=[TradingMode.EXIT_ONLY, TradingMode.NORMAL],
        default=TradingMode.EXIT_ONLY,
        help="EXIT_ONLY (so it begins) or NORMAL",
    )
    _add_config(legacy)


_LEGACY_FIELDS = {
    "key": "the App ID",
    "secret": "the secret",
    "token": "the access token",
    "time": "the time of the login",
}


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="a TOML file with settings")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the largest port
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a port from 0 to 65535")
    return int(text)


def _settings(options: argparse.Namespace) -> Settings:
    return load_settings(options.config)


def _run(options: argparse.Namespace) -> int:
    watch = LoopWatch()
    collect_less()
    with (
        contextlib.closing(watch),
        asyncio.Runner(loop_factory=watch.new_loop) as runner,
    ):
        return runner.run(run_controller(_settings(options), watch))


def _demo(options: argparse.Namespace) -> int:
    return run_demo(
        DemoOptions(
            port=options.port,
            data=options.data,
            autoplay=options.autoplay,
            clock=options.clock,
            replay=options.replay,
        )
    )


def _live(options: argparse.Namespace) -> int:
    return asyncio.run(
        run_live(
            _settings(options),
            strategy=options.strategy,
            broker_id=options.broker_id,
            once=options.once,
        )
    )


def _doctor(options: argparse.Namespace) -> int:
    chosen = DoctorOptions(options.proxy_file, options.console, options.config)
    return asyncio.run(run_doctor(_settings(options), options=chosen))


def _rotate(options: argparse.Namespace) -> int:
    return asyncio.run(rotate_key(_settings(options), is_lost=options.lost_key))


def _owners(options: argparse.Namespace) -> int:
    return asyncio.run(run_owners(_settings(options), options.remove))


def _backup(options: argparse.Namespace) -> int:
    return asyncio.run(run_backup(_settings(options), options.to))


def _restore(options: argparse.Namespace) -> int:
    return asyncio.run(
        run_restore(
            _settings(options),
            options.file,
            key_file=options.key_file,
            replace=options.replace,
            keeps_owners=options.keep_owners,
        )
    )


def _legacy(options: argparse.Namespace) -> int:
    paths = {name: getattr(options, f"{name}_field") for name in _LEGACY_FIELDS}
    named = {"at" if name == "time" else name: path for name, path in paths.items() if path}
    return asyncio.run(
        migrate_legacy(
            _settings(options),
            LegacyOptions(
                uri=options.uri,
                db=options.db,
                collection=options.collection,
                document=options.document,
                fields=named,
                env_file=options.env_file,
                name=options.name,
                mode=options.mode,
                dry_run=options.dry_run,
            ),
        )
    )


def _calendar(options: argparse.Namespace) -> int:
    return run_import(_settings(options), options.file)


_COMMANDS = {
    "run": _run,
    "demo": _demo,
    "live": _live,
    "doctor": _doctor,
    "rotate-key": _rotate,
    "owners": _owners,
    "backup": _backup,
    "restore": _restore,
    "migrate-legacy": _legacy,
    "calendar": _calendar,
}
