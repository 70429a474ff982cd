"""The Telegram chat and the ``saarthi`` command: drivers of the controller.

They speak to ``core.engine.control`` and hold no trading logic of their own.
"""
