"""A Fyers account on the sandbox of `kite_fixtures`; a plugin, so never import it."""

from collections.abc import Iterator

import pytest

from tests.fakes.fyers_sandbox import Account, FyersSandbox
from tests.fakes.sandbox_process import Sandbox

__all__ = ["fyers"]


@pytest.fixture
def fyers(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account of its own, logged in, with the official SDK."""
    attached = FyersSandbox(tmp_path_factory.mktemp("fyers"), ports=sandbox.ports)
    yield attached.login()
    attached.close()
