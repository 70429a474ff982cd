"""The use cases of the controller: they know the domain and the ports, and no adapter.

What the drivers may ask for is ``core.engine.control.control``.
"""
