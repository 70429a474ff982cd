"""The web server: login pages, broker callbacks, postbacks and health.

It serves its own routes only and drives the controller through ``core.engine.control.control``.
"""
