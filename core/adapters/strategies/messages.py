"""What the controller and a strategy's process say to one another.

A message is four bytes of length and so many of content. The controller's is pickled: the process
trusts it. The process' answer is JSON of plain texts and numbers, read field by field: nothing that
a strategy's process says is ever unpickled.

Bars are most of a question, and the same ones come back at every slot. So only those are sent that
the process has not seen (``Sent`` here, ``Seen`` there), as lines of text: a pickled ``Decimal``
costs four times as much.
"""

from __future__ import annotations

import json
import pickle  # the controller's own words, read by a process that it has started
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.domain.bars import bars_in, text_of_bars
from core.domain.broker import Candle
from core.domain.failures import own_words
from core.domain.instrument import InstrumentId
from core.domain.plain_text import plain_line
from core.domain.sessions import IST
from core.domain.stop_rule import StopRule
from core.domain.target import Context, Direction, Target

__all__ = [
    "HEADER",
    "LARGEST_ANSWER",
    "Seen",
    "Sent",
    "answer_of",
    "failure_of",
    "framed",
    "targets_in",
]

HEADER = 4
LARGEST_ANSWER = 1_000_000
"""Twenty targets are some kilobytes."""
_REASON_LIMIT = 500
_FAILURE_LIMIT = 500


def framed(content: bytes) -> bytes:
    """Return a message with its length before it."""
    return len(content).to_bytes(HEADER) + content


class Sent:
    """What a process has seen already, as the controller knows it."""

    def __init__(self) -> None:
        self._bars: dict[InstrumentId, tuple[Candle, ...]] = {}

    def question(self, context: Context) -> bytes:
        """Return a context as the process has to be told it."""
        news: dict[InstrumentId, tuple[int, str]] = {}
        for instrument, given in context.bars.items():
            bars, before = tuple(given), self._bars.get(instrument, ())
            known = len(before) if bars[: len(before)] == before else 0
            news[instrument] = (known, text_of_bars(bars[known:]))
            self._bars[instrument] = bars
        return pickle.dumps((replace(context, bars={}), news), pickle.HIGHEST_PROTOCOL)


class Seen:
    """What this process has seen already."""

    def __init__(self) -> None:
        self._bars: dict[InstrumentId, tuple[Candle, ...]] = {}

    def context(self, question: bytes) -> Context:
        """Return the context that a question tells."""
        context: Context
        context, news = pickle.loads(question)  # noqa: S301 - the controller's own words
        for instrument, (known, lines) in news.items():
            before = self._bars.get(instrument, ())[:known]
            self._bars[instrument] = before + bars_in(lines)
        bars = {instrument: self._bars[instrument] for instrument in news}
        return replace(context, bars=bars)


def failure_of(error: BaseException) -> bytes:
    """Return the answer that a strategy raised."""
    return json.dumps({"failure": own_words(error)[:_FAILURE_LIMIT]}).encode()


def answer_of(targets: object) -> bytes:
    """Return the answer that holds targets.

    Raises:
        TypeError: It is something else that a strategy has returned.
    """
    if not isinstance(targets, Iterable) or isinstance(targets, str | bytes):
        raise TypeError(f"decide returned {type(targets).__name__}; expected a list of Target")
    return json.dumps({"targets": [_fields(one) for one in targets]}).encode()


def _fields(target: object) -> dict[str, Any]:
    if not isinstance(target, Target):
        raise TypeError(f"decide returned a {type(target).__name__}; expected a Target")
    rule = target.stop_rule
    return {
        "instrument": str(target.instrument),
        "direction": int(target.direction),
        "signal_at": target.signal_at.isoformat(),
        "stop_price": _text(target.stop_price),
        "reason": str(target.reason)[:_REASON_LIMIT],
        "stop_rule": rule and [_text(rule.to_cost_at), _text(rule.trail_by)],
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def targets_in(answer: bytes) -> Sequence[Target] | str:
    """Read an answer: targets, or the text of what the strategy raised.

    Raises:
        ValueError: It is no answer; the text says what is wrong with it.
    """
    try:
        found = json.loads(answer)
        if "failure" in found:
            return plain_line(str(found["failure"]))[:_FAILURE_LIMIT]
        return tuple(_target(one) for one in found["targets"])
    # UserError of a name, ArithmeticError of a number, RecursionError of a deep answer, ...
    except Exception as error:  # noqa: BLE001 - see above
        raise ValueError(own_words(error)[:_FAILURE_LIMIT]) from None


def _target(fields: dict[str, Any]) -> Target:
    rule = fields["stop_rule"]
    signal_at = datetime.fromisoformat(fields["signal_at"])
    if signal_at.tzinfo is None:
        raise ValueError("signal_at has no time zone; expected one of the context's")
    return Target(
        InstrumentId.parse(fields["instrument"]),
        Direction(fields["direction"]),
        signal_at.astimezone(IST),
        _decimal(fields["stop_price"]),
        plain_line(str(fields["reason"]))[:_REASON_LIMIT],
        None if rule is None else StopRule(*map(_decimal, rule)),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
