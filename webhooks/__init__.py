"""The web server: login pages, broker callbacks, postbacks and health.

It serves these routes only, and reaches the engine through the services that ``console.process``
gives it.
"""
