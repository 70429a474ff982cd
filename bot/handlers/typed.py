"""What people type instead of tapping: each leads to the question of just that, or to buttons.

Typed words never act by themselves (decision 30): what is asked here is asked with the same nonce
as a tap's question, and a message that came late asks only.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.conversation.hindi import in_english
from bot.conversation.plain_words import daily_loss_in, is_negated, meant_command, view_alone
from bot.conversation.visit import Visit
from bot.conversation.wishes import Wish, WishKind, names_in, wish_of
from bot.handlers import accounts as account_pages
from bot.handlers import dashboard, limits, modes, orders, panic, strategies
from bot.views.callbacks import Tap, handle
from bot.views.dashboard import ALL, order_button, position_button
from bot.views.markup import bold, esc
from bot.views.modes import GLOBAL, MODE_CODES
from bot.views.nearest import command_rows, not_understood
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.words import MODE
from core.domain.account import Account
from core.domain.mode import TradingMode
from core.domain.typed_number import read_amount
from core.domain.views import OrderView, PositionView, StrategyView

__all__ = ["is_of_held", "serve", "serve_command", "serve_unknown", "serve_wish"]

_SHOWN = 8
_SHORTEST = 3
"""So many letters may stand for the name that begins with them."""
_WORD = re.compile(r"[a-z0-9&]+")
_NAMED_VIEWS = frozenset({"dashboard", "positions", "orders", "trades", "pnl", "mode"})
_ANSWERS = frozenset(
    {
        "yes",
        "y",
        "ok",
        "okay",
        "no",
        "n",
        "confirm",
        "sure",
        "do it",
        "haan",
        "👍",
        "✅",
        "👌",
        "👎",
    }
)
_THANKS = re.compile(
    r"(ok |okay )?(thanks?|thank you|thx|ty|dhanyavaa?d|shukriya|🙏|धन्यवाद)\b.{0,12}|🙏"
)
_OF_ACCOUNT = frozenset({"rename", "disable", "enable", "disconnect", "edit", "renew", "logout"})
_OF_PRICE = frozenset(
    {"price", "ltp", "rate", "quote", "bhav", "kitne", "what", "what's", "is", "how", "doing", "s"}
    | {"show", "check", "me", "last", "current", "position"}
)
_OF_ALL = frozenset({ALL, "total", "overall", "combined", "together", "everything"})
_RUN = frozenset({"run"})
_OF_STRATEGY = frozenset(
    {"run", "start", "stop", "enable", "disable", "show", "open", "strategy", "parameters", "on"}
    | {"off", "turn", "switch", "set", "settings", "size", "instruments", "change", "edit"}
)
_BY_HAND = (
    "I take no buy or sell orders by hand: strategies enter, and what is held you can close here."
)
_AT_STRATEGY = "What a strategy trades is changed at the strategy"
_NEGATED = (
    "Nothing was done. I understand what is to be closed, cancelled or paused, and not what is to "
    "be left: choose it below."
)
_NUMBER_ALONE = (
    "No question is open that a number answers. Open what it is for, and send it when I ask."
)
_WHOLE = "I close whole positions only."


async def serve(visit: Visit, commands: Mapping[str, Callable[[Visit], Awaitable[None]]]) -> None:
    """Serve a message that answers no question."""
    said = " ".join(in_english(visit.text).casefold().strip(" .!").split())
    if (answer := _small_talk(visit, said)) is not None:
        await visit.send(answer)
    elif (wish := wish_of(visit.text)) is not None and await serve_wish(visit, wish):
        return
    elif loss := daily_loss_in(visit.text):
        await limits.ask_loss(visit, loss)
    elif (strategy := _strategy_in(said, await _strategies(visit))) is not None:
        await _open_strategy(visit, strategy, is_run=bool(_RUN & set(said.split())))
    elif await _open_account(visit, said):
        return
    elif (name := _meant(visit, said)) is not None:
        await _name_account(visit, name)
        await commands[name](visit)
    elif said.startswith(("add ", "include ")):
        await visit.send(not_understood(f"{said} strategy", f"{_AT_STRATEGY}."))
    elif not await _show_named(visit):
        await visit.send(not_understood(in_english(visit.text)))


def _small_talk(visit: Visit, said: str) -> Screen | None:
    """Return the answer to what asks for nothing: no text, a thank-you, a yes, a bare number."""
    if not visit.typed:
        return not_understood("", "I can read only text.")
    if _THANKS.fullmatch(said):
        return Screen("You are welcome.", command_rows("dashboard"))
    if said in _ANSWERS:
        words = "Words confirm nothing: tap the button under the question."
        return not_understood("", words)
    if read_amount(said) is not None:
        return Screen(_NUMBER_ALONE, command_rows("limits", "guard", "strategies"))
    return None


async def serve_unknown(
    visit: Visit, commands: Mapping[str, Callable[[Visit], Awaitable[None]]]
) -> None:
    """Serve a command that there is not, as the words it is made of: ``/close sbin``."""
    text = visit.text.lstrip("/ ").replace("_", " ")
    wish = wish_of(text)
    if wish is not None and await serve_wish(visit, wish):
        return
    if (name := view_alone(text)) is not None:
        await commands[name](visit)
        return
    words = "I do not know that command. /help lists those that I know."
    await visit.send(not_understood(visit.text, words))


async def serve_command(
    visit: Visit, name: str, commands: Mapping[str, Callable[[Visit], Awaitable[None]]]
) -> None:
    """Serve a command, of the account that is named beside it: ``/positions family``."""
    if visit.arguments:
        await _name_account(visit, name)
    await commands[name](visit)


async def _open_account(visit: Visit, said: str) -> bool:
    """Open the page of the account that something of its page was asked for: ``rename main``."""
    words = said.split()
    if not _OF_ACCOUNT & set(words):
        return False
    found, left = _named(await _accounts(visit), names_in(said))
    if len(found) != 1 or not set(left) <= _OF_ACCOUNT:
        return False
    visit.tap = Tap(None, (found[0].broker_id,))
    await account_pages.page(visit)
    return True


def _meant(visit: Visit, said: str) -> str | None:
    """Return the command whose view fits; a broker's name after "add" is an account of it."""
    brokers = {one.name for one in visit.services.parameters.brokers}
    if said.startswith("add ") and brokers & set(said.split()):
        return "add"
    return meant_command(visit.text)


