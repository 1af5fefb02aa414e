"""Whole pipelines on made-up markets: how often is each verdict right?

`python -m calibration` (or `make calibrate`) makes markets without an edge and with a planted one,
runs the real walk-forward and the real assessment on each, and counts the verdicts. What came out
stands in `docs/reference/calibration.md`.
"""
