"""Workers: one task per account, their supervision, and the lease."""