async def _show_named(visit: Visit) -> bool:
    """Show the account or the positions whose name was all that was typed."""
    names = tuple(one for one in names_in(visit.text) if one not in _OF_PRICE)
    found, left = _named(await _accounts(visit), names)
    if len(found) == 1 and not left:
        visit.tap = Tap(None, (found[0].broker_id,))
        await dashboard.show_dashboard(visit)
        return True
    shown = await visit.services.control.views.positions(None)
    is_held = any(one.instrument.symbol.casefold() in names for one in shown)
    is_all = all(any(_is_symbol(one, name) for one in shown) for name in names)
    if not names or not (is_held or is_all):
        return False
    visit.tap = Tap(None, (ALL,))
    await dashboard.positions(visit)
    return True


async def is_of_held(visit: Visit, wish: Wish) -> bool:
    """Whether all that a wish names is an account or is held, so that it is no name itself."""
    left = _named(await _accounts(visit), wish.names)[1]
    held = await visit.services.control.views.positions(None) if left else ()
    return all(any(_is_symbol(one, name) for one in held) for name in left)


async def serve_wish(visit: Visit, wish: Wish) -> bool:
    """Ask about what was asked for; return False where it was about something else."""
    if is_negated(visit.text):
        # "close all except sbin" must not ask about SBIN, nor "don't sell" about anything.
        await visit.send(Screen(_NEGATED, command_rows("positions", "orders", "mode")))
        return True
    match wish.kind:
        case WishKind.MODE:
            return await _mode(visit, wish)
        case WishKind.CLOSE:
            return await _close(visit, wish)
        case WishKind.CANCEL:
            return await _cancel(visit, wish)
        case WishKind.ENTER:
            await visit.send(Screen(_BY_HAND, command_rows("strategies", "positions")))
    return True


# Which account, which strategy


async def _strategies(visit: Visit) -> Sequence[StrategyView]:
    return await visit.services.control.strategies.all()


