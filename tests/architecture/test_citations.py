"""Whatever code and pages cite exists: sections and ids of the specification, paths, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.specification import (
    CASES,
    DOCS,
    INVARIANTS,
    ROOT,
    ROWS,
    SPEC,
    page_for,
    sections_of,
)
from tests.architecture.test_repository import modules, tracked

FOLDERS = ("bot", "console", "core", "sandbox", "strategy", "tests", "webhooks")
KNOWN = {"row": ROWS, "invariant": INVARIANTS, "matrix": CASES}
AMBIGUOUS = ROWS & (CASES | INVARIANTS)
NO_IDS = {"T1"}
"""Words in the form of an id: T1 are bought shares that arrive on the next day."""
TO_BE_MADE = {
    "strategy/ten_o_clock.py",
    "strategy.ten_o_clock",
    "core/adapters/toy/",
    "core.adapters.toy",
    "sandbox/toy/",
}
"""Names of files that the reader of a guide makes."""

_PART = r"(?:\d+(?:\.\d+)*|[A-Z]\d{1,2}|[A-Z])(?![\w-])"
_CITED = re.compile(
    r"(?<![\w/*<:-])(?P<page>(?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.md)\b"
    rf"(?P<where>(?:,? (?:section |to |and )?§?{_PART})*)"
    r"(?:, \"(?P<title>[^\"]+)\")?"
)
_ID = re.compile(r"(?<![\w#/.-])(?P<kind>(?:row|case)\s+)?(?P<id>[A-Z]\d{1,2})(?![\w-])")
_RANGE = re.compile(r"\b([A-Z])(\d{1,2}) to ([A-Z])(\d{1,2})\b")
_DECISION = re.compile(r"\bdecisions? (\d{4})\b", re.IGNORECASE)
_MARK = re.compile(r"\bmark\.(row|invariant|matrix)\(([^)]*)\)")
_PATH = re.compile(rf"(?<![\w/.$}}-])(?:docs|{'|'.join(FOLDERS)})/[\w./-]*\w/?")
_DOTTED = re.compile(rf"(?<![\w/.@-])(?:{'|'.join(FOLDERS)})(?:\.\w+)+(?![\w(/])(?<!\.md)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"|!\[[^\]]*\]\(([^)\s]+)\)")
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_COMMENT = re.compile(r"#.*")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

Found = list[str]


# --- what is read ------------------------------------------------------------------------------


def comments(source: str) -> str:
    """Return comments and docstrings of a module."""
    lines = source.splitlines()
    docstrings = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.end_lineno != node.lineno:  # a "#" in a long text is no comment
                lines[node.lineno - 1 : node.end_lineno] = [""] * (
                    (node.end_lineno or node.lineno) - node.lineno + 1
                )
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.append(str(node.value.value))
    found = (_COMMENT.search(_QUOTED.sub("", line)) for line in lines if "#" in line)
    return "\n".join([*docstrings, *(comment[0] for comment in found if comment)])


@cache
def python() -> tuple[tuple[str, str], ...]:
    """Return the comments of every module: they cite, the rest of a module runs."""
    return tuple((name, comments(text)) for name, text in modules(*FOLDERS))


@cache
def pages() -> tuple[tuple[str, str], ...]:
    """Return the text of every page."""
    return tuple(
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in tracked()
        if path.suffix == ".md"
    )


def prose() -> Iterator[tuple[str, str]]:
    """Yield what speaks of ids: comments, and pages outside of the specification's facts."""
    yield from python()
    for name, text in pages():
        if not (ROOT / name).is_relative_to(SPEC / "facts"):
            yield name, text


# --- what is looked for ------------------------------------------------------------------------


def broken_citations(name: str, text: str) -> Found:
    """Return citations of pages, or of sections of pages, that do not exist."""
    broken = []
    for cited in _CITED.finditer(text):
        page = page_for(cited["page"], ROOT / name)
        if page is None:
            broken.append(f"{name}: {cited[0]}")
            continue
        parts = [*re.findall(_PART, cited["where"]), *([cited["title"]] if cited["title"] else [])]
        broken += [f"{name}: {cited['page']} {part}" for part in parts if missing(page, part)]
    return broken


