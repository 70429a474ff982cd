"""A Bot API server with a chat page: Telegram as far as a bot and its users can see.

Any well-formed token is a bot of its own. Private chats come into being when a user writes first,
groups through the control API. State survives a restart and is cleared by a reset.
"""

from sandbox.telegram.application import TelegramWorld, build_app, control_routes, simulator_of
from sandbox.telegram.simulator import Simulator

__all__ = ["Simulator", "TelegramWorld", "build_app", "control_routes", "simulator_of"]
