"""What is particular about paper accounts: no console, no key, no login, no address."""

from __future__ import annotations

import re

from core.domain.broker_profile import BrokerProfile, CallbackForm, CredentialForm
from core.domain.identifiers import PAPER

__all__ = ["PAPER_PROFILE"]

_NONE = CredentialForm("key", re.compile(r"(?!)"), "nothing: a paper account has no key")

PAPER_PROFILE = BrokerProfile(
    name=PAPER,
    label="Paper",
    api_name=PAPER,
    roots=(),
    console="",
    guide=(),
    key=_NONE,
    secret=_NONE,
    log_out_hint="A paper account has no login.",
    tokens_die_at=None,
    callback=CallbackForm("", "", lambda _query: None),
    exit_hint="Paper positions exist in Saarthi alone: close them here.",
    is_paper=True,
    lists_all=True,
)
