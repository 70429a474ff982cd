"""Trading strategies: small pure classes that compute targets from market data.

A strategy uses ``core.domain`` only: no broker, no account, no clock, no I/O.
"""
