"""Makes the helpers of the documentation tests, a bot, and the package `docs` importable."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
for folder in (_HERE, _HERE.parents[1], _HERE.parent / "cli"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