def missing(page: Path, part: str) -> bool:
    """Tell whether a page lacks a section; a single capital may be the next word of the text."""
    return part not in sections_of(page) and not (len(part) == 1 and part.isalpha())


def unknown_ids(name: str, text: str) -> Found:
    """Return ids that the specification does not define, or that could mean two things."""
    ids = ROWS | CASES | INVARIANTS | NO_IDS
    cited = list(_ID.finditer(_CITED.sub("", text)))
    found = [one["id"] for one in cited if one["id"] not in ids]
    if not name.startswith("docs/spec/"):
        found += [one["id"] for one in cited if one["id"] in AMBIGUOUS and not one["kind"]]
    found += [one[0] for one in _RANGE.finditer(text) if not set(_between(*one.groups())) <= ids]
    return [f"{name}: {one}" for one in found]


def _between(letter: str, first: str, last_letter: str, last: str) -> list[str]:
    """Return the ids of a range, or one that does not exist when it is none."""
    width = 2 if first.startswith("0") else 1
    numbers = range(int(first), int(last) + 1)
    if letter != last_letter or not numbers:
        return ["?"]
    return [f"{letter}{number:0{width}}" for number in numbers]


def unknown_decisions(name: str, text: str) -> Found:
    """Return decisions that are cited by number and do not exist."""
    numbers = {path.name[:4] for path in (DOCS / "decisions").glob("*.md")}
    return [f"{name}: decision {one}" for one in _DECISION.findall(text) if one not in numbers]


def unknown_marks(name: str, source: str) -> Found:
    """Return ids in the marks of tests that are not of the mark's kind."""
    return [
        f"{name}: {kind} {one}"
        for kind, arguments in _MARK.findall(source)
        for one in re.findall(r"[\"']([^\"']+)[\"']", arguments)
        if one not in KNOWN[kind]
    ]


def missing_paths(name: str, text: str) -> Found:
    """Return paths within the repository that lead nowhere."""
    return [
        f"{name}: {path}"
        for path in _PATH.findall(text)
        if path not in TO_BE_MADE
        and not (ROOT / path).exists()
        and not (ROOT / name).parent.joinpath(path).exists()
    ]


def missing_modules(name: str, text: str) -> Found:
    """Return dotted names whose module, or whose name within it, does not exist."""
    found = set(_DOTTED.findall(text)) - TO_BE_MADE
    return [f"{name}: {one}" for one in sorted(found) if not _leads_somewhere(one)]


def _leads_somewhere(dotted: str) -> bool:
    place, parts = ROOT, dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").is_file():
        source = (place / f"{parts.pop(0)}.py").read_text(encoding="utf-8")
    elif (place / "__init__.py").is_file():
        source = (place / "__init__.py").read_text(encoding="utf-8")
    else:
        return not parts
    return all(re.search(rf"\b{re.escape(part)}\b", source) for part in parts)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and GitLab make them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    bare = (re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title)) for title in titles)
    return {title.strip().lower().replace(" ", "-") for title in bare}


def broken_links(name: str, text: str) -> Found:
    """Return relative links of a page that lead nowhere, anchors included."""
    broken = []
    for groups in _LINK.findall(_FENCE.sub("", text)):
        target = next(filter(None, groups))
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        leads = page.exists() and page.resolve().is_relative_to(ROOT)
        if leads and anchor:
            leads = anchor in anchors(page.read_text(encoding="utf-8"))
        if not leads:
            broken.append(f"{name}: {target}")
    return broken


# --- promises ----------------------------------------------------------------------------------


def test_cited_pages_and_sections_exist() -> None:
    """``reliability.md 2.3.7`` in a comment or a page leads to that point of that page."""
    texts = [*python(), *pages()]
    assert [one for name, text in texts for one in broken_citations(name, text)] == []


def test_cited_ids_exist() -> None:
    """``(C3)`` or ``(N07)`` in a comment or a page is a row, an invariant or a case."""
    assert [one for name, text in prose() for one in unknown_ids(name, text)] == []


