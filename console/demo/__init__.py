"""The demo: the sandbox and ``saarthi run`` as child processes, and a scripted operator.

The controller is the same program that runs against the real brokers; only its settings point it at
the sandbox. The operator acts only as a user can: in the chat, and on the login pages.
"""

from __future__ import annotations

__all__: list[str] = []
