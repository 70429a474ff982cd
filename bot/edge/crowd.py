"""A poll in which nobody who is served stands, judged by its bytes (rows G1, R2).

Telegram hands out a hundred updates a poll, in their order, so an owner's panic waits for every
poll of strangers before it. Making objects of a hundred updates takes longer than all else that is
done for them, and who is served stands in none: their id would stand in the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from telegram.constants import PollingLimit

__all__ = ["Crowd", "crowd_of"]

_BEGINS = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\s*,\s*"result"\s*:\s*\[')
_ENDS = re.compile(rb"\}\s*\}\s*\]\s*\}\s*\Z")
_END_LENGTH = 64
# A quote inside a text is written with a backslash before it, and nobody outside chooses the name
# of a field: what these find is what Telegram wrote.
_ID = b'"update_id"'
_LAST = re.compile(rb'"update_id"\s*:\s*(\d+)\s*,')
_DIGITS = frozenset(b"0123456789")
_SENDERS = re.compile(rb'"from"\s*:\s*\{\s*"id"\s*:\s*(\d+)')


@dataclass(frozen=True, slots=True)
class Crowd:
    """A poll of strangers.

    Attributes:
        count: How many updates it has.
        last: The id of its last one.
        users: The first ones who sent them.
    """

    count: int
    last: int
    users: tuple[int, ...]

    @property
    def is_full(self) -> bool:
        """Whether more may wait at Telegram, which hands out no more at once."""
        return self.count >= PollingLimit.MAX_LIMIT


def crowd_of(body: bytes, served: Iterable[int], named: int) -> Crowd | None:
    """Return what is to be known of a poll of strangers; None when it has to be read.

    Args:
        body: The answer to the poll, as Telegram wrote it.
        served: The ids of those who are served. An id in a text counts as well: it is read then.
        named: How many users to name.
    """
    if not _is_whole(body) or any(_stands_in(body, one) for one in served):
        return None
    last = _LAST.match(body, max(0, body.rfind(_ID)))
    if last is None:
        return None
    users = dict.fromkeys(int(one[1]) for one in islice(_SENDERS.finditer(body), named))
    return Crowd(body.count(_ID), int(last[1]), tuple(users))


def _is_whole(body: bytes) -> bool:
    """Tell whether a poll's answer has its beginning and its end.

    In one that was cut, the id of a served user could be what was lost of the last update.
    """
    end = max(0, len(body) - _END_LENGTH)
    return _BEGINS.match(body) is not None and _ENDS.search(body, end) is not None


def _stands_in(body: bytes, user_id: int) -> bool:
    """Tell whether a number stands in a poll, and not within another number.

    Not by an expression: one that looks behind is tried at each byte, which took as long as the
    poll itself where a short id is part of many others.
    """
    digits = b"%d" % user_id
    end = 0
    for _ in range(body.count(digits)):
        at = body.index(digits, end)
        end = at + len(digits)
        # Something stands on both sides of it: the poll is whole.
        if body[end] not in _DIGITS and body[at - 1] not in _DIGITS:
            return True
    return False
