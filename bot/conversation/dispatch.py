"""Calls the handler of an authorized update, and turns every failure into a message.

A tap is answered first, and handled while the answer is on its way. The nonce of a button is
checked before that: a tap on an expired or used button, or on another user's, gets an explanation
and reaches no handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from telegram.error import TelegramError

from bot.conversation.nonces import NonceState
from bot.conversation.patience import unless_soon
from bot.conversation.visit import Visit
from bot.views.markup import bold, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import LOGIN_FAULT, login_detail
from core.errors import (
    AlreadyDone,
    BrokerReadError,
    Denied,
    LoginRefused,
    StoreError,
    UserError,
    VaultError,
)

__all__ = ["Action", "Handler", "attempt", "serve_tap"]

Handler = Callable[[Visit], Awaitable[None]]

_ALREADY = "Already done."
_LOST = "This button no longer works."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """What a button's verb does.

    Attributes:
        has_nonce: The first argument is a nonce; the handler reads it from ``visit.nonce``.
        is_change: It changes something, so a late tap is refused.
        home: The command that opens the button's screen again.
        toast: What the tap is answered with at once, for what takes seconds.
    """

    handler: Handler
    home: str
    has_nonce: bool = False
    is_change: bool = False
    toast: str = ""


async def serve_tap(visit: Visit, actions: Mapping[Verb, Action]) -> None:
    """Serve a tap on a button."""
    verb = visit.tap.verb
    if verb is None:
        _log.warning("unknown button data from user %s", visit.user_id)
        await visit.answer(f"{_LOST} Open /start again.", is_alert=True)
        return
    action = actions[verb]
    if action.has_nonce and not await _check_nonce(visit, verb, action):
        return
    if (action.has_nonce or action.is_change) and visit.is_stale:
        await visit.answer("That tap came late; nothing was changed.", is_alert=True)
        await visit.send(_stale(visit, action))
        return
    visit.opens_anew = visit.tap.is_on_notice and not (action.has_nonce or action.is_change)
    is_change = action.has_nonce or action.is_change
    handler = partial(_in_order, action.handler) if is_change else action.handler
    # The answer goes first; the handler needs nothing of what comes back.
    _, took_effect = await asyncio.gather(
        visit.answer(action.toast or None), attempt(visit, handler)
    )
    if visit.is_refused:
        await _redraw(visit, actions)
    # A failed action leaves the nonce open, so that the user can tap the same button again.
    if took_effect and visit.nonce is not None:
        visit.services.nonces.spend(visit.nonce.id)


async def _in_order(handler: Handler, visit: Visit) -> None:
    """Change something after what was confirmed before it has come to its end."""
    await visit.turn.after_acts()
    await handler(visit)


async def _redraw(visit: Visit, actions: Mapping[Verb, Action]) -> None:
    """Show a list as it is now, whose button named what is not there any more."""
    tap = visit.refresh
    if tap is None or tap.verb is None:
        return
    action = actions[tap.verb]
    if not action.is_change and not action.has_nonce:
        with contextlib.suppress(UserError):
            await action.handler(replace(visit, tap=tap, is_refused=False))


async def _check_nonce(visit: Visit, verb: Verb, action: Action) -> bool:
    """Find the nonce of a button; when it must not act, answer the tap and return False."""
    nonce = await visit.services.nonces.find(visit.tap.argument(0))
    if nonce is not None and not nonce.is_for(verb, visit.chat_id, visit.user_id):
        _log.warning("user %s tapped a button of another user", visit.user_id)
        nonce = None
    if nonce is not None and nonce.state is NonceState.USED:
        await visit.answer(_ALREADY, is_alert=True)
        return False
    if nonce is None or visit.services.nonces.is_expired(nonce):
        text = f"This button has expired. Open {action.home} again."
        await visit.answer(text, is_alert=True)
        await attempt(visit, lambda late: _show_expired(late, text))
        return False
    visit.nonce = nonce
    return True


async def _show_expired(visit: Visit, text: str) -> None:
    await visit.show(Screen(esc(text)))


def _stale(visit: Visit, action: Action) -> Screen:
    minutes = max(1, round(visit.age_s / 60))
    return Screen(
        f"You tapped that {minutes} min ago and it reached me only now. Nothing was changed. "
        f"Open {action.home} and tap again if you still want it."
    )


async def attempt(visit: Visit, handler: Handler) -> bool:
    """Run a handler; report to the user what went wrong, if anything.

    Returns:
        Whether it took effect: now, or at an earlier attempt.
    """
    patience_s = visit.services.parameters.patience_s
    try:
        await unless_soon(lambda: handler(visit), patience_s, visit.ask_for_patience)
    except TelegramError as error:
        _log.warning("an answer could not be sent: %s", type(error).__name__)
        return False
    except Exception as error:  # noqa: BLE001 - logged and reported below
        # The boundary of every visit: one failing handler must neither stop the bot nor leave the
        # user without an answer.
        screen = failure(error)
        if screen is None:
            _log.exception("a visit failed")
            screen = Screen(
                f"{bold('Something went wrong on my side.')}\nI did not finish that. The log has "
                "the details; /health shows my state."
            )
        await _report(visit, screen)
        visit.is_refused = visit.query is not None and isinstance(error, UserError)
        return isinstance(error, AlreadyDone)
    finally:
        await visit.end_waiting()
    return True


async def _report(visit: Visit, screen: Screen) -> None:
    try:
        await visit.send(screen)
    except TelegramError as error:
        _log.warning("a failure could not be reported: %s", type(error).__name__)


def failure(error: Exception) -> Screen | None:
    """Return the message for an expected failure, or None for an unexpected one.

    Of several that happened beside one another it tells the first, if all of them are expected.
    """
    if isinstance(error, ExceptionGroup):
        screens = [failure(one) for one in error.exceptions]
        return screens[0] if all(screens) else None
    return _expected(error)


def _expected(error: Exception) -> Screen | None:
    if isinstance(error, AlreadyDone):
        text = str(error)
        return Screen(esc(text if text.lower().startswith("already") else f"{_ALREADY} {text}"))
    if isinstance(error, UserError):
        return Screen(esc(error))
    if isinstance(error, Denied):
        return Screen(f"{bold('Not sent.')} {esc(error.reason)}")
    if isinstance(error, LoginRefused):
        why = f"{bold('Not logged in.')} {esc(LOGIN_FAULT[error.fault])}"
        return Screen(join(why, esc(login_detail(error.fault, error.detail)) or None))
    if isinstance(error, BrokerReadError):
        return Screen(
            f"{bold('The broker could not be read.')} {esc(error)}",
            ((button("Accounts", Verb.ACCOUNTS),),),
        )
    if isinstance(error, StoreError):
        return Screen(
            f"{bold('My memory is out of reach')} (the database does not answer). While this lasts "
            "I send no orders. Try again in a minute; /health shows more."
        )
    if isinstance(error, VaultError):
        return Screen(
            f"{bold('A stored secret cannot be read.')} It is damaged, or the key file on the "
            "server is another one. Put the key file back if it was changed; else open /brokers, "
            "Edit, then Key and secret, and send them again."
        )
    return None
