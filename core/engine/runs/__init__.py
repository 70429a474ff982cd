"""Runs: strategy settings, market data, planning, the runner and the scheduler."""
