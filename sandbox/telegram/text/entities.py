"""Entities: a type, and a range in UTF-16 code units."""

from typing import Any

__all__ = ["MAX_ENTITIES", "Entity", "byte_offset", "sorted_entities", "utf16_length"]

Entity = dict[str, Any]
MAX_ENTITIES = 100

_NESTING = ("blockquote", "expandable_blockquote", "text_link", "pre", "code", "bold", "italic")


def utf16_length(text: str) -> int:
    """Count the UTF-16 code units of a text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def byte_offset(text: str, index: int) -> int:
    """Give the UTF-8 offset of a character: error descriptions count bytes."""
    return len(text[:index].encode("utf-8", "surrogatepass"))


def sorted_entities(entities: list[Entity]) -> list[Entity]:
    """Order as the server does: by offset, the longer first, then the usual outer ones first."""

    def rank(entity: Entity) -> tuple[int, int, int]:
        kind = entity["type"]
        nesting = _NESTING.index(kind) if kind in _NESTING else len(_NESTING)
        return entity["offset"], -entity["length"], nesting

    return sorted(entities, key=rank)
