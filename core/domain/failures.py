"""What a user is told of an exception: words, and never the name of its class.

The name says something to whoever reads the log, where it stands with its traceback.
"""

from __future__ import annotations

from core.domain.plain_text import plain_line
from core.errors import StoreError

__all__ = ["own_words", "why_failed"]

_UNKNOWN = "an error that the log describes"


def why_failed(error: BaseException) -> str:
    """Return why a part of Saarthi failed, as a clause.

    Nothing of the exception's own text is in it: that may quote an address, and with it a token.
    """
    if isinstance(error, StoreError):
        return "my database did not answer"
    if isinstance(error, TimeoutError):
        return "an answer did not come in time"
    if isinstance(error, OSError):
        return "a connection or a file of this machine failed"
    return _UNKNOWN


def own_words(error: BaseException) -> str:
    """Return what a user's own code, a strategy, has raised, on one line."""
    said = plain_line(str(error))
    if isinstance(error, KeyError):
        return f"there is no {said}"
    if isinstance(error, SystemExit):
        return f"it wanted to end the program ({said or 0})"
    if isinstance(error, MemoryError):
        return "it needs more memory than it may have"
    return said or "an error without a text, which the log shows"
