"""The tests of Saarthi; ``make test`` runs all of them."""
