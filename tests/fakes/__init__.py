"""Hand-written fakes of the ports, each of a few lines."""
