"""/owners: who is named, and whom a button removes (row G1)."""

from __future__ import annotations

import pytest

from bot.views.callbacks import Tap, parse
from bot.views.owners import owners_screen, removal_question
from bot.views.verbs import Verb
from core.domain.owner import BotOwner, Way
from tests.fakes.rendered import TAGS
from tests.fakes.views import AT

pytestmark = pytest.mark.row("G1")

LISTED = BotOwner(1001, Way.LISTED, 1001, "Asha", AT)
PAIRED = BotOwner(2002, Way.PAIRING, 2002, "Ravi", AT)
SILENT = BotOwner(3003, Way.PAIRING, None, "", None)


def removes(*owners: BotOwner) -> dict[str, Tap | None]:
    """Return what the buttons do, by label."""
    rows = owners_screen(owners, 1001).rows
    return {one.text: parse(str(one.callback_data)) for row in rows for one in row}


def test_each_who_paired_has_a_button_and_who_is_listed_has_none() -> None:
    """The list of the settings is changed on the server; the last owner stays."""
    assert removes(LISTED, PAIRED, SILENT) == {
        "Remove Ravi": Tap(Verb.ASK_REMOVE_OWNER, ("2002",)),
        "Remove 3003": Tap(Verb.ASK_REMOVE_OWNER, ("3003",)),
    }
    assert removes(PAIRED) == removes(LISTED) == {}


def test_the_list_and_the_question_name_everybody() -> None:
    """By name and number, and how they came in."""
    text = TAGS.sub("", owners_screen([LISTED, PAIRED, SILENT], 1001).text)
    for said in ("Asha · you", "1001 · listed on the server", "2002 · paired", "3003\n   paired"):
        assert said in text
    question = TAGS.sub("", removal_question(PAIRED))
    assert "Remove Ravi (2002)?" in question and "no answer and no notice" in question
