"""The data of buttons: ``v1:<verb>:<argument>...``, at most 64 bytes, valid after any restart.

On a notice it begins with ``n1``: what was reported stays in the chat, so what such a button opens
is a message of its own.

A button that only shows something carries short plain data. One that changes something for good
carries a nonce (``bot.conversation.nonces``). Long names are sent as a ``handle``, a short hash
that is compared with the names that exist now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bot.views.verbs import Verb
from core.errors import NotFound

__all__ = [
    "LIMIT_BYTES",
    "ON_NOTICE",
    "VERSION",
    "Tap",
    "encode",
    "handle",
    "noticed",
    "parse",
    "resolve",
]

VERSION = "v1"
ON_NOTICE = "n1"
LIMIT_BYTES = 64


@dataclass(frozen=True, slots=True)
class Tap:
    """The parsed data of a button; ``verb`` is None for data that is not ours."""

    verb: Verb | None = None
    arguments: tuple[str, ...] = ()
    is_on_notice: bool = False

    def argument(self, position: int, default: str = "") -> str:
        """Return one argument, or ``default`` where there is none."""
        return self.arguments[position] if position < len(self.arguments) else default


def encode(verb: Verb, *arguments: str | int) -> str:
    """Return the data of a button.

    Raises:
        ValueError: It is longer than Telegram allows, or an argument holds the separator.
    """
    parts = [VERSION, verb, *(str(argument) for argument in arguments)]
    if any(":" in part for part in parts):
        raise ValueError(f"a part of {parts} holds the separator")
    data = ":".join(parts)
    if len(data.encode()) > LIMIT_BYTES:
        raise ValueError(f"{data!r} is longer than {LIMIT_BYTES} bytes")
    return data


def parse(data: str | None) -> Tap | None:
    """Return the parsed data, or None when the version or the verb is not known."""
    version, _, rest = (data or "").partition(":")
    verb, *arguments = rest.split(":")
    if version not in {VERSION, ON_NOTICE} or verb not in list(Verb):
        return None
    return Tap(Verb(verb), tuple(arguments), version == ON_NOTICE)


def noticed(data: str) -> str:
    """Return the data of a button as it stands on a notice; what is not ours stays as it is."""
    version, separator, rest = data.partition(":")
    return f"{ON_NOTICE}{separator}{rest}" if version == VERSION else data


def handle(name: str) -> str:
    """Return a hash of eight characters that represents a long name in a button."""
    return hashlib.blake2b(name.encode(), digest_size=4).hexdigest()


def resolve(wanted: str, names: Iterable[str], what: str) -> str:
    """Return the name that ``wanted`` is the handle of.

    Raises:
        NotFound: No name has this handle.
    """
    for name in names:
        if handle(name) == wanted:
            return name
    raise NotFound(f"That {what} is not there any more. Refresh the list and look again.")
