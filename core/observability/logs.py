"""The log's form and its redaction.

Two nets under each other: texts registered as secrets are replaced wherever they appear, and
patterns catch what looks like one (a bot token in an address, ``access_token=…``, an Authorization
header). Line breaks stay inside the JSON string, so that one event is one line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

__all__ = ["JsonFormatter", "Redactor", "keep_log_quiet", "set_up_logging"]

_MASK = "***"
_SHORTEST_SECRET = 6
_PATTERNS = (
    (re.compile(r"\d{5,}:[A-Za-z0-9_-]{20,}"), _MASK),
    (re.compile(r"bot\d{5,}(?::|%3A)[A-Za-z0-9_-]{20,}"), "bot" + _MASK),
    (
        re.compile(
            r"(?i)(?:\b|%3F|%26)(access_token|request_token|auth_code|api_secret|checksum|code|appidhash"
            r"|refresh_token|public_token|enctoken)([\"']?\s*(?:[=:]|%3D)\s*b?[\"']?)"
            r"[^\s\"'&,}]+"
        ),
        r"\1\2" + _MASK,
    ),
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*b?[\"']?)[^\"',}]+"), r"\1" + _MASK),
    (re.compile(r"(?i)(mongodb(?:\+srv)?://[^:/@\s]+:)[^@\s]+@"), r"\1" + _MASK + "@"),
    (re.compile(r"(/login/)[A-Za-z0-9_-]{16,}"), r"\1" + _MASK),
)


class Redactor:
    """Takes secrets out of texts."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, secret: str) -> None:
        """Never let this text be written again."""
        if len(secret) >= _SHORTEST_SECRET:
            self._known.add(secret)

    def clean(self, text: str) -> str:
        """Return ``text`` without secrets."""
        for secret in self._known:
            text = text.replace(secret, _MASK)
        for pattern, mask in _PATTERNS:
            text = pattern.sub(mask, text)
        return text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``at`` (UTC), ``level``, ``logger``, ``message``, ``error``."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        event = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redactor.clean(record.getMessage()),
        }
        if record.exc_info:
            event["error"] = self._redactor.clean(self.formatException(record.exc_info))
        return json.dumps(event)  # escapes whatever a reader could take for the end of a line


def set_up_logging(level: str, redactor: Redactor) -> None:
    """Write the log to standard error, and keep libraries that log addresses quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Each of these writes whole addresses or headers below WARNING (facts/kite.md 9.3).
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "aiohttp.access",
        "telegram",
        "apscheduler",
        "pymongo",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


def keep_log_quiet() -> None:
    """Write no log at all, for a command whose lines are for a person."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]
