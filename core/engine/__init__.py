"""The use cases of the controller: they know the domain and the ports, and no adapter.

The facade for the drivers is ``core.engine.control.control``.
"""
