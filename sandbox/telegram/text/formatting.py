"""From a method's parameters to the text and entities that a message holds."""

from dataclasses import dataclass
from typing import Any

from sandbox.telegram.errors import bad_request
from sandbox.telegram.text.detection import detect_entities
from sandbox.telegram.text.entities import (
    MAX_ENTITIES,
    Entity,
    sorted_entities,
    utf16_length,
)
from sandbox.telegram.text.html_markup import parse_html
from sandbox.telegram.text.markdown_markup import parse_markdown_v2

__all__ = ["MAX_CAPTION", "MAX_TEXT", "FormattedText", "format_caption", "format_text"]

MAX_TEXT = 4096
MAX_CAPTION = 1024
_MAX_RAW_BYTES = 32 * 1024
_ENTITY_TYPES = frozenset(
    [
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "pre",
        "text_link",
        "text_mention",
        "custom_emoji",
        "blockquote",
        "expandable_blockquote",
        "date_time",
    ]
)
_CONTROL = {code: " " for code in range(32) if code not in {10, 13}} | {13: None}


@dataclass(frozen=True)
class FormattedText:
    """Plain text with its entities, offsets in UTF-16 code units."""

    text: str
    entities: list[Entity]


def format_text(raw: str | None, parse_mode: str | None, entities: Any = None) -> FormattedText:
    """Format a message's text: 1 to 4096 characters after markup.

    Raises:
        BotApiError: When the text is empty or too long, or its markup is wrong.
    """
    if raw is None:
        raise bad_request("message text is empty")
    formatted = _formatted(raw, parse_mode, entities)
    if not formatted.text:
        raise bad_request("message text is empty")
    if len(formatted.text) > MAX_TEXT:
        raise bad_request("message is too long")
    return formatted


def format_caption(raw: str | None, parse_mode: str | None, entities: Any = None) -> FormattedText:
    """Format a caption: up to 1024 characters after markup.

    Raises:
        BotApiError: When the caption is too long or its markup is wrong.
    """
    formatted = _formatted(raw or "", parse_mode, entities)
    if len(formatted.text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return formatted


def _formatted(raw: str, parse_mode: str | None, given: Any) -> FormattedText:
    if len(raw.encode("utf-8", "surrogatepass")) > _MAX_RAW_BYTES:
        raise bad_request("text is too long")
    source = raw.translate(_CONTROL)
    mode = (parse_mode or "").lower()
    if mode == "html":
        text, entities = parse_html(source)
    elif mode == "markdownv2":
        text, entities = parse_markdown_v2(source)
    elif mode in {"", "none"}:
        text, entities = source, _given_entities(given)
    else:
        raise bad_request("unsupported parse_mode")
    text, entities = _trimmed(text, [_public(entity) for entity in entities])
    entities = entities[:MAX_ENTITIES]
    return FormattedText(text, sorted_entities(entities + detect_entities(text, entities)))


def _public(entity: Entity) -> Entity:
    public = {key: value for key, value in entity.items() if not key.startswith("_")}
    if public["type"] == "text_mention":
        user = {"is_bot": False, "first_name": "", **public["user"]}
        public["user"] = user
    return public


def _given_entities(given: Any) -> list[Entity]:
    if not isinstance(given, list):
        return []
    entities: list[Entity] = []
    for entity in given:
        if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
            raise bad_request('can\'t parse MessageEntity: Field "type" must be of type String')
        if entity["type"] in _ENTITY_TYPES:
            entities.append(entity)
    return entities


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Strip the ends, except before code that starts the message, and cut entities to fit."""
    text = text.rstrip()
    starts_with_code = any(
        entity["offset"] == 0 and entity["type"] in {"pre", "code"} for entity in entities
    )
    lead = 0 if starts_with_code else len(text) - len(text.lstrip())
    text = text[lead:]
    size = utf16_length(text)
    kept: list[Entity] = []
    for entity in entities:
        begin = max(0, entity["offset"] - lead)
        end = min(size, entity["offset"] - lead + entity["length"])
        if end > begin:
            kept.append({**entity, "offset": begin, "length": end - begin})
    return text, kept
