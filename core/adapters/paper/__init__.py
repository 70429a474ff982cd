"""Paper accounts: no broker, but a cautious exchange that fills orders at real prices (row F6).

Nothing here opens a connection: prices come through the port of market data, and what is kept goes
through the port of the store. ``desk.py`` is the one account's books, ``matching.py`` decides what
fills, ``rules.py`` what is refused, ``money.py`` what it costs.
"""

from core.adapters.paper.broker import PaperBroker
from core.adapters.paper.profile import PAPER_PROFILE

__all__ = ["PAPER_PROFILE", "PaperBroker"]
