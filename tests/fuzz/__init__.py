"""Fuzzing of every reader of what strangers may hand over; see `tests.fuzz.__main__`."""
