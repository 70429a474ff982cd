"""Routes every update: authorization first, then to a command, a button or an open question."""

from __future__ import annotations

import logging

from telegram import Bot, CallbackQuery, Message, MessageEntity, Update

from bot.conversation.dispatch import Handler, attempt, serve_tap
from bot.conversation.plain_words import is_cancel_word, is_panic_word, view_alone
from bot.conversation.prompts import Prompt
from bot.conversation.services import ChatServices
from bot.conversation.visit import Visit
from bot.conversation.wishes import WishKind, wish_of
from bot.edge.authorization import Authorization
from bot.edge.inbox import Inbox
from bot.edge.menu import Menu
from bot.edge.pairing import Pairing, PairingResult
from bot.edge.turns import Turns
from bot.handlers import typed
from bot.registry import ACTIONS, COMMANDS
from bot.views.callbacks import Tap, parse
from bot.views.verbs import Verb
from bot.wizard.answers import handle_text, waits_for_text
from bot.wizard.secrecy import keep_secret
from core.domain.plain_text import plain_line
from core.errors import StoreError

__all__ = ["UpdateRouter", "is_urgent", "starts_at_once"]

_PAIR = "pair"
_PANIC = "panic"
_PANIC_VERBS = frozenset(
    {Verb.ASK_PANIC, Verb.PANIC_PICK, Verb.PANIC, Verb.ASK_STOP_PANIC, Verb.STOP_PANIC}
)
_NUMBERS = frozenset({"limit", "guard", "paper", "size", "parameter", "setting"})
_EDITORS = frozenset({"limits", "guard", "strategies", "settings", "brokers"})
"""Commands at which a question for a value ends: a number that comes then is not for it."""
_NAMED = frozenset({"add", "rename"})
"""Open questions that a name answers: words for what is there are none."""
_NO_ANSWERS = frozenset({WishKind.MODE, WishKind.CLOSE})
_log = logging.getLogger(__name__)


