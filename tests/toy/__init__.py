"""A third broker, complete and made up: the example that docs/adding-a-broker.md follows.

``adapter`` is its folder under ``core/adapters`` and ``simulator`` its folder under ``sandbox``. The
test (tests/e2e/test_adding_a_broker.py) puts both into a copy of the repository, adds the lines that
the guide names, and runs ``journey`` there.
"""
