"""Run folders: the same content gives the same bytes, and damage is told."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ftbt.errors import StorageError
from ftbt.walkforward.frames import moments
from ftbt.walkforward.result import FORMAT
from ftbt.walkforward.store import load_run, read_frame, read_manifest, write_frame, write_json


def frame() -> pd.DataFrame:
    """Return a frame of every kind of column."""
    return pd.DataFrame(
        {
            "time": moments([0, 86_400_000]),
            "number": np.array([1, 2], dtype=np.int64),
            "value": [0.1, math.nan],
            "word": pd.Series(["a", ""], dtype="str"),
            "flag": [True, False],
        }
    )


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    """Types and values, aware times in milliseconds."""
    write_frame(tmp_path / "x.parquet", frame())
    found = read_frame(tmp_path / "x.parquet")

    pd.testing.assert_frame_equal(found, frame())
    assert str(found.dtypes["time"]) == "datetime64[ms, UTC]"


def test_equal_frames_are_equal_bytes(tmp_path: Path) -> None:
    """Written twice, also without a row."""
    for name, content in (("x", frame()), ("empty", frame().iloc[:0])):
        write_frame(tmp_path / f"{name}1", content)
        write_frame(tmp_path / f"{name}2", content.copy())
        one, two = (tmp_path / f"{name}1", tmp_path / f"{name}2")
        assert one.read_bytes() == two.read_bytes()
        pd.testing.assert_frame_equal(read_frame(one), content)


@dataclass(frozen=True)
class Plain:
    """Something to write."""

    number: float
    items: tuple[int, ...]


def test_json_has_no_nan_and_a_fixed_order(tmp_path: Path) -> None:
    """Any program can read it."""
    write_json(tmp_path / "x.json", Plain(math.inf, (2, 1)))

    assert (tmp_path / "x.json").read_text() == (
        '{\n  "items": [\n    2,\n    1\n  ],\n  "number": null\n}\n'
    )
    write_json(tmp_path / "y.json", {"b": np.float64(1.5), "a": np.int64(2), "c": np.bool_(True)})
    assert json.loads((tmp_path / "y.json").read_text()) == {"a": 2, "b": 1.5, "c": True}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no run folder: it has no manifest.json"),
        ("{", "cannot be read; run again with --force"),
        ('{"format": 99}', r"written by another version of ftbt \(format 99"),
        ('{"format": 1}', r"written by another version of ftbt \(format 1, this one reads 2\)"),
        (f'{{"format": {FORMAT}}}', "cannot be read"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    """A folder without a manifest, a damaged one, another version's."""
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(StorageError, match=message):
        read_manifest(tmp_path)
    with pytest.raises(StorageError, match=message):
        load_run(tmp_path)


def test_a_damaged_frame_is_told(tmp_path: Path) -> None:
    """By its name, with the way out."""
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")

    with pytest.raises(StorageError, match=r"x\.parquet cannot be read .* run again with --force"):
        read_frame(tmp_path / "x.parquet")
