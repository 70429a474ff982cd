"""``saarthi rotate-key`` as a user types it: on a store at rest, and beside a running controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from core.adapters.vault import KEY_FILE
from core.adapters.zerodha import ZERODHA
from core.ports.store import Change
from tests.fakes.clock import clock_text
from tests.fakes.installation import Installation
from tests.fakes.sandbox_process import Sandbox

pytestmark = [
    pytest.mark.dates,
    pytest.mark.row("G2"),
    pytest.mark.matrix("A06"),
    pytest.mark.timeout(900),
]

SECRET = "installsecret001"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    clock = clock_text("2026-11-23T10:00:00+05:30")
    sandbox = Sandbox(clock=clock)
    try:
        yield Installation(sandbox, tmp_path / "data", clock)
    finally:
        sandbox.end()


async def test_secrets_are_sealed_anew_with_a_new_key(here: Installation) -> None:
    """At rest and while the store is open elsewhere; who has it open goes on with the new key."""
    async with here.opened() as system:
        account = await here.connect(system, ZERODHA)
        sealed = await system.foundation.store.get("broker_accounts", account.broker_id)
    first_keys = (here.data / KEY_FILE).read_text().split()

    at_rest = here.run("rotate-key")

    assert (at_rest.returncode, at_rest.stderr) == (0, "")
    assert at_rest.stdout.endswith("secret(s) sealed with the new key.\n")
    assert (here.data / KEY_FILE).read_text().split()[1:] == first_keys
    async with here.opened() as system:
        beside = here.run("rotate-key")
        assert beside.returncode == 0, beside.stderr
        after = await system.foundation.store.get("broker_accounts", account.broker_id)
        credentials = await system.accounts.credentials(account.broker_id)
    assert sealed is not None
    assert after is not None
    keys = (here.data / KEY_FILE).read_text().split()
    assert len(keys) == 3
    assert Fernet(keys[0]).decrypt(after["api_secret"].encode()).decode() == SECRET
    assert sealed["api_secret"] not in {after["api_secret"], SECRET}
    assert credentials.api_secret == SECRET
    assert credentials.access_token
    shown = at_rest.stdout + beside.stdout
    assert not any(key in shown for key in keys)
    assert SECRET not in shown


async def test_what_cannot_be_opened_is_named(here: Installation) -> None:
    """One damaged secret is left as it is and named; the others are sealed anew; exit code 1."""
    async with here.opened() as system:
        account = await here.connect(system, ZERODHA)
        damaged = system.foundation.vault.seal("gone")[:-8]
        change = Change(set={"access_token": damaged})
        await system.foundation.store.update("broker_accounts", {"_id": account.broker_id}, change)

    done = here.run("rotate-key")

    assert done.returncode == 1
    assert done.stderr == (
        f"cannot be opened, left as it is: broker_accounts/{account.broker_id}: access_token\n"
    )
    assert SECRET not in done.stdout + done.stderr


def test_key_of_the_environment_is_the_users(here: Installation) -> None:
    """With the keys in the environment none is added: what stands first there seals everything."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    here.extra["SAARTHI_SECRET_KEY"] = f"{new},{old}"

    done = here.run("rotate-key")

    assert (done.returncode, done.stderr) == (0, "")
    assert not (here.data / KEY_FILE).exists()
    assert new not in done.stdout


def test_malformed_key_is_not_repeated(here: Installation) -> None:
    """A wrong key stops the command with one line that does not hold it."""
    here.extra["SAARTHI_SECRET_KEY"] = "canary-key"

    done = here.run("rotate-key")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "SAARTHI_SECRET_KEY" in line
    assert "canary" not in line
