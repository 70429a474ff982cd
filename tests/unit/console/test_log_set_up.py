"""The log of a controller: what the settings hold is never in it, whoever writes it (row G2)."""

from __future__ import annotations

import logging

import pytest

from bot.application import _quiet_library_logs
from console.process import set_up_log
from core.config import load_settings
from core.observability.logs import keep_log_quiet

pytestmark = pytest.mark.row("G2")

SECRETS = {
    "SAARTHI_TELEGRAM_TOKEN": "7000000001:canary-of-the-bot",
    "MONGODB_URI": "mongodb://u:canary-of-the-store@h/",
    "SAARTHI_LEGACY_URI": "mongodb://u:canary-of-the-old@h/",
    "SAARTHI_SECRET_KEY": "canary-of-the-vault",
    "SAARTHI_BACKUP_PASSPHRASE": "canary of the backups",
}


def test_secrets_of_the_settings_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Each as it is, in a message, an argument and a traceback, at the loudest level."""
    set_up_log(load_settings(environment={**SECRETS, "SAARTHI_LOG": "DEBUG"}))
    log = logging.getLogger("core.anything")
    for secret in SECRETS.values():
        error = ValueError(f"no good: {secret}")
        log.debug(f"given {secret}, %s", secret, exc_info=error)  # noqa: G004
    written = capsys.readouterr().err
    assert written.count("no good") == len(SECRETS)
    assert "canary" not in written


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_libraries_that_write_addresses_and_updates_are_quiet(level: str) -> None:
    """They would write whole addresses, with their tokens, and what users typed."""
    set_up_log(load_settings(environment={"SAARTHI_LOG": level}))
    for name in ("httpx", "httpcore.connection", "urllib3.connectionpool", "aiohttp.access"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
    _quiet_library_logs()
    assert not logging.getLogger("telegram.ext").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("telegram.request").isEnabledFor(logging.ERROR)


def test_a_command_for_a_person_writes_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor's lines are sentences; what the parts that it asks would log is none of them."""
    set_up_log(load_settings(environment={"SAARTHI_LOG": "DEBUG"}))
    keep_log_quiet()
    for name in ("core.adapters.transports", "httpx", "asyncio"):
        logging.getLogger(name).error("failed")
    assert capsys.readouterr() == ("", "")
