"""Makes the helper modules of the line tests and the benchmarks importable."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
for folder in (_HERE, _HERE.parent / "smc", _HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