class UpdateRouter:
    """Takes updates from the queue to their handlers."""

    def __init__(
        self,
        services: ChatServices,
        gate: Authorization,
        pairing: Pairing,
        inbox: Inbox,
        api: Bot,
        menu: Menu,
        turns: Turns,
    ) -> None:
        self._services = services
        self._gate = gate
        self._pairing = pairing
        self._inbox = inbox
        self._api = api
        self._menu = menu
        self._turns = turns
        self._commands = {
            one.name: _leaving(one.handler) if one.name in _EDITORS else one.handler
            for one in COMMANDS
        }

    async def receive(self, update: Update) -> None:
        """Handle one update; one of an unauthorized sender is ignored."""
        stored_s = await self._inbox.begin(update.update_id)
        if update.message is not None and _parsed_command(update.message)[0] == _PAIR:
            await self._pair(update, update.message)
            return
        if not await self._gate.admits(update):
            return
        if update.callback_query is not None:
            await self._handle_tap(update, update.callback_query, stored_s)
        elif update.message is not None:
            await self._handle_message(update, update.message, stored_s)
        if update.effective_chat is not None:
            await self._menu.ensure(update.effective_chat.id)
            await self._repeat_undelivered(update.effective_chat.id)

    async def _repeat_undelivered(self, chat_id: int) -> None:
        """Who writes can be reached again: what could not be delivered comes now, once."""
        try:
            await self._services.control.deliveries.repeat(chat_id)
        except StoreError as error:
            _log.warning("undelivered notices could not be queued: %s", type(error).__name__)

    async def _handle_tap(self, update: Update, query: CallbackQuery, stored_s: float) -> None:
        visit = self._visit(update, age_s=stored_s)
        visit.query = query
        visit.tap = parse(query.data) or Tap()
        await serve_tap(visit, ACTIONS)

    async def _handle_message(self, update: Update, message: Message, stored_s: float) -> None:
        sent_s = (self._services.clock.now() - message.date).total_seconds()
        visit = self._visit(update, age_s=max(stored_s, sent_s))
        visit.message = message
        name, arguments = _parsed_command(message)
        visit.arguments = arguments
        if _is_panic(message):
            # Before any open question: a wizard that asks for a name is not answered with STOP.
            await attempt(visit, self._commands[_PANIC])
            return
        is_done = True

        async def keep(late: Visit) -> None:
            nonlocal is_done
            is_done = await keep_secret(late, name)

        # One that fails has said so; its message is not handled as something else.
        if not await attempt(visit, keep) or is_done:
            return
        if not name:
            await attempt(visit, self._read)
        elif name in self._commands:
            await attempt(visit, lambda late: typed.serve_command(late, name, self._commands))
        else:
            await attempt(visit, lambda late: typed.serve_unknown(late, self._commands))

    async def _read(self, visit: Visit) -> None:
        """Take a message for the answer to the open question, or for what it asks for by itself."""
        prompt = await visit.services.prompts.current(visit.chat_id, visit.user_id)
        if prompt is None or not await self._is_apart(visit, prompt):
            await handle_text(visit, lambda late: typed.serve(late, self._commands))

    async def _is_apart(self, visit: Visit, prompt: Prompt) -> bool:
        """Serve what answers no question; the open one stays open, but for a word that ends it.

        Whoever wants out, or looks at something, must not be told to send a number.
        """
        if visit.update_id <= prompt.update_id or visit.services.prompts.is_expired(prompt):
            return False
        if is_cancel_word(visit.text):
            await self._commands["cancel"](visit)
            return True
        wish = wish_of(visit.text)
        if wish and wish.kind in _NO_ANSWERS:
            is_name = prompt.kind in _NAMED and not await typed.is_of_held(visit, wish)
            if not is_name and await typed.serve_wish(visit, wish):
                return True
        if not waits_for_text(prompt):
            await typed.serve(visit, self._commands)
            return True
        if prompt.kind not in _NAMED and (name := view_alone(visit.text)) is not None:
            await self._commands[name](visit)
            return True
        return False

    async def _pair(self, update: Update, message: Message) -> None:
        """Make the sender of the console's code the owner; a wrong code gets no answer."""
        user, chat = update.effective_user, update.effective_chat
        if user is None or chat is None or user.is_bot or chat.id != user.id:
            return
        attempt_text = " ".join(_parsed_command(message)[1])
        result = await self._pairing.pair(user, chat, attempt_text)
        if result is PairingResult.WELCOME or await self._gate.admits(update):
            visit = self._visit(update, age_s=0.0)
            visit.message = message
            await visit.delete_message()
            await attempt(visit, self._commands["start"])
            await self._menu.ensure(chat.id)

    def _visit(self, update: Update, *, age_s: float) -> Visit:
        user, chat = update.effective_user, update.effective_chat
        if user is None or chat is None:
            raise ValueError("an update without a user was authorized")
        return Visit(
            services=self._services,
            bot=self._api,
            update_id=update.update_id,
            user_id=user.id,
            chat_id=chat.id,
            name=plain_line(user.first_name),
            age_s=age_s,
            turn=self._turns.of(update.update_id),
        )


def _leaving(handler: Handler) -> Handler:
    """Return a handler that ends an open question for a value first."""

    async def serve(visit: Visit) -> None:
        prompts = visit.services.prompts
        prompt = await prompts.current(visit.chat_id, visit.user_id)
        if prompt is not None and prompt.kind in _NUMBERS and visit.update_id > prompt.update_id:
            await prompts.close(prompt)
            await visit.drop_keyboard(prompt.message_id)
        await handler(visit)

    return serve


def is_urgent(update: Update) -> bool:
    """Whether an update is of a panic: it waits for no other of its chat (row R2)."""
    if update.callback_query is not None:
        tap = parse(update.callback_query.data)
        return tap is not None and tap.verb in _PANIC_VERBS
    return update.message is not None and _is_panic(update.message)


def starts_at_once(update: Update) -> bool:
    """Whether an update is handled while it is being stored: who taps or panics waits for it."""
    return update.callback_query is not None or is_urgent(update)


def _is_panic(message: Message) -> bool:
    """Whether a message asks for a panic: its command, or one of its words in any form."""
    name = _parsed_command(message)[0]
    return name == _PANIC if name in {_PANIC, _PAIR} else is_panic_word(message.text or "")


def _parsed_command(message: Message) -> tuple[str, tuple[str, ...]]:
    """Return a message's command, lower case and without the bot's name, and its arguments."""
    text = message.text or ""
    for entity in message.entities:
        if entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0:
            name = text[1 : entity.length].partition("@")[0].lower()
            return name, tuple(text[entity.length :].split())
    return "", ()
