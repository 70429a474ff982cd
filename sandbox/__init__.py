"""Loopback simulators of the outside world: an exchange, brokers and a chat service.

The package imports nothing of the controller, so that the two cannot share a misreading of the
outside systems. Start it with ``python -P -m sandbox``; any program may use it.
"""
