"""The outside world behind the ports, one folder for each outside thing.

An adapter implements a port and never imports another broker's adapter.
"""
