"""The ``saarthi`` command: run, demo, live, doctor, rotate-key, calendar import."""
