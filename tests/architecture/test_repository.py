"""What the repository must not hold: addresses of indexes, paths of a machine, giant modules."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("bot", "console", "core", "sandbox", "strategy", "webhooks")
MODULE_LINES = 500
FUNCTION_LINES = 60
LOCKS = (
    "requirements.lock",
    "requirements-embedded.lock",
    "requirements-dev.lock",
    "requirements-tools.lock",
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|home|root|Users|opt|tmp|mnt)/\w")
INDEX_ADDRESS = re.compile(r"pypi\.org|files\.pythonhosted|registry\.npmjs|--(?:extra-)?index-url")
OPEN_POINT = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
BROAD = {"Exception", "BaseException"}


def tracked() -> list[Path]:
    """Return the files of the repository, those not committed yet among them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_files() -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path == Path(__file__) or path.suffix in {".lock", ".csv", ".png"}:
            continue
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    for name, text in text_files():
        if name.endswith(".py") and name.split("/")[0] in folders:
            yield name, text


def matching(pattern: re.Pattern[str], files: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


# --- locks -------------------------------------------------------------------------------------


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package (there may be one for each Python)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_names_versions_and_hashes_only(lock: str) -> None:
    """A lock works on every machine: it names no index, no address and no path."""
    allowed = re.compile(
        r"[a-z0-9][a-z0-9._-]*==[^\s;\\]+( ; [^\\]+)? \\"
        r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
    )
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not allowed.fullmatch(line)] == []
    assert len(pins(lock)) > 5


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    """Each package of the lock stands in the development lock with the same versions."""
    shipped, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: tested.get(name) for name in shipped} == shipped


# --- texts -------------------------------------------------------------------------------------


def test_no_path_of_one_machine() -> None:
    """Nothing refers to a directory that only one machine has."""
    assert matching(MACHINE_PATH, text_files()) == []


def test_no_address_of_an_index() -> None:
    """Where packages come from is the machine's business."""
    assert matching(INDEX_ADDRESS, text_files()) == []


def test_no_open_points_in_the_code() -> None:
    """An open point is an issue, not a comment."""
    assert matching(OPEN_POINT, modules(*SHIPPED, "tests")) == []


# --- sizes and habits --------------------------------------------------------------------------


def test_no_module_is_too_long() -> None:
    """A module fits in a head."""
    lengths = {name: len(text.splitlines()) for name, text in modules(*SHIPPED, "tests")}
    assert {name: length for name, length in lengths.items() if length > MODULE_LINES} == {}


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield statements, at any depth, and not their expressions, which are ten times as many."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for blocks in ("body", "orelse", "handlers", "finalbody", "cases"):
            waiting += getattr(node, blocks, ())


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in statements(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_too_long() -> None:
    """A function fits on a screen."""
    long = [
        f"{name}:{function.lineno} {function.name}"
        for name, text in modules(*SHIPPED)
        for function in functions(ast.parse(text))
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    ]
    assert long == []


def broad_handlers(text: str) -> Iterator[ast.ExceptHandler]:
    """Find handlers of everything that do not raise again at their end."""
    if not re.search(r"except:|Exception", text):
        return
    for node in statements(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        names = {
            name.id
            for name in (ast.walk(node.type) if node.type else ())
            if isinstance(name, ast.Name)
        }
        ends_with_raise = isinstance(node.body[-1], ast.Raise)
        if (node.type is None or names & BROAD) and not ends_with_raise:
            yield node


def unexplained(text: str) -> list[int]:
    """Return the lines of broad handlers without a comment on them or just above or below."""
    lines = text.splitlines()
    return [
        handler.lineno
        for handler in broad_handlers(text)
        if not any(
            "#" in line.partition("# noqa")[0] or " - " in line.partition("# noqa")[2]
            for line in lines[handler.lineno - 2 : handler.lineno + 1]
        )
    ]


def test_broad_handlers_say_why() -> None:
    """Only a supervised boundary catches everything, and it says why."""
    silent = [f"{name}:{line}" for name, text in modules(*SHIPPED) for line in unexplained(text)]
    assert silent == []


def test_silent_broad_handler_is_found() -> None:
    """The search for broad handlers sees them, and accepts a reason or a re-raise."""
    silent = "try:\n    work()\nexcept Exception:\n    pass\n"
    assert unexplained(silent) == [3]
    assert unexplained(silent.replace("Exception", "(OSError, BaseException)")) == [3]
    assert unexplained(silent.replace("pass", "raise")) == []
    assert unexplained(silent.replace("Exception:", "Exception:  # the boundary")) == []
    assert unexplained(silent.replace("Exception:", "Exception:  # noqa: BLE001")) == [3]
    assert unexplained(silent.replace("Exception", "OSError")) == []


def test_every_test_states_its_promise() -> None:
    """A test without a docstring does not say what breaks when it fails."""
    silent = [
        f"{name}:{function.lineno} {function.name}"
        for name, text in modules("tests")
        for function in functions(ast.parse(text))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_library_code_does_not_print() -> None:
    """Only a command's entry speaks to the terminal."""
    speaking = [
        f"{name}:{node.lineno}"
        for name, text in modules("core", "strategy", "webhooks")
        if "print" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert speaking == []


def test_packaged_files_reach_an_installation() -> None:
    """Every kind of data file inside a package is named in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packaged = ["*.py", *settings["tool"]["setuptools"]["package-data"]["*"]]
    inside = (path for path in tracked() if path.relative_to(ROOT).parts[0] in SHIPPED)
    left_out = [
        str(path.relative_to(ROOT))
        for path in inside
        if not any(path.match(pattern) for pattern in packaged)
    ]
    assert left_out == []


def test_every_folder_of_code_is_a_package() -> None:
    """A folder without __init__.py would be left out of an installation."""
    folders = {path.parent for path in tracked() if path.relative_to(ROOT).parts[0] in SHIPPED}
    with_code = {folder for folder in folders if any(folder.glob("*.py"))}
    bare = [
        str(path.relative_to(ROOT)) for path in with_code if not (path / "__init__.py").exists()
    ]
    assert bare == []


# --- names -------------------------------------------------------------------------------------

PRODUCT = tuple(folder for folder in SHIPPED if folder != "sandbox")


def repeated_classes(files: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the class names that stand in more than one place, with these places."""
    places: dict[str, list[str]] = {}
    for name, text in files:
        for node in statements(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name)
    return {name: where for name, where in places.items() if len(where) > 1}


def test_no_class_name_stands_twice() -> None:
    """A name means one thing; the simulators, which are the outside world, have their own."""
    assert repeated_classes(modules(*PRODUCT)) == {}


def test_repeated_class_name_is_found() -> None:
    """The search sees the same name in two modules and twice in one."""
    twice = {"Gate": ["a.py", "b.py"], "Limit": ["b.py", "b.py"]}
    files = [("a.py", "class Gate: ...\n"), ("b.py", "class Gate: ...\nclass Limit: ...\n" * 1)]
    files[1] = ("b.py", files[1][1] + "if True:\n    class Limit: ...\n")
    assert repeated_classes(iter(files)) == twice
    assert repeated_classes(iter([("a.py", "class Gate: ...\n")])) == {}


def test_imports_stand_in_one_block() -> None:
    """A second block of imports under TYPE_CHECKING would hide a circle."""
    guarded = re.compile(r"^if TYPE_CHECKING:")
    assert matching(guarded, modules(*SHIPPED)) == []
