"""The suite's date-sensitive part on other days and in other zones: ``make test-dates``."""
