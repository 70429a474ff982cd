"""Reading the login of an older program of one account out of its documents (product.md A11).

Nothing is known of that program but the names that it is likely to have used (``LegacyForm``). What
is taken is checked as what a user types in the chat is; anything else ends in one sentence that
names the document and the field, and never repeats a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.domain.broker_profile import BrokerProfile, CredentialForm
from core.domain.legacy_form import LegacyForm
from core.domain.legacy_records import (
    Record,
    claims_of,
    kind_of,
    records_of,
    signless,
    time_of,
)
from core.domain.sessions import IST
from core.errors import UserError

__all__ = ["LegacyChoice", "LegacyLogin", "read_legacy"]

_SHORTEST_TOKEN = 16
_SEALED = "gAAAA"
_OTHER_TOKENS = ("refresh_token", "auth_code")
_BROKER_FIELDS = {"broker", "brokername", "brokertype", "provider"}
_VALUE_NAMES = {"value", "data"}


@dataclass(frozen=True, slots=True)
class LegacyChoice:
    """What the user named; the rest is looked for.

    Attributes:
        document: The ``_id`` of the document, as text.
        fields: Dotted paths by what they hold: ``key``, ``secret``, ``token``, ``at``.
    """

    document: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LegacyLogin:
    """What was found.

    Attributes:
        place: The collection and document.
        login_at: When the token was made, by the broker's clock; None when nothing says so.
        ends_at: When the token itself says that it ends.
        user_id: The broker's user, as the token itself says; None leaves it to the first login.
        not_taken: Fields that are left behind, with the reason.
    """

    place: str
    api_key: str
    api_secret: str
    access_token: str
    login_at: datetime | None
    ends_at: datetime | None
    user_id: str | None
    not_taken: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Leave the secrets out of any traceback or log."""
        return f"LegacyLogin({self.place!r}, {self.api_key!r}, ***)"


@dataclass(frozen=True, slots=True)
class _Found:
    """A field: where it is, and what it holds."""

    place: str
    path: str
    value: object

    def wrong(self, found: str, expected: str) -> UserError:
        return UserError(f"{self.place}: {self.path}: found {found}; expected {expected}.")


def read_legacy(
    collections: Mapping[str, Sequence[Mapping[str, Any]]],
    broker: BrokerProfile,
    form: LegacyForm,
    *,
    choice: LegacyChoice,
    variables: Mapping[str, str],
    now: datetime,
) -> LegacyLogin:
    """Find the login in documents.

    Args:
        collections: Documents by collection.
        broker: Whose login.
        form: The names to look for.
        choice: What the user named.
        variables: The old program's environment: key and secret may be there alone.
        now: Market time.

    Raises:
        UserError: One sentence; nothing in it is a secret.
    """
    return _Search(broker, form, choice, variables, now).run(collections)


