"""What the controller needs from the outside, as small protocols.

A port's docstring is its contract: durability, concurrency, ordering, and what is not promised.
"""
