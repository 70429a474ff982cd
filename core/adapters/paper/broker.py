"""Everything about paper accounts, built once a process."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from core.adapters.paper.book import Book
from core.adapters.paper.client import PaperClient
from core.adapters.paper.desk import Desk
from core.adapters.paper.money import used
from core.adapters.paper.practice import PaperMarket
from core.adapters.paper.profile import PAPER_PROFILE
from core.adapters.paper.quotes import Quotes
from core.adapters.paper.state import State, forget, write
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId
from core.domain.sessions import trading_day
from core.errors import (
    BrokerReadError,
    LeaseLost,
    LoginFault,
    LoginRefused,
    ReadFault,
    StoreError,
    UserError,
)
from core.ports.broker import (
    BrokerClient,
    Credentials,
    FactsSource,
    InstrumentSource,
    LoginGrant,
    LoginPort,
)
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.paper import PaperPriceSource
from core.ports.store import Store, StoreView

__all__ = ["PaperBroker"]

_log = logging.getLogger(__name__)
_EVERY_S = 2.0
_KEEP_PRICES_EVERY_S = 60.0


class PaperBroker:
    """A ``Broker`` that fills orders itself.

    Args:
        clock: Its market time is the exchange's.
        store: Where the books are kept.
        calendar: When the exchange trades.
        prices: The data account's prices; nothing else of it can be reached from here. While no
            account is connected that could give any, they are made up.
    """

    profile: ClassVar[BrokerProfile] = PAPER_PROFILE

    def __init__(
        self, clock: Clock, store: Store, calendar: Calendar, prices: PaperPriceSource
    ) -> None:
        self._clock = clock
        self._store = store
        self._calendar = calendar
        self._market = PaperMarket(clock, calendar, prices)
        self._quotes = Quotes(clock, self._market)
        self._desks: dict[str, Desk] = {}
        self._kept_at = float("-inf")
        self._said: dict[str, str] = {}
        self.login: LoginPort = _NoLogin()
        self.instruments: InstrumentSource = _Borrowed()
        self.exchange_facts: FactsSource | None = None

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account."""
        desk = self._desk(credentials.broker_id)
        desk.known = master.get
        return PaperClient(desk, self._quotes, self._market, master)

    def _desk(self, broker_id: str) -> Desk:
        if broker_id not in self._desks:
            self._desks[broker_id] = Desk(
                broker_id,
                store=self._store,
                clock=self._clock,
                calendar=self._calendar,
                quotes=self._quotes,
                market=self._market,
            )
        return self._desks[broker_id]

    # The exchange

    async def run(self) -> None:
        """Look at prices, for ever, while any account has orders or intraday positions."""
        while True:
            try:
                await self.tick()
            except StoreError as error:
                _log.warning("paper accounts: the store is away: %s", error)
            await self._clock.sleep(_EVERY_S)

    async def tick(self) -> None:
        """Look at prices once, one request for all accounts."""
        wanted: set[InstrumentId] = set()
        if not self._desks:
            return
        now, is_practice = self._clock.monotonic(), await self._market.is_practice()
        keeps = now - self._kept_at >= _KEEP_PRICES_EVERY_S
        at_work: list[Desk] = []
        troubles: list[StoreError] = []
        for desk in list(self._desks.values()):  # an account may be connected meanwhile
            with self._apart(desk, troubles):
                names, is_working = await desk.names()
                if is_working or (names and keeps):
                    wanted |= names
                    at_work.append(desk)
        if at_work:
            await self._look(at_work, wanted, troubles, is_practice=is_practice, keeps=keeps)
        if troubles:
            raise troubles[0]

    async def _look(
        self,
        at_work: list[Desk],
        wanted: set[InstrumentId],
        troubles: list[StoreError],
        *,
        is_practice: bool,
        keeps: bool,
    ) -> None:
        try:
            quotes = await self._quotes.of(wanted, _EVERY_S / 2) if wanted else {}
        except BrokerReadError as error:
            _log.warning("paper accounts: no prices: %s", error)
            quotes = {}
        if keeps and quotes:
            self._kept_at = self._clock.monotonic()
        for desk in at_work:
            with self._apart(desk, troubles):
                await desk.look(quotes, is_practice=is_practice, keep_prices=keeps)
                self._said.pop(desk.broker_id, None)

    @contextmanager
    def _apart(self, desk: Desk, troubles: list[StoreError]) -> Iterator[None]:
        """Keep one account's failure from the others: the store's is raised later, others said."""
        try:
            yield
        except LeaseLost:
            raise
        except StoreError as error:
            troubles.append(error)
        except Exception as error:  # noqa: BLE001 - logged, and the next account is looked at
            said = f"{type(error).__name__}: {error}"
            if self._said.get(desk.broker_id) != said:
                # Once, not at every look: it may come with each price from now on.
                self._said[desk.broker_id] = said
                _log.exception("paper account %s could not be looked at", desk.broker_id)

    # Money

    async def open_account(self, view: StoreView, broker_id: str, funds: Decimal) -> None:
        """Begin an account's books with some money, inside the transaction that connects it."""
        day = trading_day(self._clock.market_now())
        await write(view, broker_id, Book(day, funds, funds))

    async def close_account(self, view: StoreView, broker_id: str) -> None:
        """Forget an account's books, inside the transaction that disconnects it."""
        await forget(view, broker_id)

    async def set_funds(self, broker_id: str, amount: Decimal, *, nonce: str) -> None:
        """Give an account so much money, what its positions block included.

        Raises:
            AlreadyDone: ``nonce`` took effect before.
            UserError: Its positions and orders block more than that.
        """
        desk = self._desk(broker_id)

        def change(state: State) -> None:
            blocked = used(state.book, state.working, desk.known)
            if amount < blocked:
                raise UserError(
                    f"Its positions and orders block ₹{blocked:,.0f}; expected at least that much."
                )
            state.book = replace(state.book, cash=amount, opening=amount)

        await desk.change(change, nonce=nonce)


class _NoLogin:
    """A ``LoginPort`` of which nothing is ever asked."""

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        """Refuse: there is nothing to log in to."""
        del credentials, nonce, redirect_url
        raise UserError("A paper account needs no login.")

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        """There is no key to know."""
        del credentials, redirect_url
        return True

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        """Refuse: there is nothing to log in to."""
        del credentials, code, redirect_url
        raise LoginRefused(LoginFault.MALFORMED, "a paper account needs no login")


class _Borrowed:
    """An ``InstrumentSource`` without a list: paper accounts trade by the data account's."""

    async def load(self) -> Sequence[Instrument]:
        """Refuse: another broker's list is used."""
        raise BrokerReadError(ReadFault.REFUSED, "a paper account has no instruments of its own")
