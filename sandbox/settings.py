"""Ways in which a simulator answers, where a client may not be ready for the true one yet.

Each setting has its values, the first of which is the default. ``POST /settings`` changes one, a
reset and a restart without ``--state`` bring the defaults back.
"""

from __future__ import annotations

from sandbox.state import State

__all__ = ["CHOICES", "SettingError", "Settings"]

CHOICES = {"kite_profit": ("published", "split")}
"""``kite_profit``: ``published`` answers as Kite does, all profit of a position in ``unrealised``
and none in ``realised``; ``split`` tells them apart, as clients wish that it did."""

_KIND = "setting"


class SettingError(ValueError):
    """A setting that there is not; the message says which there are."""


class Settings:
    """The present values, kept in the sandbox's state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __getitem__(self, name: str) -> str:
        return str(self._state.get(_KIND, name) or CHOICES[name][0])

    def change(self, name: str, value: object) -> None:
        """Change a setting.

        Raises:
            SettingError: No such setting or value.
        """
        if name not in CHOICES:
            raise SettingError(f"no setting {name!r}; there are {sorted(CHOICES)}")
        if value not in CHOICES[name]:
            raise SettingError(f"{name} must be one of {list(CHOICES[name])}")
        self._state.put(_KIND, name, value)

    def all(self) -> dict[str, str]:
        """Return every setting with its present value."""
        return {name: self[name] for name in CHOICES}
