"""The texts of the pages of failed logins: what happened and what to do (product.md B3).

Whoever was given a link by the account's user has no chat: what only the chat can mend is
said to them as what to tell that user. Where it is not known who reads, the words fit both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from core.domain.broker_profile import BrokerProfile
from core.errors import LoginFault
from webhooks.pages import FaultText

__all__ = ["STATUS", "Scene", "ended_text", "text_of", "trouble_text"]

STATUS: Final = {
    LoginFault.DENIED: HTTPStatus.FORBIDDEN,
    LoginFault.NONCE_EXPIRED: HTTPStatus.GONE,
    LoginFault.NONCE_USED: HTTPStatus.CONFLICT,
    LoginFault.NONCE_UNKNOWN: HTTPStatus.NOT_FOUND,
    LoginFault.ACCOUNT_UNKNOWN: HTTPStatus.NOT_FOUND,
    LoginFault.CODE_USED: HTTPStatus.CONFLICT,
    LoginFault.WRONG_SECRET: HTTPStatus.BAD_GATEWAY,
    LoginFault.KEY_UNKNOWN: HTTPStatus.BAD_GATEWAY,
    LoginFault.SECRET_UNREADABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    LoginFault.OTHER_USER: HTTPStatus.FORBIDDEN,
    LoginFault.NOT_ADMITTED: HTTPStatus.FORBIDDEN,
    LoginFault.BROKER_DOWN: HTTPStatus.BAD_GATEWAY,
    LoginFault.MALFORMED: HTTPStatus.BAD_REQUEST,
    LoginFault.NOT_SAVED: HTTPStatus.SERVICE_UNAVAILABLE,
}
_AGAIN: Final = "Log in again; each login has ten minutes."
_FROM_THE_START: Final = (
    "Begin again: open the link that you were sent, or tap the login button in Telegram."
)
_TELL: Final = "Tell the person who sent you the link what this page says."
_GOES_ON: Final = "If it goes on, look at /health in Telegram."
_GOES_ON_FOR_GUEST: Final = "If it goes on, tell the person who sent you the link."


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a login failed.

    Attributes:
        account: Its label, or empty when the login was not started here.
        user_id: The user expected, or None before the first login.
        who: Who logged in instead, a clause, or empty.
        is_guest: It began at a link that was given away: whoever reads has no chat.
    """

    broker: BrokerProfile
    account: str = ""
    user_id: str | None = None
    who: str = ""
    is_guest: bool = False

    @property
    def name(self) -> str:
        """The account as the sentences call it."""
        return self.account or f"the {self.broker.label} account"


def text_of(fault: LoginFault, scene: Scene) -> FaultText:
    """Return the text of a fault."""
    title, happened, steps = _WORDS[fault]
    if fault is LoginFault.OTHER_USER:
        steps = _other_user_steps(scene)
    elif scene.is_guest:
        steps = _GUEST_STEPS.get(fault, steps)
    names = {
        "account": scene.name,
        "broker": scene.broker.label,
        "user": scene.user_id or "",
        "console": scene.broker.console,
        "who": f": {scene.who}" if scene.who else "",
    }
    return FaultText(
        title.format(**names), happened.format(**names), [step.format(**names) for step in steps]
    )


def ended_text() -> FaultText:
    """Return the text for a login link that is not valid (any more)."""
    return FaultText(
        "This login link has ended",
        "A link lives until its account is connected; that may have happened already.",
        [
            "If somebody sent you the link, ask them for a new one.",
            "Otherwise look in Telegram: it shows whether the account still needs a login.",
        ],
    )


def trouble_text() -> FaultText:
    """Return the text for a time at which no login can be started."""
    return FaultText(
        "Saarthi cannot do this now",
        "It has trouble with its own store, so no login was started.",
        [
            "Wait a minute, then load this page again.",
            "If it goes on, tell the person who sent you the link, or look at /health in Telegram.",
        ],
    )


def _other_user_steps(scene: Scene) -> Sequence[str]:
    who = "as {user}" if scene.user_id else "as the right user"
    return (
        scene.broker.log_out_hint,
        "Come back, try again and log in " + who + ".",
    )


