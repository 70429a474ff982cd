"""An installation of Saarthi against the sandbox: its settings, its accounts, its commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.bootstrap import System, build, open_system
from core.config import Settings, load_settings, setting_name
from core.domain.account import Account, AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from strategy.registry import STRATEGIES
from tests.fakes.brokers import roots_at
from tests.fakes.deciding import InProcess
from tests.fakes.environment import clock_environment
from tests.fakes.sandbox_process import ROOT, Sandbox

__all__ = ["APPS", "TOKEN", "Installation"]

TOKEN = "100000001:CANARY-bot-token-of-the-tests-0000000"
"""A bot token; any well-formed one is a bot of its own in the sandbox."""
_PATIENCE_S = 150.0
_KEPT = ("PATH", "PYTHONPATH")
APPS = {
    ZERODHA: ("kite", "installkey001", "installsecret001", "IK1001"),
    FYERS: ("fyers", "INSTALL01-100", "INSTALLSECRET1", "IF10001"),
}


@dataclass
class Installation:
    """A data directory and the sandbox around it; ``extra`` are further settings by their name."""

    sandbox: Sandbox
    data: Path
    clock: str
    extra: dict[str, str] = field(default_factory=dict)
    counter: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings, and what a program needs besides."""
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **clock_environment(),
            "HOME": str(self.data),
            "PYTHONFAULTHANDLER": "1",
            "SAARTHI_TELEGRAM_TOKEN": TOKEN,
            "SAARTHI_TELEGRAM_API": self.sandbox.url("telegram"),
            "SAARTHI_OWNERS": "1001",
            "SAARTHI_DATA": str(self.data),
            "SAARTHI_LISTEN": "127.0.0.1:0",
            **{setting_name(name): url for name, url in roots_at(self.sandbox.url).items()},
            "SAARTHI_CLOCK": self.clock,
            "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE": "yes",
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        """Return the settings, read as the program reads them."""
        return load_settings(environment=self.environment)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``saarthi`` and return the process."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "console", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``saarthi`` to its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # its fault handler says where it hangs
            out, err = process.communicate()
            raise AssertionError(f"saarthi {arguments} did not end: {out}\n{err}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def command(self) -> Command:
        """Return a wish of the owner's."""
        self.counter += 1
        return Command(f"installation:{self.counter}", 1001, 1001)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[System]:
        """Open the installation in this process, without a lease and with nothing running."""
        async with open_system(self.settings) as foundation:
            system = build(foundation, STRATEGIES, decisions=InProcess(STRATEGIES))
            try:
                yield system
            finally:
                await system.end()

    async def connect(
        self, system: System, kind: BrokerProfile, name: str = "Main", *, logged_in: bool = True
    ) -> Account:
        """Register an app at the simulated broker, add the account here, and log it in."""
        key, secret = self.register(system, kind)
        draft = AccountDraft(kind, name, key, secret)
        account = await system.control.registration.add(self.command(), draft)
        if logged_in:
            await self.log_in(system, account)
        return await system.control.accounts.get(account.broker_id)

    def register(self, system: System, kind: BrokerProfile) -> tuple[str, str]:
        """Register an app at the simulated broker; return its key and secret."""
        broker, key, secret, user = APPS[kind]
        body = {
            "broker": broker,
            "api_key": key,
            "api_secret": secret,
            "user_id": user,
            "user_name": "Gita Hegde",
            "cash": 500_000,
            "redirect_url": system.logins.redirect_url(kind),
        }
        self.sandbox.ask("POST", "/accounts", body)
        return key, secret

    async def log_in(self, system: System, account: Account) -> None:
        """Log an account in as its person does without a public URL: by pasting the address."""
        offer = await system.control.logins.offer(account.broker_id)
        assert offer.direct_url is not None
        landed = await _allow(offer.direct_url, APPS[account.broker][3])
        await system.control.logins.paste(self.command(), landed, account.broker_id)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the order writes that the simulated brokers received."""
        return list(self.sandbox.ask("GET", "/ledger"))


async def _allow(address: str, user: str) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        await http.get(address)
        answer = await http.post(address, data={"user_id": user, "action": "allow"})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]
