"""The configuration of reverse proxies, as far as the doctor looks: nginx and Caddy.

Both are words and blocks in braces. nginx ends a directive with a semicolon, Caddy with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["Directive", "parsed_caddy", "parsed_nginx"]

_NGINX = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\$\{|[^\s{};])+""")
_CADDY = re.compile(r"""(?:^|(?<=\s))#[^\n]*|"(?:\\.|[^"\\])*"|`[^`]*`|\n|[^\s]+""")


@dataclass(frozen=True)
class Directive:
    """One directive; ``block`` has those in its braces."""

    words: tuple[str, ...]
    block: list[Directive] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0] if self.words else ""

    def inner(self, name: str) -> list[Directive]:
        """Return the directives of a name that stand right in its block."""
        return [one for one in self.block if one.name == name]

    def walk(self) -> Iterator[Directive]:
        """Return all directives in its block, at every depth."""
        for one in self.block:
            yield one
            yield from one.walk()


def parsed_nginx(text: str) -> Directive:
    """Return a file of nginx as the block of a directive without words."""
    words_of_file = [one for one in _NGINX.findall(text) if not one.startswith("#")]
    return Directive((), _nested(words_of_file, end=";"))


def parsed_caddy(text: str) -> Directive:
    """Return a Caddyfile in the same form; a block of the global options has no words."""
    words_of_file = [one for one in _CADDY.findall(text) if not one.startswith("#")]
    return Directive((), _nested([*words_of_file, "\n"], end="\n"))


def _nested(words_of_file: Sequence[str], *, end: str) -> list[Directive]:
    """Return the directives that words_of_file make; braces that do not match end what they can."""
    found: list[Directive] = []
    stack = [found]
    words: list[str] = []
    for word in words_of_file:
        if word == "{":
            opened = Directive(tuple(words))
            stack[-1].append(opened)
            stack.append(opened.block)
            words = []
        elif word == "}":
            if words:
                stack[-1].append(Directive(tuple(words)))
            words = []
            if len(stack) > 1:
                stack.pop()
        elif word == end:
            if words:
                stack[-1].append(Directive(tuple(words)))
            words = []
        else:
            words.append(word.strip("\"'`"))
    return found
