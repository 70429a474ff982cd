"""The controller, with no door to the outside.

Drivers (the bot, the web server) call ``core.engine.control.control``; the outside world is reached
through the ports, which ``core.bootstrap`` fills with adapters.
"""
