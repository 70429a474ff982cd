"""`parse_mode=MarkdownV2`: every reserved character is markup or an error."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

from sandbox.telegram.errors import bad_request
from sandbox.telegram.text.entities import Entity, byte_offset, sorted_entities, utf16_length
from sandbox.telegram.text.links import checked_link, linked_user_id

__all__ = ["parse_markdown_v2"]

_RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
_LAST_ESCAPABLE = 126
_NAMES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "pre_code": "PreCode",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
    "expandable_blockquote": "ExpandableBlockQuote",
}
_CLOSERS = {
    "bold": "*",
    "italic": "_",
    "underline": "__",
    "strikethrough": "~",
    "spoiler": "||",
    "code": "`",
    "pre": "```",
    "pre_code": "```",
    "text_link": "]",
    "custom_emoji": "]",
}
_SIMPLE_STARTS = (
    ("__", "underline"),
    ("||", "spoiler"),
    ("_", "italic"),
    ("*", "bold"),
    ("~", "strikethrough"),
    ("![", "custom_emoji"),
    ("[", "text_link"),
)
_LANGUAGE = re.compile(r"```([^\s`]*)(\r\n|\n\r|\n|\r)?")


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    """Split MarkdownV2 into plain text and entities.

    Raises:
        BotApiError: With the server's words, when a character is unescaped or an entity open.
    """
    return _MarkdownParser(source).parse()


@dataclass
class _Open:
    kind: str
    offset: int
    text_index: int
    source_index: int
    argument: str = ""


@dataclass
class _MarkdownParser:
    source: str
    index: int = 0
    length: int = 0
    in_quote: bool = False
    out: list[str] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)

    def parse(self) -> tuple[str, list[Entity]]:
        while self.index < len(self.source):
            self._step()
        if self.in_quote and self.stack and self.stack[-1].kind.endswith("blockquote"):
            self._finish(self.stack.pop())
        if self.stack:
            self._unfinished()
        return "".join(self.out), sorted_entities(self.entities)

    def _step(self) -> None:
        char = self.source[self.index]
        follower = self.source[self.index + 1 : self.index + 2]
        if char == "\\" and follower and ord(follower) <= _LAST_ESCAPABLE:
            self._append(follower)
            self.index += 2
        elif self._is_plain(char):
            self._append(char)
            self.index += 1
        elif self._is_end():
            self._end()
        else:
            self._start(char)

    def _is_plain(self, char: str) -> bool:
        if self.stack and self.stack[-1].kind in {"code", "pre", "pre_code"}:
            return not self._at("`" if self.stack[-1].kind == "code" else "```")
        return char not in _RESERVED

    def _at(self, token: str) -> bool:
        return self.source.startswith(token, self.index)

    def _append(self, text: str) -> None:
        self.out.append(text)
        self.length += utf16_length(text)

    def _fail(self, text: str) -> NoReturn:
        raise bad_request(f"can't parse entities: {text}")

    def _unfinished(self) -> NoReturn:
        opened = self.stack[-1]
        offset = byte_offset(self.source, opened.source_index)
        self._fail(f"Can't find end of {_NAMES[opened.kind]} entity at byte offset {offset}")

    def _is_end(self) -> bool:
        if not self.stack:
            return False
        kind = self.stack[-1].kind
        if kind.endswith("blockquote"):
            return self._at("||") or (
                self._at("\n") and not self.source.startswith(">", self.index + 1)
            )
        closer = _CLOSERS[kind]
        if kind == "italic" and self._at("__"):
            return False
        return self._at(closer)

    def _start(self, char: str) -> None:
        if char == "\n":
            self._newline()
        elif self._at("**>") and self._at_line_start() and not self.in_quote:
            self._open("expandable_blockquote", 3)
            self.in_quote = True
        elif char == ">" and self.index == 0:
            self._open("blockquote", 1)
            self.in_quote = True
        elif char == "`":
            self._start_code()
        else:
            for token, kind in _SIMPLE_STARTS:
                if self._at(token):
                    self._open(kind, len(token))
                    return
            self._fail(
                f"Character '{char}' is reserved and must be escaped with the preceding '\\'"
            )

    def _at_line_start(self) -> bool:
        return self.index == 0 or self.source[self.index - 1] == "\n"

    def _newline(self) -> None:
        if self.stack and not self.stack[-1].kind.endswith("blockquote"):
            self._unfinished_unless_multiline()
        self._append("\n")
        self.index += 1
        if self._at(">"):
            if not self.in_quote:
                self._open("blockquote", 1)
                self.in_quote = True
            else:
                self.index += 1

    def _unfinished_unless_multiline(self) -> None:
        """Inline entities may span lines, but not inside a quote that ends there."""
        if self.in_quote and not self.source.startswith(">", self.index + 1):
            self._unfinished()

    def _open(self, kind: str, width: int, argument: str = "") -> None:
        self.stack.append(_Open(kind, self.length, len(self.out), self.index, argument))
        self.index += width

    def _start_code(self) -> None:
        if not self._at("```"):
            self._open("code", 1)
            return
        match = _LANGUAGE.match(self.source, self.index)
        width, language = 3, ""
        if match is not None:
            after = self.source[match.end(1) : match.end(1) + 1]
            if match.group(1) and after and after.isspace():
                language, width = match.group(1), match.end() - self.index
            elif not match.group(1):
                width = match.end() - self.index
        self._open("pre_code" if language else "pre", width, language)

    def _end(self) -> None:
        opened = self.stack.pop()
        if opened.kind.endswith("blockquote"):
            self._end_quote(opened)
            return
        self.index += len(_CLOSERS[opened.kind])
        if opened.kind == "text_link":
            self._end_link(opened)
        elif opened.kind == "custom_emoji":
            self._end_emoji(opened)
        else:
            self._finish(opened)

    def _end_quote(self, opened: _Open) -> None:
        if self._at("||"):
            opened.kind = "expandable_blockquote"
            self.index += 2
        if self._at("\n"):
            self._append("\n")
            self.index += 1
        self.in_quote = False
        self._finish(opened)

    def _target(self, what: str) -> str:
        begin = self.index + 1
        self.index = begin
        url: list[str] = []
        while self.index < len(self.source) and self.source[self.index] != ")":
            if self.source[self.index] == "\\" and self.index + 1 < len(self.source):
                self.index += 1
            url.append(self.source[self.index])
            self.index += 1
        if self.index >= len(self.source):
            offset = byte_offset(self.source, begin)
            self._fail(f"Can't find end of {what} at byte offset {offset}")
        self.index += 1
        return "".join(url)

    def _end_link(self, opened: _Open) -> None:
        url = self._target("a URL") if self._at("(") else "".join(self.out[opened.text_index :])
        user_id = linked_user_id(url)
        if user_id is not None:
            self._finish(opened, lambda: {"type": "text_mention", "user": {"id": user_id}})
        elif link := checked_link(url):
            self._finish(opened, lambda: {"url": link})

    def _end_emoji(self, opened: _Open) -> None:
        if not self._at("("):
            self._fail("Custom emoji entity must contain a tg://emoji URL")
        parts = urlsplit(self._target("a custom emoji URL"))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.netloc == "emoji" and query.get("id", "").isdigit():
            self._finish(opened, lambda: {"custom_emoji_id": query["id"]})
        elif parts.netloc == "time" and query.get("unix", "").lstrip("-").isdigit():
            moment: Entity = {"type": "date_time", "unix_time": int(query["unix"])}
            if "format" in query:
                moment["date_time_format"] = query["format"]
            self._finish(opened, lambda: moment)
        else:
            self._fail("Custom emoji URL must have the format tg://emoji?id=<document_id>")

    def _finish(self, opened: _Open, extra: Callable[[], Entity] = dict) -> None:
        length = self.length - opened.offset
        if length == 0:
            return
        kind = "pre" if opened.kind == "pre_code" else opened.kind
        entity: Entity = {"type": kind, "offset": opened.offset, "length": length, **extra()}
        if opened.argument:
            entity["language"] = opened.argument
        self.entities.append(entity)