class _Search:
    def __init__(
        self,
        broker: BrokerProfile,
        form: LegacyForm,
        choice: LegacyChoice,
        variables: Mapping[str, str],
        now: datetime,
    ) -> None:
        self._broker = broker
        self._form = form
        self._choice = choice
        self._variables = variables
        self._now = now

    def run(self, collections: Mapping[str, Sequence[Mapping[str, Any]]]) -> LegacyLogin:
        records = [
            record
            for name, documents in collections.items()
            for record in records_of(name, documents)
            if self._may_be_ours(record)
        ]
        record = self._with_token(records)
        others = [one for one in records if one is not record]
        token = self._token(record)
        key = self._key(record, others, token)
        prefix, _, rest = token.rpartition(":")
        if prefix and prefix.upper() == key:
            token = rest
        claims = claims_of(token)
        if claims.get("sub") not in {None, "access_token"}:
            found = self._token_field(record)
            is_known = claims["sub"] in _OTHER_TOKENS
            kind = f"a token for {claims['sub']}" if is_known else "a token of another kind"
            raise found.wrong(kind, "an access token")
        return LegacyLogin(
            place=record.place,
            api_key=key,
            api_secret=self._secret(record, others),
            access_token=token,
            login_at=self._login_at(record, claims),
            ends_at=time_of(claims.get("exp")),
            user_id=self._user(claims),
            not_taken=tuple(self._left(record)),
        )

    def _may_be_ours(self, record: Record) -> bool:
        """Whether a document names no other broker."""
        named = [
            value
            for path, value in record.fields.items()
            if self._plain(path) in _BROKER_FIELDS and isinstance(value, str)
        ]
        return all(signless(self._broker.name) in signless(one) for one in named)

    def _plain(self, path: str) -> str:
        """Return a field's name without case, signs and the broker's name."""
        *above, last = path.split(".")
        if above and last.lower() in _VALUE_NAMES:
            last = above[-1]
        return signless(last).removeprefix(self._broker.name)

    # -- finding ---------------------------------------------------------------------------------

    def _find(self, record: Record, what: str) -> _Found | None:
        """Return a field of a document, the most likely name first, the shallowest first."""
        named = self._choice.fields.get(what)
        if named is not None:
            if named in record.fields:
                return _Found(record.place, named, record.fields[named])
            return None
        names = [signless(name) for name in getattr(self._form, what)]
        found = [
            (self._is_unlikely(what, path, record), names.index(name), path.count("."), path)
            for path in record.fields
            if (name := self._plain(path)) in names
        ]
        for *_, path in sorted(found):
            return _Found(record.place, path, record.fields[path])
        return None

    def _is_unlikely(self, what: str, path: str, record: Record) -> tuple[bool, bool]:
        """Put last a key of another form, and then what is not named after the broker.

        A program's own ``SECRET_KEY`` may stand beside the broker's.
        """
        value = record.fields[path]
        form = self._broker.key.pattern
        is_other = what == "key" and not (isinstance(value, str) and form.fullmatch(value.upper()))
        return is_other, self._broker.name not in signless(path)

    def _with_token(self, records: Sequence[Record]) -> Record:
        """Return the document that holds the token, the newest of those of one app."""
        found = [one for one in records if self._find(one, "token") is not None]
        if self._choice.document is not None:
            found = [one for one in found if str(one.key) == self._choice.document]
        if not found:
            raise UserError(self._nothing(records))
        places = sorted({one.collection for one in found})
        if len(places) > 1:
            raise UserError(
                f"Documents with a token are in {len(places)} collections ({', '.join(places)}); "
                "expected one: name it with --collection."
            )
        apps = {str(key.value) for one in found if (key := self._find(one, "key")) is not None}
        if len(apps) > 1:
            shown = ", ".join(one.shown_key for one in found[:5])
            raise UserError(
                f"{places[0]} holds tokens of {len(apps)} apps (documents {shown}); expected one "
                "app: name a document with --id."
            )
        if len(found) == 1:
            return found[0]
        dated = [(at, one) for one in found if (at := self._made_at(one)) is not None]
        if len(dated) < len(found):
            raise UserError(
                f"{places[0]} holds {len(found)} documents with a token, and not all say when they "
                "were made; name one with --id."
            )
        return max(dated, key=lambda one: one[0])[1]

    def _nothing(self, records: Sequence[Record]) -> str:
        where = ", ".join(sorted({one.collection for one in records})) or "the database"
        if self._choice.document is not None:
            return f"There is no document {self._choice.document!r} with a token in {where}."
        named = self._choice.fields.get("token")
        wanted = named or ", ".join(self._form.token)
        return (
            f"No document in {where} has an access token: looked for a field {wanted}; name it "
            "with --collection and --token-field."
        )

    def _made_at(self, record: Record) -> datetime | None:
        """Return when a document was made, as far as it says so."""
        found = self._find(record, "at")
        at = time_of(found.value) if found is not None else None
        return at or time_of(record.key) or time_of(getattr(record.key, "generation_time", None))

    def _elsewhere(
        self, what: str, record: Record, others: Sequence[Record], variables: Sequence[str]
    ) -> _Found | None:
        """Return a field of the document, else the only one beside it, else a variable."""
        own = self._find(record, what)
        if own is not None:
            return own
        beside = [found for one in others if (found := self._find(one, what)) is not None]
        if len({str(one.value) for one in beside}) == 1:
            return beside[0]
        for name in variables:
            if self._variables.get(name, "").strip():
                return _Found("environment", name, self._variables[name])
        return None

    # -- checking --------------------------------------------------------------------------------

    def _token_field(self, record: Record) -> _Found:
        return self._find(record, "token") or _Found(record.place, "token", None)

    def _token(self, record: Record) -> str:
        found = self._token_field(record)
        value = found.value
        if value is None or value == "":
            raise found.wrong("nothing", f"an access token (without one, add the account: {_ADD})")
        if not isinstance(value, str):
            raise found.wrong(f"a {kind_of(value)}", "an access token as text")
        token = value.strip()
        if token.startswith(_SEALED):
            raise found.wrong("an encrypted text", f"the token itself; {_ADD}")
        if len(token) < _SHORTEST_TOKEN or any(sign.isspace() for sign in token):
            raise found.wrong(f"{len(token)} characters", "an access token without spaces")
        return token

    def _key(self, record: Record, others: Sequence[Record], token: str) -> str:
        variables = self._form.key_variables
        found = self._elsewhere("key", record, others, variables)
        form = self._broker.key
        if found is None:
            prefix = token.rpartition(":")[0].upper()
            if form.pattern.fullmatch(prefix):
                return prefix
            raise _missing(record, form, self._form.key, variables, "--key-field")
        ending = self._find(record, "key_ending") if found.place == record.place else None
        if ending is not None and isinstance(found.value, str) and "-" not in found.value:
            whole = f"{found.value.strip()}-{ending.value}"
            return _checked(form, _Found(found.place, found.path, whole))
        return _checked(form, found)

    def _secret(self, record: Record, others: Sequence[Record]) -> str:
        variables = self._form.secret_variables
        found = self._elsewhere("secret", record, others, variables)
        if found is None:
            form = self._broker.secret
            raise _missing(record, form, self._form.secret, variables, "--secret-field")
        return _checked(self._broker.secret, found)

    def _login_at(self, record: Record, claims: Mapping[str, Any]) -> datetime | None:
        """Return when the token was made: it says so itself, or the document does."""
        found = self._find(record, "at")
        said = time_of(found.value) if found is not None else None
        at = time_of(claims.get("iat")) or said
        if found is not None and found.value is not None and at is None:
            text = found.value if isinstance(found.value, str) else None
            shown = f"a {kind_of(found.value)}" if text is None else f"{len(text)} characters"
            raise found.wrong(shown, "a time")
        if at is not None and at > self._now + timedelta(days=1):
            place = found if said == at and found is not None else self._token_field(record)
            raise place.wrong(f"{at.astimezone(IST):%d %b %Y}", "a time that is past")
        return at

    def _user(self, claims: Mapping[str, Any]) -> str | None:
        """Return the broker's user where the token names one; else the first login decides.

        A name that some field holds would make of every later login one of another user.
        """
        user = claims.get(self._form.user_claim)
        return user if isinstance(user, str) and self._form.user.fullmatch(user) else None

    def _left(self, record: Record) -> Iterator[str]:
        reasons = {signless(name): reason for name, reason in self._form.not_taken}
        for path in record.fields:
            reason = reasons.get(self._plain(path))
            if reason is not None:
                yield f"{path} ({reason})"


_ADD = "/add in the chat"


def _missing(
    record: Record,
    form: CredentialForm,
    names: Sequence[str],
    variables: Sequence[str],
    option: str,
) -> UserError:
    shown = ", ".join(names[:4])
    return UserError(
        f"{record.place}: the {form.name} is missing: found no field {shown} and no {variables[0]} "
        f"in the environment; name the field with {option}, or the old program's file of settings "
        "with --env-file."
    )


def _checked(form: CredentialForm, found: _Found) -> str:
    """Return a key or secret that has the broker's form."""
    value = found.value
    if value is None or value == "":
        raise found.wrong("nothing", form.expected)
    if not isinstance(value, str):
        raise found.wrong(f"a {kind_of(value)}", form.expected)
    text = value.strip()
    if text.startswith(_SEALED):
        raise found.wrong("an encrypted text", f"{form.expected}; {_ADD}")
    if form.pattern.fullmatch(text.upper() if form.is_upper else text):
        return text.upper() if form.is_upper else text
    # Never the text, in a field of no secret either: tokens and secrets stand in the wrong one.
    raise found.wrong(f"{len(text)} characters", form.expected)
