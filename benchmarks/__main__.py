"""`python -m benchmarks [name ...]`: run the benchmarks in turn, say what came out, keep it.

Writes `results/bench.json`. Exit codes: 0 every target is met; 1 a target is missed or a benchmark
broke; 2 there is no benchmark of that name.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.common import NotMeasured, Row
from ftbt import __version__
from ftbt.data.files import atomic_write
from ftbt.errors import did_you_mean

RESULT = Path("results") / "bench.json"


def names() -> list[str]:
    """Return the benchmarks of this folder."""
    helpers = {"__init__", "__main__", "common"}
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if name not in helpers and not name.startswith("_"))


def measure(name: str) -> tuple[list[Row], str]:
    """Return the rows of benchmark *name*, and why there are none."""
    try:
        rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run()
    except NotMeasured as error:
        return [], f"not measured: {error}"
    except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others
        traceback.print_exc()
        return [], "broken, see the lines above"
    return rows, ""


def measure_apart(name: str) -> tuple[list[Row], str]:
    """Return what `measure` does, from a process of its own.

    One that has assessed a walk-forward before is slower at the next thing: its memory lies in
    pieces.
    """
    # By the name under which the other process finds it too.
    function = importlib.import_module("benchmarks.__main__").measure
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found: tuple[list[Row], str] = pool.submit(function, name).result()
    return found


def show(row: Row) -> str:
    """Return *row* as one line for people, and how it was measured under it."""
    figure = "n/a" if math.isnan(row.figure) else f"{row.figure:,.4g} {row.unit}".strip()
    verdict = {True: "met", False: "MISSED", None: "not measured"}[row.met]
    target = f"  (target: {row.target}: {verdict})" if row.target else ""
    how = f"\n      {row.how}" if row.how else ""
    return f"  {row.name}: {figure}{target}{how}"


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "ftbt": __version__,
    }


def main(asked: Sequence[str], measured: Callable[[str], tuple[list[Row], str]] = measure) -> int:
    """Run the benchmarks *asked* for, or all, and return the exit code."""
    known = names()
    for name in asked:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are: {', '.join(known) or 'none'}"
            print(f"error: no benchmark {name!r}{hint}", file=sys.stderr)
            return 2
    found, failed = {}, False
    for name in asked or known:
        print(f"{name} ...", flush=True)
        began = time.perf_counter()
        rows, problem = measured(name)
        took = time.perf_counter() - began
        for row in rows:
            print(show(row), flush=True)
        print(f"  {problem or 'done'} ({took:.0f} s)", flush=True)
        failed |= problem.startswith("broken") or any(row.met is False for row in rows)
        found[name] = {
            "rows": [row.as_dict() for row in rows],
            "problem": problem,
            "seconds": round(took, 1),
        }
    result = {"machine": machine(), "benchmarks": found}
    atomic_write(RESULT, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(RESULT)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], measure_apart))
