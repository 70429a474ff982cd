"""The tree of exceptions that Saarthi raises on purpose.

::

    SaarthiError
    ├── ConfigurationError      a setting is wrong: names it, what was found, what is expected
    ├── UserError               one clear sentence for the user in the chat; nothing was changed
    │   ├── AlreadyDone         this command or button took effect before
    │   ├── NotFound            the thing named in the command does not exist (any more)
    │   └── ChoiceNeeded        the command needs a decision first (close, drain, leave alone)
    ├── Denied                  Saarthi itself refuses an order; carries a code and the numbers
    ├── StoreError
    │   ├── StoreUnavailable    the store cannot be reached or cannot write: nothing may be sent
    │   ├── DuplicateKey        a unique index refused a document
    │   ├── GivenUp             a transaction's body wants no other run of it
    │   └── TransactionConflict a transaction could not be committed within its attempts
    ├── BackupFailed            a backup could not be made
    ├── BrokerReadError         a read from a broker failed; carries a ReadFault
    ├── DecisionFailed          a strategy did not decide; says whether it had to be ended
    ├── LoginRefused            a login could not be completed; carries a LoginFault
    ├── OrderAnomaly            an order event that the state table does not allow
    ├── UnreadableNotice        a stored notice that this version cannot read
    ├── LeaseHeld               another controller holds the lease; this one must not send
    ├── LeaseLost               this controller's fence is no longer the newest: it must stop
    └── VaultError              a secret cannot be sealed or opened
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "AlreadyDone",
    "BackupFailed",
    "BrokerReadError",
    "ChoiceNeeded",
    "ConfigurationError",
    "DecisionFailed",
    "Denied",
    "DuplicateKey",
    "GivenUp",
    "HasChanged",
    "LeaseHeld",
    "LeaseLost",
    "LoginFault",
    "LoginRefused",
    "NotFound",
    "OrderAnomaly",
    "ReadFault",
    "SaarthiError",
    "StoreError",
    "StoreUnavailable",
    "TransactionConflict",
    "UnreadableNotice",
    "UserError",
    "VaultError",
]


class SaarthiError(Exception):
    """Base of everything that Saarthi raises on purpose."""


class ConfigurationError(SaarthiError):
    """A setting is missing or wrong; the message names it, what was found and what is expected."""


class UserError(SaarthiError):
    """A user's mistake, explained in one sentence; nothing was changed."""


class AlreadyDone(UserError):
    """The command took effect before: a second tap, or an update delivered twice."""


class NotFound(UserError):
    """What the command names does not exist, or not any more."""


class ChoiceNeeded(UserError):
    """The command can go on only after the user has chosen between named ways."""


class HasChanged(UserError):
    """What the user confirmed is not what it was when they were asked: they are asked again."""


class Denied(SaarthiError):
    """Saarthi refuses to send an order (FIX: denied by us, not rejected by the broker).

    Attributes:
        code: Stable upper-case word, e.g. ``EXIT_ONLY``.
        reason: One sentence with the numbers, shown to the user.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class StoreError(SaarthiError):
    """Base of failures of the store."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or cannot write. Nothing may be sent to a broker."""


class DuplicateKey(StoreError):
    """A unique index refused a document.

    Attributes:
        index: Its name, when the server said it.
        collection: Where, when many writes were carried out in one go; else ''.
    """

    def __init__(self, message: str, index: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.collection = ""


class GivenUp(StoreError):
    """A body of a transaction wants no other run, whatever broke this one; it is rolled back."""


class TransactionConflict(StoreError):
    """A transaction met write conflicts on every one of its attempts; nothing was changed.

    Attributes:
        met: The collection and the ids of what the refused command would have changed, one of which
            somebody else is writing; None where that is not known.
    """

    met: tuple[str, tuple[str, ...]] | None = None


class StaleWrite(TransactionConflict):
    """A document that is to be changed or removed is not there.

    Attributes:
        collection: Where it was expected.
    """

    def __init__(self, collection: str) -> None:
        super().__init__(f"A document of {collection} is not there any more.")
        self.collection = collection


class Unmatched(StoreError):
    """The document that other writes depend on is not as it should be; nothing was changed."""

    def __init__(self, collection: str) -> None:
        super().__init__(f"No document of {collection} is as expected.")


class BackupFailed(SaarthiError):
    """A backup could not be made; nothing is left of it."""


class ReadFault(StrEnum):
    """Why a read from a broker failed."""

    AUTH_REQUIRED = "auth_required"
    PERMISSION = "permission"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    REFUSED = "refused"


class BrokerReadError(SaarthiError):
    """A read (never an order) failed at the broker.

    Attributes:
        fault: The class of the failure.
        retry_after_s: Seconds to wait when the broker said so.
    """

    def __init__(
        self, fault: ReadFault, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after_s = retry_after_s


class DecisionFailed(SaarthiError):
    """A strategy did not decide; the text is for the chat.

    Attributes:
        was_ended: It had to be ended (it hung), or its process ended under it (it crashed).
        came_back: It ended by itself, with an exception or with something else than targets.
    """

    def __init__(self, text: str, *, was_ended: bool = False, came_back: bool = False) -> None:
        super().__init__(text)
        self.was_ended = was_ended
        self.came_back = came_back


class LoginFault(StrEnum):
    """Why a login did not complete (product.md B3); each has its own page and chat message."""

    DENIED = "denied"
    NONCE_EXPIRED = "nonce_expired"
    NONCE_USED = "nonce_used"
    NONCE_UNKNOWN = "nonce_unknown"
    ACCOUNT_UNKNOWN = "account_unknown"
    CODE_USED = "code_used"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - the name of a failure, not a secret
    OTHER_USER = "other_user"
    NOT_ADMITTED = "not_admitted"
    BROKER_DOWN = "broker_down"
    MALFORMED = "malformed"
    NOT_SAVED = "not_saved"
    KEY_UNKNOWN = "key_unknown"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - the name of a failure, not a secret


class LoginRefused(SaarthiError):
    """A login could not be completed; ``detail`` is the broker's text, free of secrets."""

    def __init__(self, fault: LoginFault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.detail = detail


class OrderAnomaly(SaarthiError):
    """An order event arrived that the state table does not allow; the account's entries freeze."""


class UnreadableNotice(SaarthiError):
    """A stored notice is of a kind that this version does not know, or a field does not fit."""


class LeaseHeld(SaarthiError):
    """Another controller holds the lease of this store."""


class LeaseLost(SaarthiError):
    """A newer fence exists: another controller took over, this one must stop at once."""


class VaultError(SaarthiError):
    """A secret cannot be sealed or opened (wrong key, damaged ciphertext, no key)."""
