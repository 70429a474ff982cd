"""The language of the controller: frozen values and pure functions.

Nothing here does I/O, reads a clock or knows asyncio, so everything here can be tested by value.
"""
