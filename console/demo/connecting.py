"""What a user does in the chat before the first trade; the story and the demo's card both do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from console.demo.actor import Actor
from console.demo.chat import Message
from console.demo.operator import Operator

__all__ = [
    "AT_ONCE",
    "QUICK",
    "STRATEGY",
    "add",
    "ask_to_enable",
    "connect",
    "enable",
    "open_strategy",
    "set_parameters",
    "try_paper",
    "when_it_signals",
]

STRATEGY = "Moving average crossover"
QUICK: Mapping[str, str] = {
    "Candle, minutes": "1",
    "Fast average, candles": "2",
    "Slow average, candles": "5",
}
"""Parameters of that strategy with which it trades within minutes."""
AT_ONCE: Mapping[str, str] = {**QUICK, "No entries before": "09:15"}
"""The same, for somebody who has just opened the demo before the market."""
_SIGNALS_WITHIN = timedelta(minutes=10)
"""Of market time: what it usually takes until averages of 2 and 5 minutes cross."""
_OPEN = time(9, 15)
_TURNS = time(9, 25)
_WORTH_A_SKIP = timedelta(minutes=5)
_LAST_ENTRY = time(14, 30)


async def add(do: Operator, actor: Actor) -> Message:
    """Add an account through the wizard; return the message with its login button."""
    asked = await do.say("/add", "With which broker?", button=actor.type_label)
    guide = await do.tap(asked, actor.type_label, actor.redirect_url, button="Continue")
    await do.tap(guide, "Continue", "What shall I call this account?")
    await do.say(actor.name, "Send the", "step 3")
    await do.say(actor.api_key, "Send the", "step 4")
    summary = await do.sends_secret(actor.api_secret, "Is this right?", actor.name, actor.api_key)
    return await do.tap(summary, "Connect this account", actor.label, "is added", button="Log in")


async def enable(do: Operator, actors: Sequence[Actor]) -> None:
    """Enable those accounts that are not."""
    page = await do.say("/brokers", "Your accounts", *(one.label for one in actors))
    for one in actors:
        if page.button(f"Enable {one.name}"):
            page = await do.tap(
                page, f"Enable {one.name}", "Your accounts", button=f"Disable {one.name}"
            )


async def connect(do: Operator, actors: Sequence[Actor]) -> None:
    """Add, log in and enable accounts; what is done already is left as it is.

    Raises:
        ChatError: The chat showed something else than it must.
    """
    for one in actors:
        page = await do.say("/brokers", "account", button="Add account")
        if one.label not in page.text:
            page = await add(do, one)
        if page.button("Log in", one.label):
            await do.logs_in(page, one.label, one.user_id)
    await enable(do, actors)


async def open_strategy(do: Operator) -> Message:
    """Open the page of the strategy, as the newest message."""
    listed = await do.say("/strategies", STRATEGY, button=STRATEGY)
    return await do.tap(listed, STRATEGY, STRATEGY, "Accounts", button="Parameters")


async def set_parameters(do: Operator, values: Mapping[str, str]) -> Message:
    """Give the strategy parameters; return its page."""
    page = await open_strategy(do)
    shown = await do.tap(page, "Parameters", "parameters", button="« Back")
    for label, value in values.items():
        await do.tap(shown, label, "Send the new value", label)
        shown = await do.say(value, "Changed", f"{label}: {value}", button="« Back")
    return await do.tap(shown, "« Back", STRATEGY, button="Parameters")


async def ask_to_enable(do: Operator, page: Message) -> bool:
    """Bring the question what it would trade, for the user to answer; False if it is enabled."""
    if page.button("Enable") is None:
        return False
    await do.tap(page, "Enable", f"Enable {STRATEGY}?", button="Yes, enable it")
    return True


async def try_paper(do: Operator) -> None:
    """Create a paper account where there is no account at all."""
    page = await do.say("/brokers", "account", button="Add account")
    if page.button("Try with a paper account") is None:
        return
    offered = await do.tap(page, "Try with a paper account", "A paper account", button="Create it")
    await do.tap(offered, "Create it", "is added and enabled")


def when_it_signals(now: datetime, speed: float, *, is_at_brokers: bool) -> str:
    """Return when the first order may be expected with these parameters.

    Args:
        now: Market time.
        speed: How much faster than the user's clock it runs.
        is_at_brokers: The strategy follows the simulated market, not made-up prices.
    """
    if now.time() >= _LAST_ENTRY:
        return "It enters nothing more today: move the clock to the next morning below."
    # The simulated market turns soon after 09:30; prices that are made up turn all the time.
    begins = datetime.combine(now.date(), _TURNS if is_at_brokers else _OPEN, now.tzinfo)
    by = max(now, begins) + _SIGNALS_WITHIN
    seconds = max(1, round((by - now).total_seconds() / speed / 10)) * 10
    skip = " You can skip to 09:29 below." if is_at_brokers and begins - now > _WORTH_A_SKIP else ""
    return (
        f"A signal, with its orders, usually comes before {by:%H:%M} by the banner, within "
        f"{seconds} seconds.{skip}"
    )
