"""Updates of the simulated Bot API: what a poll confirmed never comes again, a kill or not."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.telegram.simulator import Simulator
from sandbox.telegram.user_actions import send_text

TOKEN = "7000000001:a-simulated_token"


async def test_what_is_confirmed_is_gone_after_a_kill(tmp_path: Path) -> None:
    """Its rows may go later than the answer; a simulator that starts over them drops them."""
    before = Simulator(tmp_path)
    before.bot(TOKEN)
    for text in ("one", "two \u20b9", "three"):
        send_text(before, chat_id=5, user_id=5, text=text, bot_id=None)
    (first, *_) = found = [json.loads(one) for one in await before.queues[TOKEN].get(0, 100, 0.0)]
    assert [one["message"]["text"] for one in found] == ["one", "two \u20b9", "three"]
    left = await before.queues[TOKEN].get(first["update_id"] + 2, 100, 0.0)
    # Nothing is closed: the process is gone.
    after = Simulator(tmp_path)
    assert [key for key, _ in after.storage.load("update")] == [f"{TOKEN}/{first['update_id'] + 2}"]
    assert await after.queues[TOKEN].get(0, 100, 0.0) == left
    assert json.loads(left[0])["message"]["text"] == "three"
    before.close()
    after.close()
    before.storage.close()
    after.storage.close()