_WORDS: Final[dict[LoginFault, tuple[str, str, Sequence[str]]]] = {
    LoginFault.DENIED: (
        "The login was not allowed",
        "At {broker} the login was refused or broken off. Nothing was changed.",
        ("Log in again and allow the access there.",),
    ),
    LoginFault.NONCE_EXPIRED: (
        "That took longer than ten minutes",
        "The login of {account} was started too long ago. Nothing was changed.",
        (_AGAIN,),
    ),
    LoginFault.NONCE_USED: (
        "This login was already used",
        (
            "Each login counts once, and this one of {account} was used. Nothing was changed this "
            "time; perhaps the page was only loaded again."
        ),
        ("If Telegram shows the account as connected, all is well. Otherwise log in again.",),
    ),
    LoginFault.NONCE_UNKNOWN: (
        "This login was not started here",
        "Saarthi does not know this login, so nothing was changed.",
        (_FROM_THE_START,),
    ),
    LoginFault.ACCOUNT_UNKNOWN: (
        "The account is not connected any more",
        "It was disconnected while you logged in. Nothing was changed.",
        ("Nothing is left to do here. In Telegram, /add connects the account again.",),
    ),
    LoginFault.CODE_USED: (
        "{broker} did not take the code",
        (
            "It says that the code of this login was used before or is too old. {account} is not "
            "connected."
        ),
        (_AGAIN,),
    ),
    LoginFault.WRONG_SECRET: (
        "The API secret is wrong",
        (
            "You logged in, but {broker} did not accept the API key and secret that Saarthi "
            "holds for {account}."
        ),
        (
            "Compare the API key and secret with those at {console}.",
            "In Telegram open /brokers, Edit, then Key and secret, and send the right ones.",
        ),
    ),
    LoginFault.KEY_UNKNOWN: (
        "{broker} does not know the API key",
        "{broker} refuses the API key that Saarthi holds for {account}, so no login was started.",
        (
            "Compare the API key with the one at {console}.",
            "In Telegram open /brokers, Edit, then Key and secret, and send the right one.",
        ),
    ),
    LoginFault.SECRET_UNREADABLE: (
        "Saarthi cannot read the API secret",
        (
            "The API secret that it keeps for {account} cannot be opened: it is damaged, or the "
            "key file on the server is another one. {account} is not connected, and another login "
            "changes nothing."
        ),
        (
            "If the key file on the server was changed or lost, put it back from the backup.",
            "Otherwise open /brokers in Telegram, Edit, then Key and secret, and send them again.",
        ),
    ),
    LoginFault.OTHER_USER: (
        "That was another user",
        (
            "{account} belongs to another user{who}. Perhaps {broker} chose this one by itself, by "
            "the cookie of an earlier login in this browser. Nothing was changed."
        ),
        (),
    ),
    LoginFault.NOT_ADMITTED: (
        "This user may not use the app",
        "{broker} does not let this user log in to the app whose API key {account} has.",
        (
            "At {console} open the app and add the user's client id to those it admits.",
            "Then log in again.",
        ),
    ),
    LoginFault.BROKER_DOWN: (
        "{broker} does not answer",
        (
            "You logged in, but {broker} did not answer Saarthi in time. {account} is not "
            "connected yet."
        ),
        ("Wait a few minutes, then log in again.",),
    ),
    LoginFault.MALFORMED: (
        "Something is missing in the answer",
        "What {broker} sent back is not a complete login. Nothing was changed.",
        (_FROM_THE_START,),
    ),
    LoginFault.NOT_SAVED: (
        "The login could not be saved",
        "Saarthi cannot keep the login of {account} at this moment, so it does not count.",
        ("Wait a minute, then log in again.", _GOES_ON),
    ),
}
_GUEST_STEPS: Final[dict[LoginFault, Sequence[str]]] = {
    LoginFault.NONCE_USED: (
        "Open the link that you were sent: it says whether anything is left to do.",
    ),
    LoginFault.WRONG_SECRET: (_TELL, "Log in again when they have mended it."),
    LoginFault.KEY_UNKNOWN: (_TELL, "Log in again when they have mended it."),
    LoginFault.SECRET_UNREADABLE: (_TELL, "Log in again when they have mended it."),
    LoginFault.NOT_ADMITTED: (_TELL, "Log in again when they have mended it."),
    LoginFault.NOT_SAVED: ("Wait a minute, then log in again.", _GOES_ON_FOR_GUEST),
}
"""What is left to those without a chat; of the other faults nothing is said of it."""
