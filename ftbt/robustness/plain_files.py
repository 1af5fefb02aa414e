"""Results that lie beside runs as sorted JSON: a matrix, a comparison. Same content, same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from ftbt.data.files import atomic_write
from ftbt.errors import StorageError
from ftbt.robustness.assessment_files import from_plain, to_plain
from ftbt.robustness.matrix import FORMAT, Matrix

MATRIX = "matrix.json"

T = TypeVar("T")


def write_plain(path: Path, value: Any) -> Path:
    """Write a dataclass of plain values and tuples to *path* and return it.

    Raises:
        StorageError: when the file cannot be written.
    """
    text = json.dumps(to_plain(value), indent=1, sort_keys=True, ensure_ascii=False)
    atomic_write(path, text + "\n")
    return path


def has_matrix(folder: Path) -> bool:
    """Return whether *folder*, of a run or of a matrix, holds a matrix."""
    return (folder / MATRIX).is_file()


def load_matrix(folder: Path) -> Matrix:
    """Return the matrix that a run folder, or the matrix's own, holds.

    Raises:
        StorageError: when there is none, it is damaged, or of another version of ftbt.
    """
    path = folder / MATRIX
    again = "make it again with `ftbt matrix`"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise StorageError(
                f"{path} was written by another version of ftbt (format {plain['format']}, this"
                f" one reads {FORMAT}); {again}"
            )
        return from_plain(Matrix, plain)
    except FileNotFoundError:
        raise StorageError(f"{folder} has no {MATRIX}: {again}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} cannot be read ({error}); {again}") from error
