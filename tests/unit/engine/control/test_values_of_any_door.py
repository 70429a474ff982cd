"""What the control takes from whoever asks, be it the chat or a door that comes after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.account import AccountDraft
from core.errors import UserError
from tests.fakes.run_bench import RunBench

HIDDEN = "Ma\u202ein\u200b"


async def test_names_are_plain_whoever_gives_them() -> None:
    """A name with marks that nobody sees would look like another account's."""
    bench = await RunBench().opened()
    control, command = bench.engine.control, bench.engine.command
    renamed = await control.accounts.rename(command(), bench.account.broker_id, HIDDEN)
    assert renamed.display_name == "Main"
    with pytest.raises(UserError, match="The name is empty"):
        await control.accounts.rename(command(), bench.account.broker_id, "\u200b")
    draft = AccountDraft(ZERODHA, f"{HIDDEN} two", "anotherkey", "a secret")
    added = await control.registration.add(command(), draft)
    assert added.display_name == "Main two"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "0"])
@pytest.mark.parametrize("field", ["multiplier", "size_value"])
async def test_size_that_is_no_number_is_refused_in_words(field: str, text: str) -> None:
    """Found and expected, as for one that is too large."""
    bench = await RunBench().opened()
    with pytest.raises(UserError, match=rf"found {text}; expected"):
        await bench.assign(**{field: Decimal(text)})