def test_marks_name_what_exists() -> None:
    """A test proves a row, an invariant or a case that the specification defines."""
    own = str(Path(__file__).relative_to(ROOT))
    sources = [one for one in modules("tests") if one[0] != own]
    assert [one for name, source in sources for one in unknown_marks(name, source)] == []


def test_cited_decisions_exist() -> None:
    """A decision that is cited by its number has its page."""
    texts = [*python(), *pages()]
    assert [one for name, text in texts for one in unknown_decisions(name, text)] == []


def test_cited_paths_exist() -> None:
    """A file or folder of the repository that a comment or a page names is there."""
    texts = [*python(), *pages()]
    assert [one for name, text in texts for one in missing_paths(name, text)] == []


def test_cited_modules_exist() -> None:
    """A module, or a name within it, that a comment or a page names is there."""
    texts = [*python(), *pages()]
    assert [one for name, text in texts for one in missing_modules(name, text)] == []


def test_links_lead_somewhere() -> None:
    """Every relative link of every page leads to a file and, with an anchor, to a heading."""
    assert [one for name, text in pages() for one in broken_links(name, text)] == []


def test_specification_points_to_nothing_outside() -> None:
    """The pages of the specification need nothing that is not in the repository."""
    outside = re.compile(r"\.\./(?:\.\./)+|\bshared/|file:")
    texts = [(name, text) for name, text in pages() if name.startswith("docs/spec/")]
    assert len(texts) > 5
    assert [name for name, text in texts if outside.search(text)] == []


# --- a wrong one is caught ---------------------------------------------------------------------

PLANTED = [
    (broken_citations, "reliability.md 2.3.7", "reliability.md 2.3.17"),
    (broken_citations, "facts/kite.md 5.3", "facts/kite.md 5.33"),
    (broken_citations, "product.md A", "produkt.md A"),
    (broken_citations, "product.md B1 to B4, B9", "product.md B1 to B4, B19"),
    (broken_citations, 'interfaces.md, "Time"', 'interfaces.md, "Tide"'),
    (unknown_ids, "Keeps (I7), as C3 asks", "Keeps (I70), as C3 asks"),
    (unknown_ids, "see N07", "see N7"),
    (unknown_ids, "W01 to W06", "W01 to W60"),
    (unknown_ids, "dropped (row B10)", "dropped (B10)"),
    (unknown_decisions, "decision 0004", "decision 0404"),
    (unknown_marks, 'mark.row("A1", "A10")', 'mark.row("A1", "N07")'),
    (missing_paths, "see core/errors.py", "see core/terrors.py"),
    (missing_modules, "as core.errors.NotFound", "as core.errors.NotFounded"),
    (missing_modules, "as core.errors", "as core.terrors"),
    (broken_links, "[a](docs/spec/glossary.md#ids)", "[a](docs/spec/glossary.md#idds)"),
    (broken_links, "[a](docs/security.md)", "[a](docs/insecurity.md)"),
]


@pytest.mark.parametrize(("search", "right", "wrong"), PLANTED)
def test_planted_citation_is_caught(search: object, right: str, wrong: str) -> None:
    """Each search accepts what exists and finds what does not."""
    assert callable(search)
    assert search("README.md", right) == []
    assert search("README.md", wrong) != []


def test_citations_are_read_from_comments_alone() -> None:
    """A comment and a docstring cite; a text that the program handles does not."""
    source = '"""See N07."""\nKEY = "AB99"  # as C3\n'
    read = comments(source)
    assert "N07" in read
    assert "C3" in read
    assert "AB99" not in read


def test_specification_defines_all_families() -> None:
    """The tables are found: a change of their form must not make every citation unknown."""
    assert {"S1", "A1", "B11", "C6", "D10", "E6", "F8", "R8", "G4", "P7", "H6"} <= ROWS
    assert {f"I{n}" for n in range(1, 15)} == INVARIANTS
    assert {"C15", "N17", "B13", "W06", "A06", "K04", "D06", "T07", "O05", "X03"} <= CASES
    assert {"S04", "R04", "P02"} <= CASES
