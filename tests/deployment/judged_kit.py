"""What the tests of deployments call a judged run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ftbt.walkforward.inputs import Inputs


@dataclass(frozen=True)
class Judged:
    """A run folder, what it was made from, and the folder of its strategies."""

    folder: Path
    inputs: Inputs
    strategies: Path
