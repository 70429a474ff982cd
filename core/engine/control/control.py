"""The facade for the bot and the web server: commands in, views out.

Every command carries a ``Command``: who asks, and an id that makes it take effect at most once
(I9); a repeated id raises ``AlreadyDone``. A person's mistake raises ``UserError`` with one
sentence and changes nothing. No view holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.domain.account import Account, AccountDraft, DisablePolicy
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.views import (
    DashboardView,
    DrainView,
    ExposureView,
    HealthView,
    LoginOffer,
    ModeChange,
    OrderView,
    PnlView,
    PositionView,
    Readiness,
    RunView,
    SizeKind,
    StrategyView,
    TradeView,
)

__all__ = ["Command", "Control"]


@dataclass(frozen=True, slots=True)
class Command:
    """One wish of a person.

    Attributes:
        id: Unique to the wish: a button's nonce, or ``bot_id:update_id`` of a message.
        user_id: Telegram user.
        chat_id: Where to answer.
    """

    id: str
    user_id: int
    chat_id: int


class Control(Protocol):
    """Everything that a person can see or do."""

    async def accounts(self) -> tuple[Account, ...]:
        """Return the connected accounts, default first, then by name."""
        ...

    async def account(self, broker_id: str) -> Account:
        """Return one account; raises ``NotFound``."""
        ...

    async def check_name_is_free(self, name: str, *, besides: str | None = None) -> None:
        """Raise ``UserError`` when another account has this display name (letter case ignored)."""
        ...

    async def check_key_is_free(self, draft_key: str, broker_type: str) -> str:
        """Return a hint when this API key is connected already (a family may share it), or ''."""
        ...

    async def add_account(self, command: Command, draft: AccountDraft) -> Account:
        """Connect an account: disabled, mode NORMAL, default when it is the first."""
        ...

    async def rename(self, command: Command, broker_id: str, name: str) -> Account:
        """Change the display name."""
        ...

    async def set_default(self, command: Command, broker_id: str) -> Account:
        """Move the default mark."""
        ...

    async def exposure(self, broker_id: str) -> ExposureView:
        """Return what hangs on an account, read fresh from the broker where possible."""
        ...

    async def enable(self, command: Command, broker_id: str) -> Account:
        """Let strategies run on it from the very next run."""
        ...

    async def disable(
        self, command: Command, broker_id: str, policy: DisablePolicy | None
    ) -> Account:
        """Stop strategies on it; raises ``ChoiceNeeded`` when they hold positions and no policy."""
        ...

    async def disconnect(self, command: Command, broker_id: str) -> Account:
        """Log out, wipe the secrets, keep the history (A8)."""
        ...

    async def global_mode(self) -> TradingMode:
        """Return the global mode."""
        ...

    async def set_mode(
        self, command: Command, mode: TradingMode, broker_id: str | None
    ) -> ModeChange:
        """Set an account's mode, or the global one with ``broker_id`` None."""
        ...

    async def drain(self) -> tuple[DrainView, ...]:
        """Return the drain view of every account whose effective mode is EXIT_ONLY."""
        ...

    async def login_offer(self, broker_id: str) -> LoginOffer:
        """Return how to log an account in; without a public URL a fresh broker address (B4)."""
        ...

    async def accounts_needing_login(self) -> tuple[Account, ...]:
        """Return enabled or default accounts, then others, whose token has expired."""
        ...

    async def paste_login(self, command: Command, text: str, broker_id: str | None) -> Account:
        """Complete a login from a pasted address or code.

        Raises:
            UserError: The text is neither.
            LoginRefused: The login failed.
        """
        ...

    async def dismiss_warning(self, command: Command) -> None:
        """Silence the standing token warning until a new expiry."""
        ...

    async def readiness(self) -> tuple[Readiness, ...]:
        """Return the readiness line of each account (B9)."""
        ...

    async def start_morning_round(self, command: Command) -> tuple[Account, ...]:
        """Post the /login card to the chat (as a notice that is edited as logins complete)."""
        ...

    async def dashboard(self, broker_id: str, *, fresh: bool = False) -> DashboardView:
        """Return one account's dashboard; ``fresh`` reads the broker first, within a deadline."""
        ...

    async def positions(self, broker_id: str | None) -> tuple[PositionView, ...]:
        """Return open positions of one account or of all."""
        ...

    async def orders(self, broker_id: str | None) -> tuple[OrderView, ...]:
        """Return today's orders, newest first."""
        ...

    async def order(self, client_order_id: str) -> OrderView:
        """Return one order of the journal; raises ``NotFound``."""
        ...

    async def trades(self, broker_id: str | None) -> tuple[TradeView, ...]:
        """Return today's trades, newest first."""
        ...

    async def pnl(self, broker_id: str | None) -> tuple[PnlView, ...]:
        """Return today's profit by account."""
        ...

    async def close_position(
        self, command: Command, broker_id: str, position_key: str, *, despite_pause: bool = False
    ) -> OrderView:
        """Close one position with a market order.

        Raises:
            ChoiceNeeded: The account is PAUSED and ``despite_pause`` is False.
            UserError: Denied, with the reason.
        """
        ...

    async def cancel_order(self, command: Command, broker_id: str, order_key: str) -> OrderView:
        """Ask the broker to cancel an order; raises ``UserError`` when it is final already."""
        ...

    async def resolve_order(
        self, command: Command, client_order_id: str, *, was_placed: bool
    ) -> OrderView:
        """Take a person's word for an unresolved order (R4): only "not placed" after a look."""
        ...

    async def strategies(self) -> tuple[StrategyView, ...]:
        """Return all strategies."""
        ...

    async def strategy(self, name: str) -> StrategyView:
        """Return one strategy; raises ``NotFound``."""
        ...

    async def set_strategy_enabled(self, command: Command, name: str, *, enabled: bool) -> None:
        """Enable or disable a strategy for scheduled runs."""
        ...

    async def set_parameter(self, command: Command, name: str, parameter: str, text: str) -> None:
        """Change one parameter, checked; takes effect at the next run."""
        ...

    async def set_assignment(
        self,
        command: Command,
        name: str,
        broker_id: str,
        *,
        is_on: bool | None = None,
        product: Product | None = None,
        size_kind: SizeKind | None = None,
        size_value: Decimal | None = None,
        multiplier: Decimal | None = None,
    ) -> None:
        """Change how a strategy runs on an account; None leaves a field as it is."""
        ...

    async def run_now(self, command: Command, name: str) -> str:
        """File an extra run of a strategy at once; return its run id."""
        ...

    async def run(self, run_id: str) -> RunView:
        """Return one run; raises ``NotFound``."""
        ...

    # The house
    async def health(self) -> HealthView:
        """Return how the controller does."""
        ...

    async def settings(self) -> Mapping[str, str]:
        """Return changeable settings with their present values, as texts."""
        ...

    async def set_setting(self, command: Command, name: str, text: str) -> None:
        """Change one setting (data account, capital, warning interval); raises ``UserError``."""
        ...
