"""Drawings of the report: plain arrays in, a matplotlib figure out, one per layout."""
