"""Orders: checks, gate, journal, gateway, executor and reconciliation of one account."""
