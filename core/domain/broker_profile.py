"""What is particular about one broker, as data and pure functions.

Every broker has one ``BrokerProfile`` in its own adapter folder (docs/adding-a-broker.md). The
wizard, the login pages, the postback endpoints, the calendar and the doctor read it, so that no
broker is named anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from core.domain.instrument import Segment
from core.domain.legacy_form import LegacyForm
from core.errors import LoginFault, LoginRefused, UserError

__all__ = [
    "NO_STREAM",
    "ApiRoot",
    "BrokerProfile",
    "CallbackForm",
    "CredentialForm",
    "CutOff",
    "Postback",
    "PostbackForm",
    "unknown_broker",
]

NO_STREAM = "off"
"""In place of a stream's address: its order updates are not used."""


@dataclass(frozen=True, slots=True)
class ApiRoot:
    """An address of the broker, which a setting may replace: ``kite_api``, ``SAARTHI_KITE_API``.

    ``is_public`` marks one that needs no account, such as that of instrument masters.
    """

    setting: str
    default: str
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class CredentialForm:
    """A key or secret that a user copies from the broker's developer console.

    Attributes:
        name: What the console calls it.
        pattern: What the whole trimmed text must match.
        expected: The same in words, for the answer to anything else.
        where: Follows the name in the wizard's question.
        example: One of the right form, for the question; empty when the form is plain.
        is_secret: Whether it may never be repeated.
        is_upper: Whether the broker writes it in capitals.
    """

    name: str
    pattern: re.Pattern[str]
    expected: str
    where: str = "of the app"
    example: str = ""
    is_secret: bool = False
    is_upper: bool = False

    def checked(self, text: str) -> str:
        """Return the trimmed credential, or raise ``UserError``, which repeats nothing of it.

        Not of a key either: whoever is asked for one may send the secret.
        """
        found = text.strip()
        if self.pattern.fullmatch(found):
            return found.upper() if self.is_upper else found
        if not found:
            raise UserError(f"The message is empty; expected {self.expected}.")
        raise UserError(
            f"That has {len(found)} characters and is not the form of the {self.name}; expected "
            f"{self.expected}."
        )


@dataclass(frozen=True, slots=True)
class CallbackForm:
    """How the redirect is read that ends a login at the broker.

    Attributes:
        nonce: The parameter that brings our nonce back.
        code: The parameter with the login code.
        refusal: Returns what a query says went wrong, or None when the login succeeded.
    """

    nonce: str
    code: str
    refusal: Callable[[Mapping[str, str]], LoginFault | None]

    def nonce_in(self, query: Mapping[str, str]) -> str:
        """Return the nonce, or ''."""
        return query.get(self.nonce, "")

    def code_in(self, query: Mapping[str, str]) -> str:
        """Return the login code, or ''.

        Raises:
            LoginRefused: The broker says that the login failed (DENIED, NOT_ADMITTED, MALFORMED).
        """
        if (fault := self.refusal(query)) is not None:
            # Without its words: whoever holds a link can write any into the query.
            raise LoginRefused(fault)
        return query.get(self.code, "")


@dataclass(frozen=True, slots=True)
class Postback:
    """What an order postback says about its sender; what it says about the order is not believed.

    Attributes:
        user_id: The broker's user that it names; None when it names no user.
        is_signed_with: Whether an API secret signed it. Never called for a broker that signs
            nothing.
        signature: What was sent as its signature; empty without one.
        signed_at: The moment that is signed along; None when there is none.
    """

    user_id: str | None
    is_signed_with: Callable[[bytes], bool] = lambda _secret: False
    signature: str = ""
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PostbackForm:
    """How the broker's order postbacks are read.

    Attributes:
        read: Returns what the JSON object of a body says, or None when it is no postback.
        is_signed: Whether the broker signs them. Unsigned ones are always answered 200 and wake an
            account less often; signed ones are refused when no account's secret signed them.
    """

    read: Callable[[Mapping[str, object]], Postback | None]
    is_signed: bool


@dataclass(frozen=True, slots=True)
class CutOff:
    """By when intraday positions of a segment must be flat, since ``effective``.

    ``has_derivatives`` None is for every instrument of the segment.
    """

    segment: Segment
    at: time
    effective: date
    has_derivatives: bool | None = None


