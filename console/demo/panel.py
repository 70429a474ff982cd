"""The demo's card in the chat: buttons that spare typing, and that make things happen.

The card is the guest bot's, never the product's. What it does it does as a user can, in the chat
and on the login pages, or by the sandbox's control port.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import httpx

from console.demo.actor import Actor
from console.demo.chat import Chat, ChatError
from console.demo.connecting import (
    AT_ONCE,
    STRATEGY,
    ask_to_enable,
    connect,
    set_parameters,
    try_paper,
    when_it_signals,
)
from console.demo.events import SLOW_FOR_S, Events, next_moments
from console.demo.guest import Guest, Row, button
from console.demo.keeper import Keeper
from console.demo.operator import Operator
from console.demo.stage import CHAT, Stage

__all__ = ["Panel"]

_IS_REAL = "The bot is the real one; the market, the brokers and this chat are simulated. "
_BEGIN = (
    "Begin with a blue button here: it types and taps for you. With those above you do it by hand."
)
_GO_ON = "Tap to make something happen, as often as you like."
_STEPS = (-2.0, -0.5, 0.5, 2.0)
_GREETED_S = 10.0

Action = Callable[[str], Awaitable[str]]


class Panel:
    """Shows the card and does what is tapped.

    Args:
        guest: The demo's bot.
        http: Talks to the sandbox's control port.
        events: What can be made to happen.
        keeper: Runs the controller.
        stage: Where the demo takes place.
        answer_s: How long the product's bot may take to answer what is typed for the user.
    """

    def __init__(
        self,
        guest: Guest,
        http: httpx.AsyncClient,
        events: Events,
        keeper: Keeper,
        stage: Stage,
        *,
        answer_s: float = 60.0,
    ) -> None:
        self._answer_s = answer_s
        self._guest = guest
        self._http = http
        self._events = events
        self._keeper = keeper
        self._stage = stage
        self._card: int | None = None
        self._job: asyncio.Task[None] | None = None
        self._jobs: dict[str, tuple[str, Action]] = {
            "connect": ("Hands off for a few seconds: I type and log in for you.", self._connect),
            "quick": ("Hands off for a few seconds: I set the strategy up for you.", self._quick),
            "kill": ("Saarthi is killed; its keeper starts it again.", self._kill),
            "skip": ("The clock moves ahead; Saarthi restarts meanwhile.", self._skip),
        }
        self._menus: dict[str, Callable[[str], Awaitable[tuple[str, list[Row]]]]] = {
            "price": self._ask_symbol,
            "step": self._ask_step,
            "login": self._ask_login,
            "slow": self._ask_slow,
        }
        self._acts: dict[str, Action] = {
            "move": self._move,
            "end": self._end_login,
            "late": self._slow_down,
        }

    async def run(self) -> None:
        """Serve the chat; a sandbox that is gone ends the demo with a reason of its own."""
        with contextlib.suppress(httpx.HTTPError):
            await self._guest.join(self._http, "demo", "Make something happen in this demo")
            await self._take_up()
        async with asyncio.TaskGroup() as group:
            while True:
                for update in await self._guest.updates():
                    with contextlib.suppress(httpx.HTTPError):
                        await self._take(update, group)

    async def _take_up(self) -> None:
        """Show the card as the newest message of a demo that was kept and goes on."""
        where = {"chat_id": str(CHAT)}
        told = (await self._http.get("/telegram/transcript", params=where)).raise_for_status()
        for message in told.json()["messages"]:
            if message.get("guest") and not message["deleted"]:
                self._card = int(message["id"])
                await self._drop()
                now = self._stage.clock.now()
                await self._show(f"The demo goes on: it is {now:%a %d %b, %H:%M}. {_GO_ON}")

    # Reading the chat

    async def _take(self, update: dict[str, Any], group: asyncio.TaskGroup) -> None:
        if tap := update.get("callback_query"):
            await self._tapped(tap, group)
        elif (message := update.get("message")) and message["chat"]["id"] == CHAT:
            await self._read(str(message.get("text", "")))

    async def _read(self, text: str) -> None:
        if text == "/demo":
            await self._drop()
            await self._show()
        elif text == "/start" and self._card is None:
            await self._wait_for_the_greeting()
            await self._show()

    async def _wait_for_the_greeting(self) -> None:
        """Let the product's bot speak first."""
        chat = Chat(self._http, CHAT, lambda _event: None)
        try:
            await chat.wait(chat.shown, "the greeting", within_s=_GREETED_S)
        except ChatError:
            return  # the card is of use without it, too

    async def _tapped(self, tap: dict[str, Any], group: asyncio.TaskGroup) -> None:
        name, _, rest = str(tap["data"]).partition("|")
        is_busy = self._job is not None and not self._job.done()
        toast = {"text": "One moment, I am still at work."} if is_busy else {}
        await self._guest.call("answerCallbackQuery", callback_query_id=tap["id"], **toast)
        if is_busy:
            return
        self._card = int(tap["message"]["message_id"])
        if name in self._menus:
            text, rows = await self._menus[name](rest)
            await self._put(text, [*rows, [button("« Back", "home")]])
        elif name in self._acts:
            await self._show(await self._acts[name](rest))
        elif name in self._jobs:
            begun, action = self._jobs[name]
            self._job = group.create_task(self._work(begun, action, rest))
        else:
            await self._show()

    async def _work(self, begun: str, action: Action, rest: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            await self._put(f"⏳ {begun}", [])
            try:
                done = await action(rest)
            except (ChatError, httpx.HTTPError) as error:
                said = str(error).partition("\n")[0] or "no answer in time"
                done = f"⚠️ That did not work: {said}. Go on by hand, or tap again."
            await self._drop()  # what was done has pushed the card out of sight
            await self._show(done)

    # The card

    async def _show(self, note: str = "") -> None:
        """Show the card: what was done, and what can be."""
        connected = len(await self._events.connected())
        has_begun = connected or self._stage.is_quick
        intro = _IS_REAL + (_GO_ON if has_begun else _BEGIN)
        await self._put(escape(note) or intro, self._home(connected))

    async def _put(self, text: str, rows: Sequence[Row]) -> None:
        self._card = await self._guest.show(CHAT, text, rows, self._card)

    async def _drop(self) -> None:
        """Take the card away, so that the next one is the newest message."""
        if self._card is not None:
            await self._guest.call("deleteMessage", chat_id=CHAT, message_id=self._card)
            self._card = None

    def _home(self, connected: int) -> list[Row]:
        """Return the buttons of what would have an effect: without an account no broker has one."""
        rows: list[Row] = []
        if connected < len(self._events.actors):
            rows.append([button("🔗 Connect the two accounts for me", "connect", "primary")])
        if not self._stage.is_quick:
            label = "Set up a quick strategy for me" if connected else "Trade on paper for me"
            rows.append([button(f"⚡ {label}", "quick", "primary")])
        kill = button("💥 Kill Saarthi", "kill")
        if connected:
            rows += [
                [button("📈 Move a price", "price"), button("🔑 End a login", "login")],
                [button("🐢 Slow a broker", "slow"), kill],
            ]
        else:
            rows.append([kill])
        rows += [
            [
                button(f"⏩ To {self._moment(at)}", f"skip|{at.isoformat()}")
                for at in next_moments(self._stage.clock.now())
            ],
        ]
        return rows

    def _moment(self, at: datetime) -> str:
        is_today = at.date() == self._stage.clock.now().date()
        return f"{at:%H:%M}" if is_today else f"{at:%a %H:%M}"

    # What spares typing

    def _operator(self) -> Operator:
        return Operator(self._http, self._stage.clock.now, answer_s=self._answer_s)

    async def _connect(self, _rest: str) -> str:
        await connect(self._operator(), self._events.actors)
        return "✅ Both accounts are connected, logged in and enabled. Next: a strategy."

    async def _quick(self, _rest: str) -> str:
        do = self._operator()
        await try_paper(do)
        is_asked = await ask_to_enable(do, await set_parameters(do, AT_ONCE))
        self._stage.is_quick = True
        self._stage.save()
        ask = ' Its question above enables it: "Yes, enable it".' if is_asked else ""
        clock, is_at_brokers = self._stage.clock, bool(await self._events.connected())
        then = when_it_signals(clock.now(), clock.speed, is_at_brokers=is_at_brokers)
        return f"✅ {STRATEGY} is set to decide each minute.{ask} {then}"

    # What happens outside

    async def _ask_symbol(self, _rest: str) -> tuple[str, list[Row]]:
        buttons = [button(one, f"step|{one}") for one in await self._events.symbols()]
        rows: list[Row] = [buttons[at : at + 2] for at in range(0, len(buttons), 2)]
        return "Which price moves? What the accounts hold comes first.", rows

    async def _ask_step(self, symbol: str) -> tuple[str, list[Row]]:
        steps = [button(_percent(step), f"move|{symbol}|{step}") for step in _STEPS]
        return f"How far does {symbol} move? It goes on from there.", [steps]

    async def _move(self, rest: str) -> str:
        symbol, _, step = rest.partition("|")
        price = await self._events.move(symbol, float(step))
        return f"✅ {symbol} moved {_percent(float(step))} to ₹{price:,.2f}."

    async def _ask_login(self, _rest: str) -> tuple[str, list[Row]]:
        rows: list[Row] = [
            [button(one.label, f"end|{index}")] for index, one in await self._connected()
        ]
        return "Whose login does the broker end?", rows

    async def _connected(self) -> list[tuple[int, Actor]]:
        """Return the accounts that something can happen to, with their numbers."""
        known = await self._events.connected()
        return [(at, one) for at, one in enumerate(self._events.actors) if one in known]

    def _actor(self, rest: str) -> Actor:
        return self._events.actors[int(rest)]

    async def _end_login(self, rest: str) -> str:
        actor = self._actor(rest)
        await self._events.end_login(actor)
        return (
            f"✅ {actor.type_label} has ended the login of {actor.label}. Watch what Saarthi says."
        )

    async def _ask_slow(self, _rest: str) -> tuple[str, list[Row]]:
        rows: list[Row] = [
            [button(one.type_label, f"late|{index}")] for index, one in await self._connected()
        ]
        return "Which broker answers late?", rows

    async def _slow_down(self, rest: str) -> str:
        actor = self._actor(rest)
        await self._events.slow_down(actor)
        return f"✅ {actor.type_label} takes seconds to answer, for {SLOW_FOR_S} seconds."

    async def _kill(self, _rest: str) -> str:
        before = self._keeper.pid
        self._keeper.kill()
        async with asyncio.timeout(60):
            await self._keeper.is_back(after=before)
        return "✅ Saarthi was killed and is back, with all that it knew."

    async def _skip(self, rest: str) -> str:
        asked = datetime.fromisoformat(rest)
        await self._keeper.move_to(asked)
        return f"✅ It is {max(asked, self._stage.clock.now()):%H:%M} now."


def _percent(step: float) -> str:
    """Return ``-0.5 %``, with a sign and without a place to break."""
    return f"{step:+g}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")
