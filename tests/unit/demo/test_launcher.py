"""How a demo that plays by itself ends: with its transcript, and with 0 only when all was seen (F2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from console.demo import launcher
from console.demo.chat import ChatError
from console.demo.operator import Operator
from console.demo.options import DemoOptions
from console.demo.stage import set_stage

pytestmark = pytest.mark.row("F2")


@pytest.mark.parametrize("is_seen", [True, False])
async def test_the_story_s_end_is_the_demo_s_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_seen: bool,
) -> None:
    """Either way all that was said is printed; a step that showed something else is named."""

    class Story:
        def __init__(self, operator: Operator, *_actors: Any) -> None:
            self._do = operator

        async def play(self) -> None:
            async with self._do.step("the bot greets"):
                self._do.notes("the user opens the chat")
            async with self._do.step("an account is added"):
                if not is_seen:
                    raise ChatError("expected a message with 'added'")

    monkeypatch.setattr(launcher, "Story", Story)
    stage = set_stage(tmp_path, DemoOptions(autoplay=True))
    actors: Any = {"kite": None, "fyers": None}
    async with httpx.AsyncClient() as http:
        with pytest.raises(launcher._Ended) as ended:
            await launcher._play(stage, http, actors)
    told = capsys.readouterr().out
    assert "--- Step 1: the bot greets" in told
    assert "the user opens the chat" in told
    if is_seen:
        assert (ended.value.code, str(ended.value)) == (0, "")
        assert told.endswith("\n2 steps, all seen\n")
    else:
        assert ended.value.code == 1
        assert "step 2 (an account is added) failed: expected a message" in str(ended.value)
        assert "all seen" not in told
