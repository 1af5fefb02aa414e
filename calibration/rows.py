"""The rows of a calibration: one line of JSON per finished pipeline, added and never changed.

The file's name carries a hash over everything that a row depends on, so rows of another program,
seed or size never mix. A line that a kill cut off is left out and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ftbt
from calibration.pipeline import Size
from ftbt.errors import StorageError
from ftbt.walkforward.fingerprint import versions

# What shows or carries a result, and does not make it.
_OUTSIDE = ("cli", "report", "live", "hyperliquid", "localnet")


def program() -> str:
    """Return a hash over the sources that make a row and the packages under them."""
    root, own = Path(ftbt.__file__).parent, Path(__file__).parent
    sources = [
        path for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).parts[0] not in _OUTSIDE
    ]  # fmt: skip
    sources += [own / "pipeline.py", own / "markets.py", *sorted(own.glob("strategies/*.py"))]
    sources += sorted((own.parent / "strategies").glob("*.py"))
    digest = hashlib.sha256(json.dumps(versions(), sort_keys=True).encode())
    for path in sources:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


class Rows:
    """The finished pipelines of one calibration."""

    def __init__(self, folder: Path, seed: int, size: Size) -> None:
        text = json.dumps([program(), seed, asdict(size)], sort_keys=True)
        self.path = folder / f"rows-{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"

    def read(self) -> dict[str, dict[str, Any]]:
        """Return key -> row; of a pipeline that is there twice the first one.

        Raises:
            StorageError: a file that can't be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error.strerror}") from error
        found: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # cut off by a kill
            found.setdefault(row["key"], row)
        return found

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add *rows*, each in one write.

        Raises:
            StorageError: a file that can't be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
            with self.path.open("ab+") as file:
                # After a line that was cut off, a new one must not go on in it.
                if file.tell() and not self._ends_whole():
                    text = "\n" + text
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
