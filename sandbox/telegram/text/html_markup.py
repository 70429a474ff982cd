"""`parse_mode=HTML`: the few tags that Telegram knows, strict about everything else."""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from sandbox.telegram.errors import bad_request
from sandbox.telegram.text.entities import Entity, byte_offset, sorted_entities, utf16_length
from sandbox.telegram.text.links import checked_link, linked_user_id

__all__ = ["parse_html"]

_SIMPLE = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
}
_TAGS = {*_SIMPLE, "a", "code", "pre", "blockquote", "tg-emoji", "tg-time"}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|(lt|gt|amp|quot))(;?)")
_ATTRIBUTE = re.compile(r"\s*([^\s=>]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[A-Za-z0-9.\-]+))?")
_LAST_CODE_POINT = 0x10FFFF


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Split HTML into plain text and entities.

    Raises:
        BotApiError: With the server's words and a byte offset, when the markup is wrong.
    """
    return _HtmlParser(source).parse()


@dataclass
class _OpenTag:
    name: str
    attributes: dict[str, str]
    offset: int
    text_index: int
    source_index: int


@dataclass
class _HtmlParser:
    source: str
    index: int = 0
    length: int = 0
    out: list[str] = field(default_factory=list)
    stack: list[_OpenTag] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)

    def parse(self) -> tuple[str, list[Entity]]:
        while self.index < len(self.source):
            char = self.source[self.index]
            if char == "&":
                self._character_reference()
            elif char != "<":
                self._append(char)
                self.index += 1
            elif self.source.startswith("</", self.index):
                self._end_tag()
            else:
                self._start_tag()
        if self.stack:
            name = self.stack[-1].name
            raise bad_request(
                f"can't parse entities: Can't find end tag corresponding to start tag \"{name}\""
            )
        return "".join(self.out), sorted_entities(self.entities)

    def _append(self, text: str) -> None:
        self.out.append(text)
        self.length += utf16_length(text)

    def _fail(self, what: str, index: int, tail: str = "") -> NoReturn:
        offset = byte_offset(self.source, index)
        raise bad_request(f"can't parse entities: {what} at byte offset {offset}{tail}")

    def _character_reference(self) -> None:
        match = _REFERENCE.match(self.source, self.index)
        if match is None:
            self._append("&")
            self.index += 1
            return
        decimal, hexadecimal, name, _semicolon = match.groups()
        code = int(decimal or "0") or int(hexadecimal or "0", 16)
        if name:
            self._append(_NAMED[name])
        elif 0 < code <= _LAST_CODE_POINT:
            self._append(chr(code))
        else:
            self._append(match.group(0))
        self.index = match.end()

    def _start_tag(self) -> None:
        begin = self.index
        end = begin + 1
        while end < len(self.source) and self.source[end] != ">" and not self.source[end].isspace():
            end += 1
        if end >= len(self.source):
            self._fail("Unclosed start tag", begin)
        name = self.source[begin + 1 : end].lower()
        if name not in _TAGS:
            self._fail(f'Unsupported start tag "{name}"', begin)
        self.index = end
        attributes = self._attributes(name, begin)
        if name == "span" and attributes.get("class") != "tg-spoiler":
            self._fail('Tag "span" must have class "tg-spoiler"', begin)
        self.stack.append(_OpenTag(name, attributes, self.length, len(self.out), begin))

    def _attributes(self, name: str, begin: int) -> dict[str, str]:
        attributes: dict[str, str] = {}
        while True:
            while self.index < len(self.source) and self.source[self.index].isspace():
                self.index += 1
            if self.index >= len(self.source):
                self._fail("Unclosed start tag", begin)
            if self.source[self.index] == ">":
                self.index += 1
                return attributes
            match = _ATTRIBUTE.match(self.source, self.index)
            if match is None:
                self._fail(f'Empty attribute name in the tag "{name}"', begin)
            attributes[match.group(1).lower()] = _unquoted(match.group(2) or "")
            self.index = match.end()

    def _end_tag(self) -> None:
        begin = self.index
        end = self.source.find(">", begin)
        if end < 0:
            self._fail("Unclosed end tag", begin)
        name = self.source[begin + 2 : end].strip().lower()
        if not self.stack:
            self._fail("Unexpected end tag", begin)
        opened = self.stack.pop()
        if name and name != opened.name:
            tail = f', expected "</{opened.name}>", found "</{name}>"'
            self._fail("Unmatched end tag", begin, tail)
        self.index = end + 1
        if self.length > opened.offset:
            self._close(opened)

    def _close(self, opened: _OpenTag) -> None:
        span: Entity = {"offset": opened.offset, "length": self.length - opened.offset}
        if opened.name in _SIMPLE:
            self.entities.append({"type": _SIMPLE[opened.name], **span})
        elif opened.name == "a":
            self._close_link(opened, span)
        elif opened.name in {"pre", "code"}:
            self._close_code(opened, span)
        elif opened.name == "blockquote":
            is_expandable = "expandable" in opened.attributes
            kind = "expandable_blockquote" if is_expandable else "blockquote"
            self.entities.append({"type": kind, **span})
        elif opened.name == "tg-emoji":
            emoji = opened.attributes.get("emoji-id", "")
            if not emoji.isdigit():
                raise bad_request("can't parse entities: Invalid custom emoji identifier specified")
            self.entities.append({"type": "custom_emoji", **span, "custom_emoji_id": emoji})
        else:
            self._close_time(opened, span)

    def _close_time(self, opened: _OpenTag, span: Entity) -> None:
        unix = opened.attributes.get("unix", "")
        if not unix.lstrip("-").isdigit():
            raise bad_request("can't parse entities: Invalid date-time specified")
        entity: Entity = {"type": "date_time", **span, "unix_time": int(unix)}
        if opened.attributes.get("format"):
            entity["date_time_format"] = opened.attributes["format"]
        self.entities.append(entity)

    def _close_link(self, opened: _OpenTag, span: Entity) -> None:
        url = opened.attributes.get("href") or "".join(self.out[opened.text_index :])
        user_id = linked_user_id(url)
        if user_id is not None:
            self.entities.append({"type": "text_mention", **span, "user": {"id": user_id}})
        elif link := checked_link(url):
            self.entities.append({"type": "text_link", **span, "url": link})

    def _close_code(self, opened: _OpenTag, span: Entity) -> None:
        """Join `<pre><code class="language-x">` of one range to a single pre with a language."""
        language = opened.attributes.get("class", "")
        language = language.removeprefix("language-") if language.startswith("language-") else ""
        last = self.entities[-1] if self.entities else {}
        is_same = all(last.get(key) == span[key] for key in ("offset", "length"))
        if opened.name == "pre" and is_same and last.get("type") == "code" and "_lang" in last:
            last["type"], last["language"] = "pre", last.pop("_lang")
            return
        entity: Entity = {"type": opened.name, **span}
        if opened.name == "code" and language and any(tag.name == "pre" for tag in self.stack):
            entity["_lang"] = language
        self.entities.append(entity)


def _unquoted(value: str) -> str:
    raw = value[1:-1] if value[:1] in {'"', "'"} else value

    def character(match: re.Match[str]) -> str:
        if match.group(3):
            return _NAMED[match.group(3)]
        code = int(match.group(1) or "0") or int(match.group(2) or "0", 16)
        return chr(code) if 0 < code <= _LAST_CODE_POINT else match.group(0)

    return _REFERENCE.sub(character, raw)
