"""The methods of ``FakeControl`` by subject, as the services of the real control have them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from core.engine.control.control import Control
from tests.fakes.control import FakeControl

__all__ = ["services_of"]


def services_of(fake: FakeControl) -> Control:
    """Return the services that a bot works with."""
    found: dict[str, Any] = {
        "accounts": SimpleNamespace(
            all=fake.accounts,
            get=fake.account,
            check_name_is_free=fake.check_name_is_free,
            rename=fake.rename,
            set_default=fake.set_default,
        ),
        "registration": SimpleNamespace(
            check_key=fake.check_key_is_free, add=fake.add_account, disconnect=fake.disconnect
        ),
        "switch": SimpleNamespace(enable=fake.enable, disable=fake.disable),
        "modes": SimpleNamespace(global_mode=fake.global_mode, set=fake.set_mode),
        "logins": SimpleNamespace(
            offer=fake.login_offer, paste=fake.paste_login, start_round=fake.start_morning_round
        ),
        "tokens": SimpleNamespace(dismiss_warning=fake.dismiss_warning),
        "views": SimpleNamespace(
            dashboard=fake.dashboard,
            positions=fake.positions,
            orders=fake.orders,
            order=fake.order,
            trades=fake.trades,
            pnl=fake.pnl,
            exposure=fake.exposure,
            drain=fake.drain,
            run=fake.run,
        ),
        "orders": SimpleNamespace(
            close=fake.close_position, cancel=fake.cancel_order, resolve=fake.resolve_order
        ),
        "strategies": SimpleNamespace(all=fake.strategies, get=fake.strategy),
        "strategy_settings": SimpleNamespace(
            set_enabled=fake.set_strategy_enabled,
            set_parameter=fake.set_parameter,
            assign=fake.set_assignment,
        ),
        "runs": SimpleNamespace(file=fake.run_now),
        "settings": SimpleNamespace(all=fake.settings, set=fake.set_setting),
        "health": SimpleNamespace(read=fake.health, readiness=fake.readiness),
    }
    return Control(**found)
