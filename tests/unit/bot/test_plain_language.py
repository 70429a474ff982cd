"""What a user reads is in a trader's words: no word of the program's own inside (row E6)."""

from __future__ import annotations

import re

import pytest

from bot.notices.render import render
from bot.views.screen import Screen
from core.domain.notices.notice import Notice
from strategy.registry import STRATEGIES
from tests.fakes.large_views import VIEWS, every_screen
from tests.fakes.rendered import TAGS, an_engine, lookups
from tests.fakes.usual_views import NAMES, usual_screens
from tests.unit.bot.test_bot_notices import notices

JARGON = re.compile(
    r"\b(fences?|leases?|ledgers?|snapshots?|reconcil\w*|nonces?|slots?|goals?|gates?|drain\w*|"
    r"outbox|journal\w*|intents?|executor|gateway|worker|anomal\w*|frozen|payload|enum|None|"
    r"EXIT_ONLY|PAUSED|NORMAL|UNRESOLVED|HELD|SUBMITTED|PENDING_\w+|[a-z]+_[a-z_]+)\b"
)


def words_of(screen: Screen) -> str:
    labels = " ".join(one.text for row in screen.rows for one in row)
    text = TAGS.sub("", f"{screen.text} {labels}")
    # What is sent or typed as it stands is no prose: commands, addresses, names of settings.
    return re.sub(r"/\w+|https?://\S+|\w+://\S+|SAARTHI_\w+|<[^>]+>|gone_account", "", text)


@pytest.mark.row("E6")
@pytest.mark.parametrize("notice", notices("word"), ids=lambda one: one.kind)
async def test_no_notice_speaks_of_the_inside(notice: Notice) -> None:
    """Whatever it tells, an account's holder needs no knowledge of the program to read it."""
    screen = await render(notice, lookups(await an_engine()))
    assert JARGON.findall(words_of(screen)) == []


@pytest.mark.row("E6")
def test_no_screen_speaks_of_the_inside() -> None:
    """Views, questions and answers, with usual names and with many accounts."""
    screens = [*usual_screens(*NAMES), *every_screen(), *(view(0) for view in VIEWS.values())]
    found = {word for one in screens for word in JARGON.findall(words_of(one))}
    assert found == set()


@pytest.mark.row("D6", "E6")
def test_parameters_are_named_as_charts_name_them() -> None:
    """A candle, and a time of square-off: the words of the brokers' own charts and terms."""
    labels = [one.label for strategy in STRATEGIES.values() for one in strategy.parameters]
    assert {"Candle, minutes", "Square off at"} <= set(labels)
    assert not [one for one in labels if re.search(r"\b([Bb]ars?|[Pp]ercent)\b(?!\))", one)]