async def _accounts(visit: Visit) -> Sequence[Account]:
    return await visit.services.control.accounts.all()


def _named(accounts: Sequence[Account], names: Sequence[str]) -> tuple[list[Account], list[str]]:
    """Return the accounts that these words name, and the words that name none."""
    by_word = {name: [one for one in accounts if _is_called(one, name)] for name in names}
    left = [name for name in names if not by_word[name]]
    sets = [found for found in by_word.values() if found]
    named = [one for one in accounts if sets and all(one in found for found in sets)]
    return named or [one for one in accounts if any(one in found for found in sets)], left


def _is_called(account: Account, name: str) -> bool:
    words = _WORD.findall(account.label.casefold())
    return name in words or (len(name) >= _SHORTEST and any(one.startswith(name) for one in words))


def _strategy_in(said: str, known: Sequence[StrategyView]) -> StrategyView | None:
    """Return the only strategy that a text names: by its words, or by their first letters."""
    words = [one for one in names_in(said) if one not in _OF_STRATEGY]
    found = [one for one in known if words and all(_is_of(one, word) for word in words)]
    if not found and _OF_STRATEGY & set(said.split()):
        # Something of it is to be changed: "change orb to infy".
        found = [one for one in known if any(_is_short_for(one, word) for word in words)]
    return found[0] if len(found) == 1 else None


def _is_of(strategy: StrategyView, word: str) -> bool:
    title = _WORD.findall(strategy.title.casefold())
    return word in title or _is_short_for(strategy, word)


def _is_short_for(strategy: StrategyView, word: str) -> bool:
    letters = "".join(one[0] for one in _WORD.findall(strategy.title.casefold()))
    return word in {letters, strategy.name.casefold()}


async def _open_strategy(visit: Visit, strategy: StrategyView, *, is_run: bool) -> None:
    visit.tap = Tap(None, (handle(strategy.name),))
    await (strategies.ask_run(visit) if is_run else strategies.page(visit))


async def _name_account(visit: Visit, command: str) -> None:
    """Let a view be of the account that was named beside it: ``positions zerodha``."""
    if command not in _NAMED_VIEWS:
        return
    words = names_in(visit.text)
    found, _ = _named(await _accounts(visit), words)
    if len(found) == 1:
        visit.tap = Tap(None, (found[0].broker_id,))
    elif command not in {"dashboard", "mode"} and _OF_ALL & set(visit.text.casefold().split()):
        visit.tap = Tap(None, (ALL,))


# What is asked


async def _mode(visit: Visit, wish: Wish) -> bool:
    """Ask about one mode of one account, or of all."""
    known, new = await _accounts(visit), wish.mode
    if new is None:
        return False
    found, left = _named(known, wish.names)
    if left and not found:
        if len(left) > 1 or not known:
            return False  # a sentence about something else: the view of the modes fits it
        words = f"No account is called {esc(left[0][:20])}. Whose mode?"
        await visit.send(Screen(words, _mode_rows(known, new)))
    elif len(found) > 1 and not wish.is_all:
        words = f"Set {bold(MODE[new])} for which account?"
        await visit.send(Screen(words, _mode_rows(found, new)))
    elif found:
        await _ask_mode(visit, found[0], new)
    else:
        await _ask_mode(visit, None, new)
    return True


async def _ask_mode(visit: Visit, account: Account | None, new: TradingMode) -> None:
    control = visit.services.control
    present = await control.modes.global_mode()
    own = await control.modes.own_modes(new) if account is None else ()
    old = present if account is None else account.trading_mode
    if old is new and not own and not await control.modes.frozen():
        whose = "All accounts are" if account is None else f"{esc(account.label)} is"
        await visit.send(Screen(f"{whose} {bold(MODE[new])} already.", command_rows("mode")))
        return
    await modes.ask_for(visit, GLOBAL if account is None else account.broker_id, new)


def _mode_rows(accounts: Sequence[Account], new: TradingMode) -> Keyboard:
    code = next(code for code, mode in MODE_CODES.items() if mode is new)
    rows = [
        (button(f"{one.short_label}: {MODE[new]}", Verb.ASK_MODE, one.broker_id, code),)
        for one in accounts[:_SHOWN]
    ]
    return (*rows, (button(f"All: {MODE[new]}", Verb.ASK_MODE, GLOBAL, code),))


