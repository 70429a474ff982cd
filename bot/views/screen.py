"""A screen, the result of every view: the text and the buttons of one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from telegram import CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import KeyboardButtonStyle

from bot.views.callbacks import encode
from bot.views.markup import short
from bot.views.verbs import Verb
from bot.views.width import fits_button
from core.domain.bare_lines import BareLine

__all__ = [
    "DANGER",
    "PRIMARY",
    "REFRESH",
    "SUCCESS",
    "Keyboard",
    "Screen",
    "button",
    "copy_button",
    "grid",
    "is_linkable",
    "link_button",
]

Keyboard = tuple[tuple[InlineKeyboardButton, ...], ...]

DANGER = KeyboardButtonStyle.DANGER
PRIMARY = KeyboardButtonStyle.PRIMARY
SUCCESS = KeyboardButtonStyle.SUCCESS
REFRESH = "🔄 Refresh"
"""The label of the button that shows the same screen again; the one of an old message, too."""
_LABEL_LIMIT = 40
_COPY_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Screen:
    """One message: Telegram HTML and its inline keyboard.

    Attributes:
        bare: What it says of unprotected positions, where somebody keeps that true.
    """

    text: str
    rows: Keyboard = ()
    bare: tuple[BareLine, ...] = ()

    def markup(self) -> InlineKeyboardMarkup | None:
        """Return the keyboard as an object of the Telegram library, each label with its room."""
        return InlineKeyboardMarkup(_roomy(self.rows)) if self.rows else None

    def with_note(self, note: str) -> Screen:
        """Return the screen with a first line (HTML) above it."""
        return replace(self, text=f"{note}\n\n{self.text}")


def _roomy(rows: Keyboard) -> Keyboard:
    """Return the rows; a row goes on in the next one where a phone would cut a label off."""
    found: list[tuple[InlineKeyboardButton, ...]] = []
    for row in rows:
        rest = row
        while rest:
            most = len(rest)
            while most > 1 and not all(fits_button(one.text, most) for one in rest[:most]):
                most -= 1
            found.append(rest[:most])
            rest = rest[most:]
    return tuple(found)


def button(
    label: str, verb: Verb, *arguments: str | int, style: KeyboardButtonStyle | None = None
) -> InlineKeyboardButton:
    """Return a button whose tap is sent to the bot."""
    return InlineKeyboardButton(
        short(label, _LABEL_LIMIT), callback_data=encode(verb, *arguments), style=style
    )


def link_button(
    label: str, url: str, *, style: KeyboardButtonStyle | None = None
) -> InlineKeyboardButton:
    """Return a button that opens an address."""
    return InlineKeyboardButton(short(label, _LABEL_LIMIT), url=url, style=style)


def copy_button(label: str, text: str) -> InlineKeyboardButton | None:
    """Return a button that copies ``text``, or None when Telegram does not allow its length."""
    if not 1 <= len(text) <= _COPY_LIMIT:
        return None
    return InlineKeyboardButton(short(label, _LABEL_LIMIT), copy_text=CopyTextButton(text))


def is_linkable(url: str) -> bool:
    """Return whether Telegram accepts the address on a button; it refuses ``localhost``."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and "." in (parts.hostname or "")


def grid(
    buttons: Iterable[InlineKeyboardButton], width: int
) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
    """Return buttons in rows of ``width``."""
    flat: Sequence[InlineKeyboardButton] = tuple(buttons)
    return tuple(tuple(flat[at : at + width]) for at in range(0, len(flat), width))
