"""Benchmarks: what is claimed about speed and honesty, measured. Run them with `make bench`."""
