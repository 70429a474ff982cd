"""Measurements beside a peer of the same run; ``python -m tests.bench`` makes and prints them."""