@dataclass(frozen=True, slots=True)
class BrokerProfile:
    """One broker.

    Attributes:
        name: Stored with each account, begins its id, and is part of the paths of callback and
            postback: lower-case letters and digits.
        label: The name that users read.
        api_name: What the API is called; the settings of its addresses begin with it, and its
            simulator in the sandbox has this name.
        roots: The addresses of the API. The first is the one that orders go to.
        console: Address of the developer console, without ``https://``.
        guide: What a user does there before adding an account, step by step.
        console_questions: What ``saarthi doctor --console`` asks of the console, each answered by
            yes or no; ``{redirect}``, ``{postback}`` and ``{addresses}`` are filled in.
        key: The API key.
        secret: The API secret.
        log_out_hint: How a user logs out of the broker in a browser.
        tokens_die_at: The time of day (IST) at which every login ends; None when logins last until
            the broker refuses them.
        callback: How the redirect after a login is read.
        postback: How postbacks are read; None when the broker sends none.
        cut_offs: Where its square-off differs from the calendar's general times.
        stream: The address of its order updates; None when the broker pushes none.
        names_need_master: Its names of instruments are known from its master alone, so without one
            its accounts can neither be read nor traded.
        exit_hint: How a user closes everything in the broker's own app, a sentence.
        legacy: How an older program of one account kept its login; None: nothing is taken over.
        is_paper: No broker at all: Saarthi itself fills the orders. Its accounts need no login and
            give no prices; their money is nobody's, and is never added to other accounts' money.
        lists_all: Its list of orders is at every moment all that it took: what a read that began
            after the send leaves out was never placed, and never will be. No broker outside can
            promise that.
        is_supported: False for the placeholder of a stored broker that this program does not know.
    """

    name: str
    label: str
    api_name: str
    roots: tuple[ApiRoot, ...]
    console: str
    guide: tuple[str, ...]
    key: CredentialForm
    secret: CredentialForm
    log_out_hint: str
    tokens_die_at: time | None
    callback: CallbackForm
    postback: PostbackForm | None = None
    cut_offs: tuple[CutOff, ...] = ()
    stream: ApiRoot | None = None
    console_questions: tuple[str, ...] = ()
    names_need_master: bool = False
    exit_hint: str = "In the broker's app, cancel what works and close the positions."
    legacy: LegacyForm | None = None
    is_paper: bool = False
    lists_all: bool = False
    is_supported: bool = True

    def __str__(self) -> str:
        """Return the name, as logs write it."""
        return self.name

    @property
    def callback_path(self) -> str:
        """The path of the redirect address that the console must hold."""
        return f"/broker/callback/{self.name}"

    @property
    def postback_path(self) -> str:
        """The path of the postback address that the console may hold."""
        return f"/postback/{self.name}"

    def addresses(self, replaced: Mapping[str, str]) -> list[str]:
        """Return the addresses of ``roots``, in order, with those that the settings replace."""
        return [replaced.get(root.setting, root.default) for root in self.roots]

    def stream_address(self, replaced: Mapping[str, str]) -> str | None:
        """Return the address of the order updates, None for none.

        Where another address of the API is replaced and this one is not, there are none: a
        simulator's login has no business at the broker's own door.
        """
        if self.stream is None:
            return None
        given = replaced.get(self.stream.setting)
        if given is not None:
            return None if given == NO_STREAM else given
        is_simulated = any(one.setting in replaced for one in self.roots if not one.is_public)
        return None if is_simulated else self.stream.default


_ANYTHING = re.compile(r".*", re.DOTALL)


def _no_refusal(_query: Mapping[str, str]) -> None:
    """Read no refusal in any callback."""


def unknown_broker(name: str) -> BrokerProfile:
    """Return the placeholder of a stored broker that this program does not know.

    Its accounts are listed and say what is wrong; nothing can be done with them.
    """
    form = CredentialForm("key", _ANYTHING, "a key")
    return BrokerProfile(
        name=name,
        label=name,
        api_name=name,
        roots=(),
        console="the developer console",
        guide=(),
        key=form,
        secret=form,
        log_out_hint="Log out at the broker in this browser.",
        tokens_die_at=None,
        callback=CallbackForm("", "", _no_refusal),
        is_supported=False,
    )
