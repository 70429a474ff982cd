"""Every broker's profile is whole, and agrees with its simulator."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import time

import pytest

from core.adapters.brokers import PROFILES
from core.domain.account import AccountDraft
from core.domain.broker_profile import BrokerProfile, CredentialForm, unknown_broker
from core.domain.identifiers import BROKER_ID, broker_id_for
from core.errors import UserError
from sandbox.simulators import simulated_brokers

every_broker = pytest.mark.parametrize("broker", PROFILES, ids=str)


def test_names_are_unique() -> None:
    """Nothing that tells brokers apart stands twice."""
    for name in ("name", "label", "api_name"):
        found = [getattr(broker, name) for broker in PROFILES]
        assert len(set(found)) == len(found)


@every_broker
def test_name_fits_into_ids_and_addresses(broker: BrokerProfile) -> None:
    """The name begins an account's id, which the store checks, and stands in two paths."""
    assert BROKER_ID.match(broker_id_for(broker.name, b"12345678"))
    assert re.fullmatch(r"[a-z][a-z0-9]*", broker.name)
    assert broker.callback_path == f"/broker/callback/{broker}"
    assert broker.postback_path == f"/postback/{broker}"


@every_broker
def test_settings_of_its_addresses_carry_its_name(broker: BrokerProfile) -> None:
    """Each begins with the API's name, and the address is a root without a path."""
    assert broker.roots
    for root in broker.roots:
        assert root.setting.startswith(f"{broker.api_name}_")
        assert re.fullmatch(r"https://[a-z0-9.-]+", root.default)
    first = broker.roots[0]
    assert broker.addresses({first.setting: "http://127.0.0.1:1"})[0] == "http://127.0.0.1:1"


@every_broker
def test_guide_is_there(broker: BrokerProfile) -> None:
    """A user is led through the console, step by step, and out of the broker again."""
    assert "://" not in broker.console and broker.console in broker.guide[0]
    assert all(step.endswith(".") for step in (*broker.guide, broker.log_out_hint))


@every_broker
def test_simulator_takes_what_the_wizard_takes(broker: BrokerProfile) -> None:
    """The simulator has the API's name, leads back to our path, and its keys have the form."""
    simulated = simulated_brokers()[broker.api_name]
    assert simulated.callback_path == broker.callback_path
    for key, secret, _ in simulated.keys:
        assert broker.key.checked(f" {key}\n") == key
        assert broker.secret.checked(secret) == secret


@every_broker
def test_forms_refuse_what_has_another_form(broker: BrokerProfile) -> None:
    """What is expected is said, and nothing of what was sent: a secret may come as the key."""
    assert broker.secret.is_secret and not broker.key.is_secret
    with pytest.raises(UserError, match="7 characters and is not the form of the"):
        broker.key.checked("no key!")
    with pytest.raises(UserError) as refused:
        broker.key.checked("mysecret!")
    assert "mysecret" not in str(refused.value)
    with pytest.raises(UserError, match="The message is empty"):
        broker.key.checked(" ")
    with pytest.raises(UserError) as refused:
        broker.secret.checked("no secret!")
    assert "no secret!" not in str(refused.value)
    if broker.key.example:
        assert broker.key.checked(broker.key.example) == broker.key.example


@every_broker
def test_callback_without_anything_is_no_refusal(broker: BrokerProfile) -> None:
    """Nonce and code come back under names of their own; either may be missing."""
    callback = broker.callback
    assert callback.nonce != callback.code
    assert (callback.nonce_in({}), callback.code_in({})) == ("", "")
    query = {callback.nonce: "n", callback.code: "c"}
    assert (callback.nonce_in(query), callback.code_in(query)) == ("n", "c")


@every_broker
def test_postback_that_is_none_wakes_nobody(broker: BrokerProfile) -> None:
    """A signed one needs its fields, and no secret fits by chance; an unsigned one names a user."""
    if broker.postback is None:
        return
    found = broker.postback.read({"unknown": 1})
    if broker.postback.is_signed:
        assert found is None
    else:
        assert found is not None and found.user_id is None
        assert not found.is_signed_with(b"")


@every_broker
def test_logins_end_before_the_market_opens(broker: BrokerProfile) -> None:
    """Where they end at a time of day, that is in the night."""
    assert broker.tokens_die_at is None or broker.tokens_die_at < time(9)


def test_profiles_can_be_keys_and_are_told_apart() -> None:
    """Maps of brokers go by the profile, so each has a hash and equals itself alone."""
    assert len({*PROFILES, *PROFILES, unknown_broker("old"), unknown_broker("old")}) == (
        len(PROFILES) + 1
    )
    assert all(broker.is_supported for broker in PROFILES)


def test_draft_shows_no_secret() -> None:
    """An account's draft in a log or traceback is without its secret."""
    assert "hidden" not in repr(AccountDraft(PROFILES[0], "Main", "key", "hidden"))


def test_secret_form_is_told_by_its_length_alone() -> None:
    """The answer to a wrong secret has its length and the rule."""
    form = CredentialForm("word", re.compile("[a-z]{3}"), "3 letters", is_secret=True)
    with pytest.raises(UserError, match=r"That has 4 characters .*; expected 3 letters\."):
        form.checked("abcd")
    assert {one.name for one in fields(form)} >= {"name", "pattern", "expected"}
