"""What guides and chat texts name exists: commands, subcommands, settings, targets, notices."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.registry import COMMANDS
from console.cli import _COMMANDS, _parser
from core.config import setting_name, settings_with_defaults
from core.domain.notices.stored import KINDS

ROOT = Path(__file__).parents[2]
GUIDES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
}
"""The pages for users; ``docs/spec`` holds what is to come as well."""
OF_THE_TESTS = {"SAARTHI_REPLAY_DIR"}
"""A setting that only tests read."""
TO_BE_MADE = {"SAARTHI_TOY_API", "toy_api"}
"""Names that the reader of the guide to a new broker makes."""
OF_THE_SIMULATORS = "docs/sandbox.md"
"""The guide that names paths of the brokers instead of commands."""
BEFORE_THE_REGISTRY = {"pair"}
"""What is served before its sender is known, so it is no command of the registry."""
OF_THE_DRIVER = {"find_one_and_update"}
OF_BOTFATHER = {"newbot", "revoke"}
SERVED = {f"/{one.name}" for one in COMMANDS} | {f"/{name}" for name in BEFORE_THE_REGISTRY}
OF_THE_DEMO = "/demo"
"""Served by the demo's own bot, so no text of the product names it."""


def spans(text: str) -> Iterator[str]:
    """Yield what stands in code marks, and each line of a fenced block."""
    fence = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    for block in fence.findall(text):
        yield from (line.partition("#")[0].strip() for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", fence.sub("", text))


def commands_in(text: str) -> set[str]:
    """Return the commands of the chat that a text names: one word, and perhaps its argument."""
    named = {match[1] for span in spans(text) if (match := re.match(r"(/[a-z]+)( [A-Z]+)?$", span))}
    routes = {path for path in named if f'"{path}"' in sources("webhooks", "sandbox")}
    return named - routes - botfathers(text)


def botfathers(text: str) -> set[str]:
    """Return the commands of Telegram's own bot where a text speaks of it."""
    return {f"/{name}" for name in OF_BOTFATHER if "BotFather" in text}


def sources(*packages: str) -> str:
    """Return the code of packages as one text."""
    paths = (path for package in packages for path in sorted((ROOT / package).rglob("*.py")))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def subcommands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each call of ``saarthi`` that a text shows: the subcommand, and its options."""
    for span in spans(text):
        for call in re.findall(r"(?:^|[/&;] ?)saarthi ([a-z][a-z-]*)([^&|;]*)", span):
            yield call[0], re.findall(r"--[a-z-]+", call[1])


def options_of(subcommand: str) -> set[str]:
    """Return the options of a subcommand."""
    (choices,) = (action.choices for action in _parser()._actions if action.dest == "command")
    assert isinstance(choices, dict)
    return {word for action in choices[subcommand]._actions for word in action.option_strings}


GUIDE = pytest.mark.parametrize("guide", sorted(GUIDES))


@pytest.mark.parametrize("guide", sorted(GUIDES.keys() - {OF_THE_SIMULATORS}))
def test_commands_of_the_chat_exist(guide: str) -> None:
    """Who follows a guide in an emergency does not type a command that nobody answers."""
    assert commands_in(GUIDES[guide]) - SERVED - {OF_THE_DEMO} == set()


@GUIDE
def test_subcommands_and_their_options_exist(guide: str) -> None:
    """Each call of the program that a guide shows is understood."""
    for subcommand, options in subcommands_in(GUIDES[guide]):
        assert subcommand in _COMMANDS, f"saarthi {subcommand}"
        assert set(options) <= options_of(subcommand), f"saarthi {subcommand} {options}"


@GUIDE
def test_settings_exist(guide: str) -> None:
    """A setting that is not there would be set without an effect."""
    named = set(re.findall(r"\b(?:SAARTHI|MONGODB)_[A-Z_]+\b", GUIDES[guide]))
    known = {setting_name(name) for name in settings_with_defaults()}
    assert named - OF_THE_TESTS - TO_BE_MADE - known == set()


@GUIDE
def test_targets_of_make_exist(guide: str) -> None:
    """Each ``make`` that a guide shows has its rule."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = {match[1] for span in spans(GUIDES[guide]) if (match := re.match(r"make (\S+)", span))}
    assert named - rules == set()


@GUIDE
def test_names_in_code_marks_exist(guide: str) -> None:
    """Notices, fields, keys and faults that a guide names occur in the code."""
    code = sources("bot", "console", "core", "strategy", "webhooks", "sandbox")
    named = {span for span in spans(GUIDES[guide]) if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", span)}
    named -= set(KINDS) | OF_THE_DRIVER | TO_BE_MADE
    assert {name for name in named if not re.search(rf"\b{name}\b", code)} == set()


def texts_of_the_chat() -> Iterator[tuple[str, str]]:
    """Yield the sentences in the code that may reach the chat, with their places."""
    for package in ("bot", "console", "core/engine", "core/domain"):
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if not isinstance(node, ast.Constant) or id(node) in docs:
                    continue
                if isinstance(node.value, str) and " " in node.value:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_texts_of_the_chat_name_commands_that_exist() -> None:
    """A hint such as "open /brokers" leads somewhere."""
    wrong = [
        f"{place} {command}"
        for place, text in texts_of_the_chat()
        for command in re.findall(r"(?<![\w/<.:])/[a-z_]+(?![\w/{])", text)
        if command not in SERVED | botfathers(text)
        and not (command == OF_THE_DEMO and place.startswith("console/demo/"))
    ]
    assert wrong == []


def test_what_is_not_there_is_found() -> None:
    """Wrong names are seen in code marks and blocks; routes and BotFather's commands are none."""
    text = (
        "Send `/frenzy` or `/pair CODE`; @BotFather takes `/revoke`. `/healthz` answers.\n"
        "```sh\nsaarthi fly --fast && saarthi run --config x   # saarthi is the program\n```\n"
    )
    assert commands_in(text) - SERVED == {"/frenzy"}
    assert commands_in("`/revoke` it") == {"/revoke"}
    assert list(subcommands_in(text)) == [("fly", ["--fast"]), ("run", ["--config"])]
    assert options_of("run") >= {"--config"}


def unnamed_routes(text: str) -> list[str]:
    """Return the routes of the control port that a text does not name."""
    pages = [*(ROOT / "sandbox").glob("control*.py"), ROOT / "sandbox" / "telegram" / "control.py"]
    code = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    routes = re.findall(r'web\.(get|post|put|patch|delete)\(\s*"([^"]+)"', code)
    paths = {re.sub(r"\{[^}]+\}", "{id}", path) for _, path in routes}
    plain = text.replace("[/id]", "/{id}")
    return sorted(path for path in paths if not re.search(rf"{re.escape(path)}(?![a-z])", plain))


def test_routes_of_the_control_port_are_named() -> None:
    """Who tests against the simulators finds each request in the guide or in the interfaces."""
    page = (ROOT / "docs" / "spec" / "interfaces.md").read_text(encoding="utf-8")
    named = GUIDES[OF_THE_SIMULATORS] + page
    assert unnamed_routes(named) == []
    assert unnamed_routes(named.replace("/telegram/calls", "")) == ["/telegram/calls"]
