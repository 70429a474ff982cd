"""What Telegram finds in plain text by itself: links, mentions, tags, commands and the like."""

import re

from sandbox.telegram.text.entities import Entity, utf16_length

__all__ = ["detect_entities"]

_TLD = (
    "com|org|net|in|io|dev|me|app|co|ai|info|edu|gov|uk|us|eu|de|tech|cloud|site|online|xyz|trade"
)
_PATTERNS = (
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")),
    (
        "url",
        re.compile(
            r"(?<![\w@./])(?:(?:https?|tg|ton)://[^\s<>\"«»]+"
            rf"|(?:[a-z0-9-]+\.)+(?:{_TLD})(?![\w.-]*\w)(?::\d+)?(?:[/?#][^\s<>\"«»]*)?)",
            re.IGNORECASE,
        ),
    ),
    ("mention", re.compile(r"(?<![\w@/])@[A-Za-z0-9_]{2,32}\b")),
    (
        "bot_command",
        re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/])"),
    ),
    ("hashtag", re.compile(r"(?<![\w#])#(?=\w*[^\W\d_])\w{1,256}")),
    ("cashtag", re.compile(r"(?<![\w$])\$[A-Z]{1,8}(?:@\w+)?\b")),
    ("phone_number", re.compile(r"(?<![\w+])\+\d{9,15}(?!\w)")),
)
_TRAILING = ".,:;!?'\")]}…"


def detect_entities(text: str, taken: list[Entity]) -> list[Entity]:
    """Find automatic entities outside code and links, and outside one another."""
    opaque = {"code", "pre", "text_link", "text_mention", "url", "date_time"}
    ranges = [
        (entity["offset"], entity["offset"] + entity["length"])
        for entity in taken
        if entity["type"] in opaque
    ]
    found: list[Entity] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            value = _trimmed(match.group(0)) if kind == "url" else match.group(0)
            offset = utf16_length(text[: match.start()])
            length = utf16_length(value)
            if any(offset < end and begin < offset + length for begin, end in ranges):
                continue
            ranges.append((offset, offset + length))
            found.append({"type": kind, "offset": offset, "length": length})
    return found


def _trimmed(url: str) -> str:
    """Drop the punctuation of the sentence, but keep a bracket that the link itself opened."""
    while url and url[-1] in _TRAILING:
        if url[-1] == ")" and url.count("(") >= url.count(")"):
            break
        url = url[:-1]
    return url
