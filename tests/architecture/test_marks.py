"""A test that claims a proof drives the product: the sandbox, or a copy in the test, proves nothing.

Names are followed from each marked test through its fixtures and helpers, wherever they are defined,
until one comes from the product's packages or a process of the product is started. Annotations do
not count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = {"bot", "console", "core", "strategy", "webhooks"}
KINDS = {"row", "invariant", "matrix"}
ABOUT_THE_REPOSITORY = {"F3"}
"""Rows whose product is the Makefile: their tests read it."""


@dataclass
class Module:
    """One module of tests: what its names are made of.

    Attributes:
        imports: Where a name comes from, as (module, name).
        uses: The names that a definition at the top of the module uses, its fixtures among them.
        starters: Definitions that start the product as a process, or hold a program that uses it.
        plugins: Modules that it asks pytest for.
        marks: The proofs that every test of it claims.
        claims: The proofs that each test claims, by the line of the test.
    """

    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    starters: set[str] = field(default_factory=set)
    plugins: list[str] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    claims: dict[str, tuple[int, set[str]]] = field(default_factory=dict)


def package(module: str) -> str:
    return module.partition(".")[0]


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a definition's nodes, annotations left out."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child)


def names_in(node: ast.AST) -> set[str]:
    """Return the names that a definition uses; a parameter may be a fixture."""
    found = {inner.id for inner in walk(node) if isinstance(inner, ast.Name)}
    return found | {inner.arg for inner in walk(node) if isinstance(inner, ast.arg)}


def starts_the_product(node: ast.AST) -> bool:
    """Tell whether a definition holds a command line, or a program's text, that runs the product."""
    for inner in walk(node):
        if isinstance(inner, ast.List | ast.Tuple):
            words = [word.value for word in inner.elts if isinstance(word, ast.Constant)]
            if "-m" in words[:-1] and words[words.index("-m") + 1] in PRODUCT:
                return True
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            imported = re.findall(r"^(?:from|import) (\w+)", inner.value, re.MULTILINE)
            if PRODUCT & set(imported):
                return True
    return False


def proofs_in(node: ast.AST) -> set[str]:
    """Return what marks in an expression claim, such as ``row D2``."""
    return {
        f"{call.func.attr} {argument.value!s}"
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in KINDS
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


def module_of(text: str) -> Module:
    """Read one module."""
    made = Module()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            made.imports.update(imported_by(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            define(made, node.name, node)
            claims = {proof for mark in node.decorator_list for proof in proofs_in(mark)}
            if node.name.startswith("test_"):
                made.claims[node.name] = (node.lineno, claims)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    define(made, target.id, node.value)
    made.claims = {test: (line, own | made.marks) for test, (line, own) in made.claims.items()}
    return made


def imported_by(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each name that a statement imports, and where it comes from."""
    for one in node.names:
        if isinstance(node, ast.ImportFrom):
            yield one.asname or one.name, (node.module or "", one.name)
        else:
            yield one.asname or package(one.name), (one.name, "")


def define(module: Module, name: str, node: ast.AST) -> None:
    """Note what a name of a module is made of."""
    module.uses[name] = names_in(node)
    if starts_the_product(node):
        module.starters.add(name)
    if name == "pytestmark":
        module.marks = proofs_in(node)
    elif name == "pytest_plugins":
        module.plugins = list(ast.literal_eval(node))


class Suite:
    """All modules below a folder ``tests``."""

    def __init__(self, root: Path) -> None:
        self.modules = {
            ".".join(path.relative_to(root).with_suffix("").parts): module_of(
                path.read_text(encoding="utf-8")
            )
            for path in (root / "tests").rglob("*.py")
        }

    def fixture_modules(self, name: str) -> Iterator[str]:
        """Yield where pytest looks for the fixtures of a module, the nearest first."""
        yield from self.modules[name].plugins
        parts = name.split(".")[:-1]
        while parts:
            yield ".".join([*parts, "conftest"])
            parts.pop()

    def reaches(self, module: str, name: str, seen: set[tuple[str, str]]) -> bool:
        """Tell whether a name leads to the product."""
        if (module, name) in seen or module not in self.modules:
            return package(module) in PRODUCT
        seen.add((module, name))
        here = self.modules[module]
        if name in here.starters:
            return True
        if name in here.uses:
            return any(self.resolves(module, used, name, seen) for used in here.uses[name])
        if name in here.imports:
            return self.reaches(*here.imports[name], seen)
        return False

    def resolves(self, module: str, used: str, user: str, seen: set[tuple[str, str]]) -> bool:
        """Tell whether a name that a definition uses leads to the product."""
        here = self.modules[module]
        if used != user and (used in here.uses or used in here.imports):
            return self.reaches(module, used, seen)
        for place in self.fixture_modules(module):
            if place in self.modules and used in self.modules[place].uses:
                return (place, used) != (module, user) and self.reaches(place, used, seen)
        return False

    def empty_claims(self) -> list[str]:
        """Return the tests that claim a proof and never reach the product."""
        return [
            f"{module}:{line} {test}: {', '.join(sorted(claims))}"
            for module, here in sorted(self.modules.items())
            for test, (line, claims) in here.claims.items()
            if claims - {f"row {row}" for row in ABOUT_THE_REPOSITORY}
            and not self.reaches(module, test, set())
        ]


def test_every_proof_drives_the_product() -> None:
    """No row, invariant or case of the matrix is proved by something else than the product."""
    assert Suite(ROOT).empty_claims() == []


PLANTED = {
    "tests/conftest.py": """
import pytest
from sandbox.world import World
from core.bootstrap import build

@pytest.fixture
def outside():
    return World()

@pytest.fixture
def system(outside):
    return build(outside)
""",
    "tests/fakes/process.py": """
import subprocess, sys

def controller():
    return subprocess.Popen([sys.executable, "-P", "-m", "bot", "run"])

PROGRAM = '''
from core.bootstrap import build
'''

def program():
    return subprocess.Popen([sys.executable, "-P", "-c", PROGRAM])

def simulators():
    return subprocess.Popen([sys.executable, "-P", "-m", "sandbox"])
""",
    "tests/test_planted.py": """
import pytest
from core.domain.order import Order
from tests.fakes.process import controller, program, simulators

def pass_gate(view):
    return view.mode == "NORMAL"

@pytest.mark.row("C4")
def test_of_a_copy(outside):
    assert pass_gate(outside)

@pytest.mark.invariant("I6")
def test_with_an_annotation_alone(outside: Order) -> None:
    assert outside

@pytest.mark.matrix("N01")
def test_of_the_sandbox_process():
    assert simulators()

def test_without_a_claim(outside):
    assert outside

@pytest.mark.row("F3")
def test_of_the_makefile():
    assert open("Makefile")

@pytest.mark.row("C4")
def test_through_a_fixture(system):
    assert system

@pytest.mark.row("F4")
def test_through_a_process():
    assert controller()

@pytest.mark.row("F5")
def test_through_a_program():
    assert program()
""",
    "tests/test_planted_module.py": """
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.row("D2")]

def test_of_arithmetic():
    assert 1 + 1 == 2
""",
}


def test_a_proof_without_the_product_is_found(tmp_path: Path) -> None:
    """A copy, an annotation, the sandbox's process and a mark of the module are seen through."""
    for name, text in PLANTED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [claim.partition(" ")[2] for claim in Suite(tmp_path).empty_claims()] == [
        "test_of_a_copy: row C4",
        "test_with_an_annotation_alone: invariant I6",
        "test_of_the_sandbox_process: matrix N01",
        "test_of_arithmetic: row D2",
    ]
