"""Several notices in one message: nothing is lost, and each button says what it is for (E5)."""

from __future__ import annotations

import pytest

from bot.notices.together import parts_of
from bot.views.markup import LIMIT, units
from bot.views.screen import Screen, button
from bot.views.verbs import Verb

pytestmark = pytest.mark.row("E5")


def labels(screen: Screen) -> list[str]:
    return [one.text for row in screen.rows for one in row]


def test_short_notices_share_a_message_and_a_button():
    """Their texts in order; a view of one account becomes that of all where several share it."""
    one = Screen("one", ((button("Positions", Verb.POSITIONS, "a"),),))
    two = Screen(
        "two", ((button("Positions", Verb.POSITIONS, "b"), button("Health", Verb.HEALTH)),)
    )
    ((found, count),) = parts_of([one, two, Screen("three")])
    assert (found.text, count) == ("one\n\ntwo\n\nthree", 3)
    assert labels(found) == ["Positions", "Health"]
    assert found.rows[0][0].callback_data == "v1:posn"


def test_buttons_that_act_on_different_things_carry_the_number_of_their_notice():
    """Two stops were cancelled: which one a button puts back must be plain."""
    screens = [
        Screen(f"stop of {name}", ((button("Put the stop back", Verb.RESTORE_STOP, "a", name),),))
        for name in ("SBIN", "TCS")
    ]
    ((found, _),) = parts_of(screens)
    assert found.text == "<b>1.</b> stop of SBIN\n\n<b>2.</b> stop of TCS"
    assert labels(found) == ["1. Put the stop back", "2. Put the stop back"]
    assert [one.callback_data for row in found.rows for one in row] == [
        "v1:stop_on:a:SBIN",
        "v1:stop_on:a:TCS",
    ]


def test_a_message_never_outgrows_what_telegram_takes():
    """Two hundred of them are a few messages, each within its limits, in order."""
    screens = [
        Screen(f"{n} {'€' * 150}", ((button("Stop", Verb.RESTORE_STOP, "a", n),),))
        for n in range(200)
    ]
    parts = parts_of(screens)
    assert sum(count for _, count in parts) == 200 and len(parts) < 12
    assert all(units(screen.text) < LIMIT - 200 for screen, _ in parts)
    assert all(len(labels(screen)) <= 24 for screen, _ in parts)
    shown = "\n\n".join(screen.text for screen, _ in parts)
    assert [block.split()[1] for block in shown.split("\n\n")] == [str(n) for n in range(200)]
    long = Screen("x" * 3900)
    assert parts_of([long, long]) == [(long, 1), (long, 1)]
