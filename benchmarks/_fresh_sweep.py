"""A process that does nothing but the sweep: `python -m benchmarks._fresh_sweep bars.npy`."""

from __future__ import annotations

import json
import sys

import numpy as np

from benchmarks._bracketed_market import SETTINGS, SWEEP, market, strategy
from ftbt.backtest.engine import run_backtest


def main(file: str) -> None:
    """Print the number of sets and the sum and the best of their final equity."""
    traded, cls = market(np.load(file)), strategy().load()
    final = [
        float(run_backtest(cls, traded, values, SETTINGS, engine="compiled").equity[-1])
        for values in SWEEP
    ]
    print(json.dumps({"columns": len(final), "sum": sum(final), "best": max(final)}))


if __name__ == "__main__":
    main(sys.argv[1])
