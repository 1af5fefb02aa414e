"""The run folder: which files it has, how they are written (same content, same bytes) and read.

results/<run id>/
    manifest.json          what determines the result
    summary.json           the figures; written last, so its presence means: complete
    windows.parquet  trials.parquet  trial_returns.parquet
    equity.parquet   in_sample.parquet  trades.parquet
    timing.json            the only file that differs between two executions
    work/                  while it runs: one folder per window (checkpoints, progress)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from ftbt.data.files import atomic_with, atomic_write
from ftbt.errors import StorageError
from ftbt.walkforward.result import FORMAT, Manifest, Run, Summary, Timing

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
TIMING = "timing.json"
FRAMES = ("windows", "trials", "trial_returns", "equity", "in_sample", "trades")
# Files that may differ between two executions of the same run.
VOLATILE = (TIMING,)

# Of a part of the result; None there means: all together.
_NAMES = ("strategy", "symbol")

T = TypeVar("T")


def write_json(path: Path, value: Any) -> None:
    """Write *value* (a dataclass or plain values) as sorted, indented JSON; NaN becomes null."""
    plain = value if isinstance(value, dict | list) else asdict(value)
    text = json.dumps(_finite(plain), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    atomic_write(path, text + "\n")


def _finite(value: Any) -> Any:
    """Return *value* with JSON's types only: numpy scalars unpacked, NaN and inf as None."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write *frame* as Parquet (zstd); equal frames give equal bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # pandas' own metadata names its version and nothing that the column types do not say.
    table = table.replace_schema_metadata(None)
    atomic_with(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_frame(path: Path) -> pd.DataFrame:
    """Return the frame of *path*.

    Raises:
        StorageError: when the file is missing or damaged.
    """
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(f"{path} cannot be read ({reason}); run again with --force") from error
    return frame


def read_json(path: Path, kind: type[T]) -> T:
    """Return the dataclass *kind* that `write_json` wrote to *path*.

    Raises:
        StorageError: when the file is missing, damaged or of another version of ftbt.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(kind).validate_python(_none_to_nan(plain, kind))
    except (OSError, ValueError, ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(f"{path} cannot be read ({reason}); run again with --force") from error


def _none_to_nan(plain: Any, kind: type[Any]) -> Any:
    """Give evidence and parts their NaN back: JSON has none, and `null` is no number."""
    if kind is not Summary:
        return plain

    def back(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: math.nan if value is None and name not in _NAMES else value
            for name, value in table.items()
        }

    return {
        **plain,
        "evidence": back(plain["evidence"]),
        "parts": [back(part) for part in plain["parts"]],
    }


def is_complete(folder: Path) -> bool:
    """Return whether *folder* holds a finished run."""
    return (folder / SUMMARY).is_file()


def is_started(folder: Path) -> bool:
    """Return whether *folder* holds a run, finished or not."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run folder, finished or not.

    Raises:
        StorageError: when there is none, or it is of another version of ftbt.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StorageError(f"{folder} is no run folder: it has no {MANIFEST}")
    found = _format_of(path)
    if found != FORMAT:
        raise StorageError(
            f"{folder} was written by another version of ftbt (format {found}, this one reads"
            f" {FORMAT}); run it again"
        )
    return read_json(path, Manifest)


def _format_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("format")
    except (OSError, ValueError, AttributeError) as error:
        raise StorageError(f"{path} cannot be read; run again with --force") from error


def load_run(folder: Path) -> Run:
    """Return the finished run in *folder*.

    Raises:
        StorageError: when there is no run, it is unfinished, damaged, or of another version.
    """
    manifest = read_manifest(folder)
    if not is_complete(folder):
        raise StorageError(f"{folder} holds an unfinished run: continue it with --resume")
    frames = {name: read_frame(folder / f"{name}.parquet") for name in FRAMES}
    return Run(
        folder,
        manifest,
        read_json(folder / SUMMARY, Summary),
        read_json(folder / TIMING, Timing),
        **frames,
    )
