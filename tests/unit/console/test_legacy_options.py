"""What is typed after ``saarthi migrate-legacy`` reaches the search, and what stands for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import cli, legacy
from console.legacy import LegacyOptions, migrate_legacy
from core.bootstrap.legacy import OldProgram
from core.config import Settings, load_settings
from core.domain.mode import TradingMode
from core.errors import UserError
from core.ports.clock import Clock

pytestmark = pytest.mark.row("A11")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[LegacyOptions]:
    """Collects what the command line asks for, in place of doing it."""
    found: list[LegacyOptions] = []

    async def noted(_settings: Settings, options: LegacyOptions) -> int:
        found.append(options)
        return 0

    monkeypatch.setattr(cli, "migrate_legacy", noted)
    monkeypatch.setattr(cli, "_settings", lambda _options: Settings())
    return found


def test_every_option_reaches_the_migration(given: list[LegacyOptions]) -> None:
    """Server, database, collection, document, fields, file, name, mode, dry run: each its own."""
    typed = (
        "--uri mongodb://h:1 --db flask --collection things --id mine --key-field a.k "
        "--secret-field a.s --token-field t --time-field w --env-file x.env --name Old "
        "--mode NORMAL --dry-run"
    )
    assert cli.main(["migrate-legacy", *typed.split()]) == 0
    assert given == [
        LegacyOptions(
            uri="mongodb://h:1",
            db="flask",
            collection="things",
            document="mine",
            fields={"key": "a.k", "secret": "a.s", "token": "t", "at": "w"},
            env_file=Path("x.env"),
            name="Old",
            mode=TradingMode.NORMAL,
            dry_run=True,
        )
    ]


def test_without_options_it_exits_only(given: list[LegacyOptions]) -> None:
    """Nothing is named, nothing is only tried, and the account begins EXIT_ONLY."""
    assert cli.main(["migrate-legacy"]) == 0
    assert given == [LegacyOptions(None, None, None, None)]
    (only,) = given
    assert (only.mode, only.name, only.dry_run) == (TradingMode.EXIT_ONLY, "Main", False)


OWN = {"MONGODB_URI": "mongodb://own:1/ours", "SAARTHI_DB": "saarthi"}
OLD = {"SAARTHI_LEGACY_URI": "mongodb://old:2/theirs"}


@pytest.mark.parametrize(
    ("environment", "uri", "db", "expected"),
    [
        ({**OWN, **OLD}, "mongodb://typed:3/flask", None, ("mongodb://typed:3/flask", "flask")),
        ({**OWN, **OLD}, None, None, ("mongodb://old:2/theirs", "theirs")),
        ({**OWN, **OLD}, None, "named", ("mongodb://old:2/theirs", "named")),
        (OWN, None, None, ("mongodb://own:1/ours", "ours")),
        (OWN, "mongodb://typed:3", None, ("mongodb://typed:3", "saarthi")),
        ({}, None, "named", ("mongodb://127.0.0.1:27017", "named")),
    ],
)
async def test_old_database_is_where_it_is_said_to_be(
    environment: dict[str, str],
    uri: str | None,
    db: str | None,
    expected: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The typed address, else SAARTHI_LEGACY_URI, else our own server, else the usual place."""
    program = await sought(LegacyOptions(uri, db, None, None), environment, monkeypatch)
    assert (program.address.uri, program.database) == expected
    assert program.collections == ()


async def test_what_the_user_names_is_what_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collection, document and fields narrow the search."""
    options = LegacyOptions(None, None, "things", "mine", {"token": "t"})
    program = await sought(options, {}, monkeypatch)
    assert program.collections == ("things",)
    assert (program.choice.document, program.choice.fields) == ("mine", {"token": "t"})


async def sought(
    options: LegacyOptions, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> OldProgram:
    """Return where a migration looks; nothing is there."""
    found: list[OldProgram] = []

    async def nothing(program: OldProgram, _clock: Clock) -> None:
        found.append(program)
        raise UserError("nothing is there")

    monkeypatch.setattr(legacy, "find_login", nothing)
    with pytest.raises(UserError, match="nothing is there"):
        await migrate_legacy(load_settings(environment=environment), options)
    (program,) = found
    return program
