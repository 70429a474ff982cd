"""What users are told of exceptions: words, never the name of a class."""

from __future__ import annotations

import pytest

from core.domain.failures import own_words, why_failed
from core.errors import StoreUnavailable


class Odd(Exception):
    """Whatever else may be raised."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreUnavailable("mongodb://me:secret@host"), "my database did not answer"),
        (TimeoutError(), "an answer did not come in time"),
        (ConnectionResetError("https://x/?token=secret"), "a connection or a file of this"),
        (Odd("secret"), "an error that the log describes"),
    ],
)
def test_a_part_of_saarthi_that_failed_says_why_in_words(error: Exception, said: str) -> None:
    """Its own text, which may quote an address with a token, is for the log."""
    assert why_failed(error).startswith(said)
    assert "secret" not in why_failed(error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "division by zero"),
        (KeyError("close"), "there is no 'close'"),
        (SystemExit(3), "it wanted to end the program (3)"),
        (SystemExit(), "it wanted to end the program (0)"),
        (MemoryError(), "it needs more memory than it may have"),
        (Odd("two\nlines"), "two lines"),
        (AssertionError(), "an error without a text, which the log shows"),
    ],
)
def test_a_strategy_that_failed_is_told_in_its_own_words(error: BaseException, said: str) -> None:
    """On one line, without the name of a class."""
    assert own_words(error) == said
