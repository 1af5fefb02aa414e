"""Limits and sizes: the same functions in back-test and live."""
