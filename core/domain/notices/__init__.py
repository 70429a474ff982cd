"""Notices: what the engine reports to the user, as typed data; the bot turns them into words (E5).

To add one: a frozen dataclass with its stored ``kind`` in the module of its topic, its name in that
topic's union, a ``case`` in ``bot/notices/``, a row in ``docs/operations.md``. mypy names the
missing ``case``, the tests name the rest.
"""
