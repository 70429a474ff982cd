"""Kite's account routes: funds, holdings, positions and their conversion."""

from aiohttp import web

from sandbox.account_reads import AccountReads
from sandbox.accounts import Session
from sandbox.kite.middleware import SESSION
from sandbox.kite.responses import KiteError, success
from sandbox.kite.serializers import holding_row, margins, position_rows
from sandbox.portfolio import Portfolio
from sandbox.world import World

__all__ = ["PortfolioRoutes"]

_PRODUCTS = {"CNC", "MIS", "NRML", "MTF"}


class PortfolioRoutes:
    """The account routes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reads = AccountReads(world, "kite")

    def _portfolio(self, request: web.Request) -> Portfolio:
        session: Session = request[SESSION]
        return self._reads.view(request, session.api_key, session.user_id).portfolio()

    async def margins(self, request: web.Request) -> web.Response:
        """Return the funds, of both segments or of one."""
        session: Session = request[SESSION]
        data = margins(self._world.exchange.portfolio("kite", session.user_id))
        segment = request.match_info.get("segment")
        if segment is None:
            return success(data)
        if segment not in data:
            raise KiteError("InputException", "Invalid `segment`.")
        return success(data[segment])

    async def holdings(self, request: web.Request) -> web.Response:
        """List the delivery holdings."""
        market = self._world.market
        now = self._world.clock.now()
        rows = []
        for holding in self._portfolio(request).holdings():
            instrument = market.find(holding.symbol)
            if instrument is not None:
                last = market.last_price(instrument, now)
                close = market.previous_close(instrument, now)
                rows.append(holding_row(holding, instrument, last, close, now.date()))
        return success(rows)

    async def positions(self, request: web.Request) -> web.Response:
        """List net positions and today's."""
        world = self._world
        is_split = world.settings["kite_profit"] == "split"
        portfolio = self._portfolio(request)
        return success(position_rows(portfolio, world.market, world.clock.now(), is_split=is_split))

    async def convert(self, request: web.Request) -> web.Response:
        """Change the product of a position."""
        session: Session = request[SESSION]
        form = {name: str(value) for name, value in (await request.post()).items()}
        old, new = form.get("old_product", ""), form.get("new_product", "")
        text = form.get("quantity", "")
        if not {old, new} <= _PRODUCTS or old == new or not text.isdecimal():
            raise KiteError("InputException", "Invalid `old_product`, `new_product` or `quantity`.")
        sign = 1 if form.get("transaction_type") == "BUY" else -1
        account = ("kite", session.user_id)
        symbol = form.get("tradingsymbol", "")
        self._world.exchange.convert(account, symbol, sign * int(text), old, new)
        return success(data=True)