async def _close(visit: Visit, wish: Wish) -> bool:
    """Ask about the position that was named, or have it chosen among those that fit."""
    shown = await visit.services.control.views.positions(None)
    held = [one for one in shown if one.quantity or any(one.owners.values())]
    known = await _accounts(visit)
    symbols = [name for name in wish.names if any(_is_symbol(one, name) for one in held)]
    others = [name for name in wish.names if name not in symbols]
    accounts, left = _named(known, others)
    if accounts and not symbols and not left:
        await panic.ask_for(visit, [one.broker_id for one in accounts])
        return True
    ids = {one.broker_id for one in accounts or known}
    fit = [
        one
        for one in held
        if one.broker_id in ids and (not symbols or any(_is_symbol(one, name) for name in symbols))
    ]
    if left and wish.is_stop and not symbols and not accounts:
        if (strategy := _strategy_in(" ".join(left), await _strategies(visit))) is None:
            return False  # "stop loss"
        await _open_strategy(visit, strategy, is_run=False)
    elif left and (strategy := _strategy_in(" ".join(left), await _strategies(visit))) is not None:
        await _open_strategy(visit, strategy, is_run=False)
    elif left and not symbols:
        words = f"No position in {esc(left[0].upper()[:20])} is open."
        more = f" {_BY_HAND}" if wish.is_sale else ""
        await visit.send(Screen(words + more, command_rows("positions")))
    elif wish.is_all and not wish.names:
        await panic.ask(visit)
    else:
        await _ask_close(visit, fit, _WHOLE if wish.is_part else "")
    return True


async def _ask_close(visit: Visit, fit: Sequence[PositionView], note: str) -> None:
    if not fit:
        await visit.send(Screen("No position is open.", command_rows("positions", "orders")))
    elif len(fit) == 1:
        await orders.ask_to_close(visit, fit[0], note)
    else:
        buttons = [position_button(one, named=True) for one in fit[:_SHOWN]]
        rows = tuple((one,) for one in buttons if one is not None)
        text = f"{note} Which one?".strip()
        await visit.send(Screen(text, (*rows, (button("Positions", Verb.POSITIONS, ALL),))))


def _is_symbol(position: PositionView, name: str) -> bool:
    """Whether a word names the instrument of a position: ``sbin``, ``nse:sbin``, ``nifty``."""
    symbol = position.instrument.symbol.casefold()
    return name in {symbol, str(position.instrument).casefold()} or (
        len(name) >= _SHORTEST and symbol.startswith(name)
    )


async def _cancel(visit: Visit, wish: Wish) -> bool:
    """Ask about the order that was named, about all, or open the account that was named."""
    if not wish.names:
        if not wish.is_all:
            return False  # "cancel" alone ends the open question
        await orders.ask_cancel_all(visit)
        return True
    working = [
        one
        for one in await visit.services.control.views.orders(None)
        if one.is_cancellable and _is_of_order(one, wish.names)
    ]
    if len(working) == 1:
        await orders.ask_to_cancel(visit, working[0])
    elif working:
        buttons = [order_button(one, named=True) for one in working[:_SHOWN]]
        rows = tuple((one,) for one in buttons if one is not None)
        await visit.send(Screen("Which one?", (*rows, (button("Orders", Verb.ORDERS, ALL),))))
    else:
        found, left = _named(await _accounts(visit), wish.names)
        if left or len(found) != 1:
            if meant_command(" ".join(wish.names)) is not None:
                return False
            words = f"No order called {esc(wish.names[0].upper()[:20])} is working. {_AT_STRATEGY}."
            await visit.send(Screen(words, command_rows("orders", "strategies")))
            return True
        visit.tap = Tap(None, (found[0].broker_id,))
        await account_pages.page(visit)
    return True


def _is_of_order(order: OrderView, names: Sequence[str]) -> bool:
    symbol = order.instrument.symbol.casefold()
    return any(
        name == symbol or (len(name) >= _SHORTEST and symbol.startswith(name)) for name in names
    )
