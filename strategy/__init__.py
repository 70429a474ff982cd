"""Trading strategies: small pure classes that turn what they see into targets.

A strategy sees ``core.domain`` only: no broker, no account, no clock, no I/O.
"""
