"""What the demo prints: where the chat is, what to do there, and what it reports later."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping

import httpx

from console.demo.actor import Actor
from console.demo.events import Events
from console.demo.stage import Ports, Stage

__all__ = ["guide", "report"]


def guide(stage: Stage, ports: Ports, actors: Mapping[str, Actor], *, is_watched: bool) -> str:
    """Return the text with which a demo begins."""
    lines = [f"chat: {ports.url('telegram')}/", ""]
    if is_watched:
        lines += ["The operator plays by itself; open the page to watch.", ""]
    else:
        lines += [*_hints(actors), "", *_control(ports, actors), "", "Ctrl-C ends the demo."]
    clock = stage.clock
    waits = " It stands until somebody opens that page." if stage.waits else ""
    now = f"{clock.now():%d %b %H:%M}"
    lines += [f"The market's clock shows {now} IST, at {clock.speed:g} x.{waits}"]
    return "\n".join(lines) + "\n\n"


def _hints(actors: Mapping[str, Actor]) -> list[str]:
    """Return what a user needs to play the story, by taps or by hand."""
    return [
        "Open that page and tap START. The card of the demo (/demo) connects two accounts for you,",
        "moves prices, ends logins and skips hours. To add accounts yourself (/add), these are the",
        "keys of the simulated brokers:",
        *(
            f"  {one.type_label:<8} API key {one.api_key}   secret {one.api_secret}   "
            f"user id at login {one.user_id}"
            for one in actors.values()
        ),
        "Then log in, enable both under /brokers, and enable a strategy under /strategies.",
        'To see trades soon, give "Moving average crossover" 1 minute a bar, averages of 2 and 5.',
    ]


def _control(ports: Ports, actors: Mapping[str, Actor]) -> list[str]:
    """Return where the sandbox is driven from outside, with what is asked most."""
    root = ports.url("control") + "/"
    first = next(iter(actors.values()))
    account = json.dumps({"broker": first.broker, "api_key": first.api_key})
    return [
        f"control: {root}   (open it for all that the sandbox can do), such as",
        f"""  curl {root}market -d '{{"symbol": "SBIN", "last_price": 950}}'""",
        f"  curl {root}tokens/expire -d '{account}'",
        f"  curl '{root}book?broker={first.broker}&api_key={first.api_key}'",
    ]


async def report(events: Events, stage: Stage, note: str, sentence: str) -> None:
    """Say what happens to the controller: on the banner of the chat page, and on the console."""
    sys.stdout.write(f"{stage.clock.now():%H:%M:%S}  {sentence}\n")
    sys.stdout.flush()
    with contextlib.suppress(httpx.HTTPError):  # a sandbox that is gone is said elsewhere
        await events.note(note)
