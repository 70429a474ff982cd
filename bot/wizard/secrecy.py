"""Keeps keys, secrets and login codes out of the chat, wherever they are typed (row A3).

It looks at every message before anything is done with it. While a key or a secret is asked for,
whatever the user sends is deleted: a caption or a file too, and what belongs to another question.
Elsewhere a message goes by its form, behind a command too: the address that a login ended at, and
what has a secret's form. What is deleted is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.conversation.prompts import SECRET_STEPS, Prompt
from bot.conversation.visit import Visit
from bot.handlers.login import answer_login, looks_like_login
from bot.views.screen import Screen
from bot.wizard.secret_message import delete_secret
from core.domain.broker_profile import BrokerProfile

__all__ = ["keep_secret", "tells_secret"]

_NAMES = frozenset({"add", "rename"})
"""Questions that may be answered by a name, so that nothing of a key's form is one."""
_SHORTEST = 8
_LONG = 20
"""From so many characters on, what has a secret's form is taken for one under any question."""

_TELLING = re.compile(
    r"""
    [^\s/@:]{1,80}:[^\s/@]{1,80}@[\w.-]+              # a user and a password in an address (A12)
    | \b[\w.-]{1,80}:\d{2,5}:[^\s:]{1,80}:[^\s:]{1,80}  # the same, as sellers of proxies write it
    | \b\d{6,12}:[\w-]{30,60}                         # a bot's token
    | \beyJ[\w-]{10,}\.[\w-]{10,}                     # a token of a login, signed
    | (?<![\w-])[\w-]{43}=                            # a sealing key
    | \b(?:pass(?:word|wd|phrase|code)?|pwd|totp|mpin)\s*(?:is|[:=])\s*\S{4,}
    | \b(?:token|secret|api[ _-]?key)\s*[:=]\s*\S{8,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What holds a secret wherever it is typed, whoever it is for."""


def tells_secret(text: str) -> bool:
    """Whether a text holds what is a secret by its form alone, or is called one in it."""
    return _TELLING.search(text) is not None


async def keep_secret(visit: Visit, command: str) -> bool:
    """Delete what must not stay in the chat; return whether the message is dealt with by that.

    Args:
        visit: Of a message.
        command: The command that it is, '' for none.
    """
    prompts = visit.services.prompts
    prompt = await prompts.current(visit.chat_id, visit.user_id)
    # What came again after a crash is not the answer to a question that was asked since.
    is_asked = prompt is not None and visit.update_id > prompt.update_id
    if is_asked and prompt is not None and prompt.step in SECRET_STEPS:
        return await _while_asked(visit, command, prompt)
    if command and not visit.arguments:
        return False  # a bare command holds nothing
    brokers = visit.services.parameters.brokers
    if looks_like_login(visit.typed, brokers):
        await answer_login(visit, None)  # whatever question is open; that one stays open
        return True
    if not visit.text and visit.services.prompts.asked_secret_lately(visit.chat_id, visit.user_id):
        await _refuse(visit, "I can read only text, so I deleted that.")
        return True
    if _is_credential(visit, command, prompt, brokers):
        await _refuse(
            visit,
            "That looked like a key or a secret, so I deleted it and did nothing with it. /add "
            "asks for one.",
        )
        return True
    return False


async def _while_asked(visit: Visit, command: str, prompt: Prompt) -> bool:
    """Delete a message at a step that asks for a key, a secret or a login's address."""
    if command and not visit.arguments:
        return False  # a bare command holds nothing
    is_login = looks_like_login(visit.typed, visit.services.parameters.brokers)
    if is_login and prompt.kind != "login":
        await answer_login(visit, None)
        return True
    if is_login and command:
        # The answer, with a command before it; a failure leaves the question open.
        await answer_login(visit, prompt.data["broker_id"])
        await visit.services.prompts.close(prompt)
        await visit.drop_keyboard(prompt.message_id)
        return True
    if not visit.text:
        await _refuse(visit, "I can read only text, so I deleted that. Send it as a message.")
        return True
    await delete_secret(visit)
    visit.is_deleted = True
    return False


async def _refuse(visit: Visit, why: str) -> None:
    await delete_secret(visit)
    await visit.send(Screen(why))


def _is_credential(
    visit: Visit, command: str, prompt: Prompt | None, brokers: Sequence[BrokerProfile]
) -> bool:
    """Whether a message that no secret's step waits for holds the form of a key or a secret."""
    if tells_secret(visit.typed):
        return True
    words = visit.arguments if command else visit.typed.split()
    mixed = [one for one in words if any(map(str.isdigit, one)) and any(map(str.isalpha, one))]
    secrets = [one for one in mixed if any(it.secret.pattern.fullmatch(one) for it in brokers)]
    # No name, number or symbol looks like it.
    if any(len(one) >= _LONG and any(map(str.islower, one)) for one in secrets):
        return True
    is_long = any(len(one) >= _SHORTEST for one in secrets)
    keys = [one for one in mixed if _is_key(one, brokers)]
    if command:
        return is_long or bool(keys)  # no command takes a word of these forms
    if len(words) > 1:
        # Words of a sentence may be symbols; an App ID beside a word of its secret's form is none.
        return prompt is None and is_long and any("-" in one for one in keys)
    if prompt is None:
        # Nobody waits for a word of this form: after a /cancel it is what was copied before.
        return is_long
    return prompt.kind in _NAMES and bool(keys)


def _is_key(word: str, brokers: Sequence[BrokerProfile]) -> bool:
    """Whether a word is written as brokers write keys: in one case, which hardly a name is."""
    one_case = word in {word.lower(), word.upper()}
    return one_case and any(one.key.pattern.fullmatch(word) for one in brokers)
