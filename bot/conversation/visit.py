"""One update being handled: who sent it, what it asks for, and how to answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from telegram import Bot, CallbackQuery, LinkPreviewOptions, Message
from telegram.constants import ParseMode
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bot.conversation.nonces import Nonce
from bot.conversation.patience import WAITING
from bot.conversation.services import ChatServices
from bot.edge.turns import Turn, Turns
from bot.views.callbacks import Tap, parse
from bot.views.markup import fit
from bot.views.screen import DANGER, PRIMARY, REFRESH, Keyboard, Screen, button
from bot.views.verbs import Verb
from core.domain.command import Command
from core.errors import UserError

__all__ = ["NO_PREVIEW", "Visit", "is_not_modified"]

NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_IN_SIGHT = 8
"""Messages below one, with which it leaves the screen of a phone."""
_ASKED_AGAIN_AFTER_S = (1.0, 3.0, 0.0)
_log = logging.getLogger(__name__)
T = TypeVar("T")


def is_not_modified(error: BadRequest) -> bool:
    """Return whether an edit failed only because the message already has this content."""
    return "message is not modified" in str(error).lower()


@dataclass(slots=True)
class Visit:
    """One message or tap of a user.

    Attributes:
        age_s: Seconds since the user acted, as far as known.
        nonce: The nonce behind the tapped button, checked and open.
        is_deleted: The user's message is deleted from the chat already.
        asked_in: The message of the question that is answered by what the user typed.
        answered_in: The message of a question that shows what came of a typed answer.
        is_refused: What was tapped is not to be had (any more), which was said.
        opens_anew: The tap only opens something, on a notice, which stays.
        opened_in: The new message in which it was opened.
        has_shown: Something was shown already, or is by the handler as soon as it takes long.
        waits_in: The message that says that the answer takes long.
        turn: Its turn in the chat.
    """

    services: ChatServices
    bot: Bot
    update_id: int
    user_id: int
    chat_id: int
    name: str
    message: Message | None = None
    query: CallbackQuery | None = None
    tap: Tap = field(default_factory=Tap)
    arguments: tuple[str, ...] = ()
    age_s: float = 0.0
    nonce: Nonce | None = None
    is_deleted: bool = False
    asked_in: int | None = None
    answered_in: int | None = None
    is_refused: bool = False
    opens_anew: bool = False
    opened_in: int | None = None
    has_shown: bool = False
    waits_in: int | None = None
    turn: Turn = field(default_factory=lambda: Turns().of(0))

    @property
    def command(self) -> Command:
        """The control command of this visit: its nonce, else its update, makes it unique."""
        own = f"{self.services.parameters.bot_id}:{self.update_id}"
        return Command(self.nonce.id if self.nonce else own, self.user_id, self.chat_id)

    @property
    def args(self) -> Mapping[str, Any]:
        """The arguments stored with the nonce; the dispatcher has checked that there is one."""
        if self.nonce is None:
            raise UserError("This button has expired.")
        return self.nonce.args

    @property
    def text(self) -> str:
        """What the user typed."""
        return (self.message.text or "") if self.message else ""

    @property
    def typed(self) -> str:
        """What the user typed, under a picture or a file too."""
        return self.text or ((self.message.caption or "") if self.message else "")

    @property
    def is_stale(self) -> bool:
        """Whether the user acted so long ago that no change may be made without asking again."""
        return self.age_s > self.services.parameters.stale_after_s

    @property
    def refresh(self) -> Tap | None:
        """What the Refresh button of the tapped message asks for; None where it has none."""
        markup = getattr(self.query.message, "reply_markup", None) if self.query else None
        for row in markup.inline_keyboard if markup is not None else ():
            for one in row:
                if one.text == REFRESH:
                    return parse(one.callback_data)
        return None

    async def end_question(self, *kinds: str) -> None:
        """Close the open question if it is of these: a button has answered it, or led away."""
        prompt = await self.services.prompts.current(self.chat_id, self.user_id)
        if prompt is not None and prompt.kind in kinds:
            await self.services.prompts.close(prompt)

    async def show(self, screen: Screen) -> int:
        """Edit the tapped message, or send a new one; return its id.

        What a notice reported stays in the chat: what its buttons open is a new message. What came
        of a typed answer is shown in the message that asked, so that one card stays one; what was
        typed is taken away, for the card would stand above it. Where Telegram refuses either, or so
        much was said since that the card is out of sight, it comes as a new message.
        """
        shown_in = self.opened_in if self.opens_anew else self.tapped_message_id
        if shown_in is not None:
            return await self._edit(shown_in, screen)
        asked_in = self._asked_in_sight()
        if asked_in is not None and await self.delete_message():
            self.is_deleted = True
            self.answered_in = await self._edit(asked_in, screen)
            return self.answered_in
        self.opened_in = await self.send(screen)
        return self.opened_in

    def _asked_in_sight(self) -> int | None:
        """Return the message that asked, if it is near what was typed: ids of a chat grow."""
        if self.asked_in is None or self.message is None:
            return None
        is_near = self.message.message_id - self.asked_in <= _IN_SIGHT
        return self.asked_in if is_near else None

    async def look(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what a broker shows of an account or order; others have the turn meanwhile.

        What was confirmed keeps its turn: a second tap of it comes after it.
        """
        return await (ask() if self.nonce else self.turn.give_away(what, ask))

    async def see_through(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Return what comes of what was confirmed, once it is decided for good.

        A second tap of it finds it done from here on. Looks have the turn meanwhile; what changes
        something comes after it.
        """
        if self.nonce is not None:
            self.services.nonces.spend(self.nonce.id)
        return await self.turn.give_away_acting(f"act|{self.command.id}", wait)

    async def ask_for_patience(self) -> None:
        """Say that the answer takes long, where nothing was shown yet."""
        if not self.has_shown:
            self.waits_in = await self.send(Screen(WAITING))

    async def end_waiting(self) -> None:
        """Take back that the answer takes long: it is there."""
        if self.waits_in is None:
            return
        with contextlib.suppress(TelegramError):
            await self.bot.delete_message(self.chat_id, self.waits_in)
        self.waits_in = None

    async def redraw(self, message_id: int, screen: Screen) -> int:
        """Edit a message that this visit has shown; return its id, or that of a new one."""
        return await self._edit(message_id, screen)

    async def _edit(self, message_id: int, screen: Screen) -> int:
        """Edit a message, or send a new one where Telegram refuses; return its id.

        What was shown there meanwhile, for a later tap, stays.
        """
        self.has_shown = True
        if not self.turn.may_draw(message_id):
            return message_id
        try:
            await self.bot.edit_message_text(
                fit(screen.text),
                chat_id=self.chat_id,
                message_id=message_id,
                parse_mode=ParseMode.HTML,
                reply_markup=screen.markup(),
                link_preview_options=NO_PREVIEW,
            )
        except BadRequest as error:
            if not is_not_modified(error):
                return await self.send(screen)
        return message_id

    async def send(self, screen: Screen) -> int:
        """Send a new message; return its id."""
        self.has_shown = True
        sent = await self.bot.send_message(
            self.chat_id,
            fit(screen.text),
            parse_mode=ParseMode.HTML,
            reply_markup=screen.markup(),
            link_preview_options=NO_PREVIEW,
        )
        return sent.message_id

    async def answer(self, text: str | None = None, *, is_alert: bool = False) -> None:
        """Answer the tap, so that its spinner ends; a late answer is ignored."""
        if self.query is None:
            return
        try:
            await self.query.answer(text, show_alert=is_alert)
        except TelegramError as error:
            _log.info("a tap could not be answered: %s", type(error).__name__)

    async def delete_message(self) -> bool:
        """Delete what the user sent; False when it could not be, for whatever reason."""
        if self.message is None:
            return False
        if self.is_deleted:
            return True
        for pause_s in _ASKED_AGAIN_AFTER_S:
            try:
                return await self.bot.delete_message(self.chat_id, self.message.message_id)
            except (BadRequest, Forbidden, RetryAfter) as error:
                gone = "not found" in str(error).lower()
                if not gone:
                    _log.warning("a message could not be deleted: %s", error)
                return gone
            except TelegramError as error:
                # Lost on the way: it may be deleted, and asking once more does no harm.
                _log.warning("a message may not be deleted: %s", type(error).__name__)
            await self.services.clock.sleep(pause_s)
        return False

    async def take_away(self, message_id: int | None) -> None:
        """Delete a message of the bot's that another one has made needless."""
        if message_id is None:
            return
        try:
            await self.bot.delete_message(self.chat_id, message_id)
        except TelegramError as error:  # what took effect must not look as if it had not
            _log.debug("an old message could not be removed: %s", error)

    async def drop_keyboard(self, message_id: int | None) -> None:
        """Remove the buttons of an answered question."""
        if message_id is None:
            return
        try:
            await self.bot.edit_message_reply_markup(self.chat_id, message_id, reply_markup=None)
        except TelegramError as error:
            _log.debug("old buttons could not be removed: %s", error)

    async def issue(self, verb: Verb, args: Mapping[str, Any]) -> str:
        """Issue a nonce for a button of this user."""
        return await self.services.nonces.issue(verb, self.chat_id, self.user_id, args)

    async def confirm(
        self,
        text: str,
        verb: Verb,
        args: Mapping[str, Any],
        choices: Mapping[str, str],
        *,
        back: Keyboard,
        is_new: bool = False,
        is_red: bool = True,
    ) -> None:
        """Ask before something happens: one nonce, a button for each choice, and a way back.

        Args:
            text: What will happen (HTML).
            verb: The action behind the button.
            args: What is stored with the nonce.
            choices: Label by choice; one choice named '' is a plain confirmation.
            back: Buttons that change nothing.
            is_new: Ask in a new message, because the tapped one is a card that is edited later.
            is_red: It closes, cancels, removes or ends something.
        """
        nonce = await self.issue(verb, args)
        style = DANGER if is_red else PRIMARY
        rows = tuple(
            (button(label, verb, nonce, *([choice] if choice else []), style=style),)
            for choice, label in choices.items()
        )
        screen = Screen(text, (*rows, *back))
        await (self.send(screen) if is_new else self.show(screen))

    @property
    def tapped_message_id(self) -> int | None:
        """The message under the tapped button."""
        if self.query is None or self.query.message is None:
            return None
        return self.query.message.message_id
