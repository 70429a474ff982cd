"""The demo: the sandbox and ``saarthi run`` as child processes, and an operator who plays a person.

Nothing of the product is built in here: the controller is the very program that runs against the
real brokers, told by its settings to talk to the sandbox. The operator acts only as a person can:
in the chat, and on the login pages.
"""

from __future__ import annotations

__all__: list[str] = []
