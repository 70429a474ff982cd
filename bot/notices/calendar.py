"""The messages of notices about the exchange calendar."""

from __future__ import annotations

from typing import assert_never

from bot.views.markup import bold, day_words, esc, join, short
from bot.views.screen import Screen
from core.domain.notices.calendar import CalendarEnds, CalendarNotice, DayUnknown, YearDerived

__all__ = ["calendar_notice"]

_LONG = 3000
_IMPORT = (
    "When it is published, import it with saarthi calendar import FILE; docs/operations.md shows "
    "the form of the file."
)


def calendar_notice(notice: CalendarNotice) -> Screen:
    """Return the message of a notice about the exchange calendar."""
    match notice:
        case CalendarEnds():
            return _ends(notice)
        case YearDerived():
            return _derived(notice)
        case DayUnknown():
            return _unknown(notice)
        case _:
            assert_never(notice)


def _ends(notice: CalendarEnds) -> Screen:
    left = notice.days_left
    when = "today" if left == 0 else f"in {left} day{'' if left == 1 else 's'}"
    return Screen(
        join(
            f"🗓 {bold(f'My exchange calendar ends {when}')}, on {esc(day_words(notice.until))}.",
            "After that strategies enter nothing, because I do not know which days trade. Exits, "
            "stops and square-offs go on in the regular hours.",
            f"It needs the exchange's list of the next year. {_IMPORT}",
        )
    )


def _derived(notice: YearDerived) -> Screen:
    title = f"The holidays of {notice.year} are not from the exchange's list"
    return Screen(
        join(
            f"🗓 {bold(title)}",
            f"They were {esc(_as_sentence(notice.source))}",
            f"The list usually comes in mid-December. {_IMPORT}",
        )
    )


def _unknown(notice: DayUnknown) -> Screen:
    goes_on = (
        f"Exits, stops and square-offs go on from {esc(notice.exit_hours)}, as on a regular day."
        if notice.exit_hours
        else "Nothing is squared off today either: close by hand what must not stay."
    )
    return Screen(
        join(
            f"🗓 {bold('I do not know the hours of today: strategies enter nothing.')}",
            esc(_as_sentence(notice.reason[:1].upper() + notice.reason[1:])),
            goes_on,
            "To trade today, import its hours: saarthi calendar import FILE.",
        )
    )


def _as_sentence(text: str) -> str:
    return f"{short(text, _LONG).removesuffix('.')}."
