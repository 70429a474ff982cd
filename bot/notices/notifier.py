"""Delivers notices through Telegram, and maps the answer of each call to one of four results.

It neither waits nor retries; the outbox does. Two exceptions: a text or keyboard that Telegram does
not accept is sent once more as plain text, and an edit that it refuses becomes a new message, where
the card goes on (row H5).
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from telegram import InlineKeyboardButton
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.ext import ExtBot

from bot.conversation.visit import NO_PREVIEW, is_not_modified
from bot.edge.limiter import AT_ONCE, seconds_of
from bot.notices.lookups import Lookups
from bot.notices.render import render, render_present
from bot.notices.together import parts_of
from bot.views.callbacks import noticed
from bot.views.markup import fit, italic
from bot.views.screen import Screen
from core.domain.notices.post import Delivery, Post
from core.errors import NotFound, SaarthiError
from core.ports.notifier import Blocked, Delivered, Dropped, TryLater, Undeliverable

__all__ = ["Result", "TelegramNotifier"]

Result = Delivered | Dropped | TryLater | Blocked | Undeliverable
Api = ExtBot[str]

_AGAIN = "Sent again after an interruption: you may have it already."
_OUTAGE_S = 5.0
_TOKEN_REFUSED_S = 60.0
_TAG = re.compile(r"<[^>]+>")
_CHAT_GONE = ("chat not found", "user not found", "peer_id_invalid")
_BAD_CONTENT = ("parse", "entit", "button", "markup", "too long", "too_long", "text is empty")
"""What a refusal says when the content is to blame, not the editing: plain text may pass."""
_log = logging.getLogger(__name__)


class TelegramNotifier:
    """Renders notices and sends, edits or deletes their messages."""

    def __init__(self, api: Api, lookups: Lookups) -> None:
        self._api = api
        self._lookups = lookups

    async def deliver(
        self,
        chat_id: int,
        post: Post,
        *,
        notice_id: str,  # noqa: ARG002 - the port's
        message_id: int | None,
        is_repeat: bool,
    ) -> Result:
        """Show the notice in the chat; see ``core.ports.notifier``."""
        if post.delivery is Delivery.REMOVE:
            try:
                return await self._remove(chat_id, message_id)
            except TelegramError as error:
                return _outcome(error)
        screen = await self._rendered(post)
        if not isinstance(screen, Screen):
            return screen
        marked = _marked(screen, is_repeat=is_repeat)
        return await self._show(chat_id, post, _Content(screen, marked), message_id)

    async def deliver_together(
        self, chat_id: int, posts: Sequence[Post], *, is_repeat: bool
    ) -> list[Result]:
        """Show several notices in as few messages as hold them; see ``core.ports.notifier``."""
        rendered = [await self._rendered(post) for post in posts]
        places = [at for at, one in enumerate(rendered) if isinstance(one, Screen)]
        screens = [one for one in rendered if isinstance(one, Screen)]
        found: dict[int, Result] = {
            at: one for at, one in enumerate(rendered) if not isinstance(one, Screen)
        }
        for screen, count in parts_of(screens):
            part, places = places[:count], places[count:]
            shown = _marked(screen, is_repeat=is_repeat)
            outcome = await self._show(
                chat_id, Post(posts[part[0]].notice), _Content(screen, shown), None
            )
            if isinstance(outcome, Undeliverable) and count > 1:
                # One of them is to blame: the others must not be lost with it.
                for at in part:
                    alone = _marked(cast(Screen, rendered[at]), is_repeat=is_repeat)
                    outcome = await self._show(chat_id, posts[at], _Content(alone, alone), None)
                    found[at] = outcome
                    if isinstance(outcome, TryLater):
                        break
            else:
                found |= dict.fromkeys(part, outcome)
            if isinstance(outcome, TryLater):
                # The chat waits, and what is behind it waits with it.
                behind = [at for at in (*part, *places) if at not in found]
                found |= dict.fromkeys(behind, replace(outcome, may_have_arrived=False))
                break
        return [found[at] for at in range(len(posts))]

    async def _rendered(self, post: Post) -> Screen | Dropped | TryLater | Undeliverable:
        """Return the message of a notice, or why there is none now."""
        try:
            if post.delivery is Delivery.AMEND:
                return await render_present(post.notice, self._lookups)
            return await render(post.notice, self._lookups)
        except NotFound as error:
            return Dropped(str(error))  # that it is kept no longer says less than the card does
        except SaarthiError as error:
            return TryLater(_OUTAGE_S, f"cannot be rendered now: {type(error).__name__}")
        except Exception:  # noqa: BLE001 - logged, and a dead letter
            # The boundary of rendering: one notice that cannot be rendered must not stop those
            # after it. The outbox keeps it among the dead letters.
            _log.exception("a notice of the kind %s cannot be rendered", post.notice.kind)
            return Undeliverable("it cannot be rendered")

    async def _show(
        self, chat_id: int, post: Post, content: _Content, message_id: int | None
    ) -> Result:
        """Show a screen, once more as plain text when Telegram does not accept it."""
        try:
            return await self._place(chat_id, post, content, message_id, is_plain=False)
        except BadRequest as error:
            if _is_chat_gone(error):
                return Blocked(str(error))
            _log.error("a message was refused and is sent as plain text: %s", error)
        except TelegramError as error:
            return _outcome(error)
        try:
            return await self._place(chat_id, post, content, message_id, is_plain=True)
        except TelegramError as error:
            return _outcome(error)

    async def _place(
        self,
        chat_id: int,
        post: Post,
        content: _Content,
        message_id: int | None,
        *,
        is_plain: bool,
    ) -> Result:
        parse_mode = None if is_plain else ParseMode.HTML
        is_card = message_id is not None and post.delivery in {Delivery.EDIT, Delivery.AMEND}
        if is_card and await self._edit(chat_id, message_id, content.edited, is_plain=is_plain):
            return Delivered(message_id, content.edited.bare)
        if post.delivery is Delivery.AMEND:
            return Dropped("its message cannot be edited any more")
        if message_id is not None and post.delivery is Delivery.REPLACE:
            await self._remove(chat_id, message_id)
        screen = content.sent
        sent = await self._api.send_message(
            chat_id,
            fit(_plain(screen.text) if is_plain else screen.text),
            parse_mode=parse_mode,
            reply_markup=None if is_plain else _on_notice(screen).markup(),
            link_preview_options=NO_PREVIEW,
            rate_limit_args=AT_ONCE,
        )
        if is_card:
            await self._clear_away(chat_id, message_id)
        return Delivered(sent.message_id, screen.bare)

    async def _edit(
        self, chat_id: int, message_id: int | None, screen: Screen, *, is_plain: bool
    ) -> bool:
        """Edit a card; False when Telegram refuses to, and it goes on anew, if at all (row H5)."""
        try:
            await self._api.edit_message_text(
                fit(_plain(screen.text) if is_plain else screen.text),
                chat_id=chat_id,
                message_id=message_id,
                parse_mode=None if is_plain else ParseMode.HTML,
                reply_markup=None if is_plain else _on_notice(screen).markup(),
                link_preview_options=NO_PREVIEW,
                rate_limit_args=AT_ONCE,
            )
        except BadRequest as error:
            if is_not_modified(error):
                return True
            if _is_chat_gone(error) or (not is_plain and _is_content_refused(error)):
                raise
            # Not by a list of known words: gone, too old, editing switched off in a country. Who
            # waits for the end of an order must see it, whatever the reason is called.
            _log.warning("an edit was refused, a card is sent anew: %s", error)
            return False
        except Forbidden as error:
            # Blocked altogether, or only editing is: the message that follows tells.
            _log.warning("an edit was forbidden, a card is sent anew: %s", error)
            return False
        return True

    async def _clear_away(self, chat_id: int, message_id: int | None) -> None:
        """Delete a card that could not be edited, so that no old state stays in the chat."""
        try:
            await self._remove(chat_id, message_id)
        except TelegramError as error:
            # The new message is there, and saying otherwise would send it again.
            _log.info("an old card stays in the chat: %s", error)

    async def _remove(self, chat_id: int, message_id: int | None) -> Delivered:
        """Delete a card; one that is gone or too old to delete is no failure."""
        if message_id is not None:
            try:
                await self._api.delete_message(chat_id, message_id, rate_limit_args=AT_ONCE)
            except BadRequest as error:
                if _is_chat_gone(error):
                    raise
                _log.info("a card could not be deleted: %s", error)
        return Delivered(None)


@dataclass(frozen=True, slots=True)
class _Content:
    """A notice as it is edited into its card, and as it is sent: marked where it is a repeat."""

    edited: Screen
    sent: Screen


def _marked(screen: Screen, *, is_repeat: bool) -> Screen:
    """Say of what may be in the chat already that it was sent again; an edit needs no mark."""
    return replace(screen, text=f"{fit(screen.text)}\n{italic(_AGAIN)}") if is_repeat else screen


def _on_notice(screen: Screen) -> Screen:
    """Return a screen whose buttons say that they stand on a notice."""
    rows = tuple(tuple(map(_noticed, row)) for row in screen.rows)
    return replace(screen, rows=rows)


def _noticed(one: InlineKeyboardButton) -> InlineKeyboardButton:
    data = one.callback_data
    if not isinstance(data, str):
        return one
    return InlineKeyboardButton(one.text, callback_data=noticed(data), style=one.style)


def _plain(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _is_chat_gone(error: BadRequest) -> bool:
    return any(mark in str(error).lower() for mark in _CHAT_GONE)


def _is_content_refused(error: BadRequest) -> bool:
    text = str(error).lower()
    return any(mark in text for mark in _BAD_CONTENT)


def _outcome(error: TelegramError) -> Result:
    """Classify a failure; after a time-out it may have arrived, so the retry is marked repeated."""
    if isinstance(error, RetryAfter):
        return TryLater(seconds_of(error), "flood limit of this chat")
    if isinstance(error, Forbidden | ChatMigrated):
        return Blocked(str(error))
    if isinstance(error, BadRequest):
        return Blocked(str(error)) if _is_chat_gone(error) else Undeliverable(str(error))
    if isinstance(error, InvalidToken):
        return TryLater(_TOKEN_REFUSED_S, "Telegram refuses the bot's token")
    if isinstance(error, NetworkError):
        return TryLater(_OUTAGE_S, type(error).__name__, may_have_arrived=True)
    return TryLater(_OUTAGE_S, str(error))
