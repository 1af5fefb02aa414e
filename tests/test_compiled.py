"""Compiled functions: the same result whoever calls them, compiled no more often than needed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ftbt.compiled import borrowing, compiled

STATE = np.dtype([("sum", "f8"), ("count", "i8")])


@compiled
def scaled(value, sign):  # type: ignore[no-untyped-def]
    """A part that others call with literal numbers."""
    return sign * value * 0.1


@compiled
def both(value):  # type: ignore[no-untyped-def]
    """Calls a part with three different literals."""
    return scaled(value, 1), scaled(value, -1), scaled(value, 7)


@compiled
def step(state, value):  # type: ignore[no-untyped-def]
    """One step of a state."""
    state.sum += scaled(value, 3) + state.sum * 0.7
    state.count += 1


@compiled
def run(state, values):  # type: ignore[no-untyped-def]
    """The loop over the step."""
    for i in range(values.shape[0]):
        step(state, values[i])


@borrowing
def total(parts, first, stop):  # type: ignore[no-untyped-def]
    """A part that is handed arrays."""
    one, other = parts
    found = 0.0
    for i in range(first, stop):
        if one[i] < 0.0:
            return found
        found += one[i] * other[i]
    return found


@compiled
def totals(one, other, out):  # type: ignore[no-untyped-def]
    """Hands its arrays on at each step."""
    for i in range(out.shape[0]):
        out[i] = total((one, other[i:]), 0, one.shape[0] - i)


def _parts(function: Any) -> int:
    """How often *function* was compiled as a part of others."""
    return len(function.get_overload.__self__.overloads)


def test_a_part_is_compiled_once_for_all_literal_numbers() -> None:
    """Three calls with three literals need one compilation, and each gets its own result."""
    assert both(2.0) == (scaled(2.0, 1), scaled(2.0, -1), scaled(2.0, 7))
    assert _parts(scaled) == 1


def test_a_step_gives_the_same_bits_from_python_and_inside_a_loop() -> None:
    """The step that Python calls and the one inside the loop are compiled apart, and agree."""
    values = np.random.default_rng(1).standard_normal(1000)
    looped, stepped = np.zeros(1, STATE), np.zeros(1, STATE)
    run(looped[0], values)
    for value in values:
        step(stepped[0], value)
    assert looped.tobytes() == stepped.tobytes()
    assert looped["count"] == 1000
    again = np.zeros(1, STATE)
    run(again[0], values)  # after Python has called the step
    assert again.tobytes() == looped.tobytes()


def test_arrays_that_are_borrowed_are_owned_as_before() -> None:
    """A part that does not count owners gives the same numbers and leaves every count as it was."""
    one, other, out = np.arange(1.0, 9.0), np.arange(8.0), np.zeros(8)
    arrays = (one, other, out)
    totals(*arrays)
    gc.collect()
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(100):
        totals(*arrays)
    assert [sys.getrefcount(array) for array in arrays] == before
    assert out.tolist() == [float(one[: 8 - i] @ other[i:]) for i in range(8)]
    assert total((one, other), 0, 8) == out[0]


_PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from pairs import outer, part
print(outer(3.0), part(3.0, 2), outer.signatures != [], list(outer.stats.cache_hits.values()))
"""
_PAIRS = """
from ftbt.compiled import compiled

@compiled
def part(value, factor):
    return value * factor

@compiled
def outer(value):
    return part(value, 2) + part(value, 5)
"""


def _run(tmp_path: Path, **variables: str) -> str:
    (tmp_path / "pairs.py").write_text(_PAIRS, encoding="utf-8")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), **variables}
    program = _PROGRAM.format(folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_what_python_calls_is_kept_on_disk(tmp_path: Path) -> None:
    """The second process finds both functions that Python calls, and gets the same results."""
    assert _run(tmp_path) == "21.0 6.0 True []"
    kept = sorted(path.name.split(".")[1].split("-")[0] for path in tmp_path.rglob("*.nbc"))
    assert kept == ["outer", "part"]
    assert _run(tmp_path) == "21.0 6.0 True [1]"


def test_functions_stay_plain_when_compilation_is_switched_off(tmp_path: Path) -> None:
    """NUMBA_DISABLE_JIT=1 leaves Python functions, for a debugger to step through."""
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import pairs; print(pairs.outer)"
    (tmp_path / "pairs.py").write_text(_PAIRS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("<function outer")


_TWO_RECORDS = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from kept_function import second
RECORDS = {"one": np.dtype([("a", "f8"), ("b", "i8"), ("c", "f8")]),
           "other": np.dtype([("c", "f8"), ("a", "f8"), ("b", "i8")])}
for name in sys.argv[2:]:
    record = np.zeros(1, RECORDS[name])
    record["b"], record["a"], record["c"] = 7, 0.5, 0.25
    print(second(record[0]))
"""
_KEPT_FUNCTION = """
from ftbt.compiled import compiled

@compiled
def inner(p, n):  # long enough to stay a function of its own
    total = 0.0
    for i in range(n):
        for j in range(i, n):
            if (i * j) % 7 == 3:
                total += p.c * (p.b + i) - p.a * j
            elif (i + j) % 5 == 1:
                total -= p.c * p.a * (i - j) + p.b
            else:
                total *= 1.0 - p.c * 1e-3
    return total

@compiled
def second(p):
    return inner(p, 9) + inner(p, 17) + inner(p, int(p.b))
"""


def test_code_kept_by_two_processes_is_told_apart_by_a_third(tmp_path):
    """Functions compiled for two record types in two processes both read their own fields."""
    (tmp_path / "kept_function.py").write_text(_KEPT_FUNCTION)
    script = tmp_path / "two_records.py"
    script.write_text(_TWO_RECORDS)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}

    def told(*names):
        command = [sys.executable, str(script), str(tmp_path), *names]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return [float(line) for line in done.stdout.split()]

    alone = told("one")
    assert alone == told("other") != [0.0]
    assert told("one", "other") == told("other", "one") == alone * 2
