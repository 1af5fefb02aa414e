"""`python -m soak`: days of trading with everything that may go wrong, and what came of it.

    python -m soak                          seven days of three symbols, about twenty minutes
    python -m soak --seed 8 --days 1        another market, other faults
    python -m soak --publish                write the page and its figures into docs as well

Exit codes: 0 every promise is kept; 1 one is not; 2 wrong words; 3 it could not go on;
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftbt.data.files import atomic_write
from ftbt.data.sample import SYMBOLS
from ftbt.data.timeframe import show_ms
from ftbt.errors import FtbtError
from ftbt.rehearsal.pacing import Pace
from soak.figures import missed
from soak.page import publish
from soak.plan import Asked
from soak.running import run

RESULT = "soak.json"
SEED = 7
ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m soak", description=(__doc__ or "").split("\n")[0]
    )
    made.add_argument("--seed", type=int, default=SEED,
                      help="of market, faults and deaths (default %(default)s)")  # fmt: skip
    made.add_argument("--days", type=float, default=7.0, help="simulated (default %(default)s)")
    made.add_argument("--symbols", default=",".join(SYMBOLS), help="default %(default)s")
    made.add_argument("--results", type=Path, default=Path("results"), help="where soak.json goes")
    made.add_argument("--state", type=Path, help="keep the folder of the live process here")
    made.add_argument("--publish", action="store_true", help="write the page into docs")
    return made


def main(words: Sequence[str]) -> int:
    """Do what *words* say and return the exit code."""
    said = parser().parse_args(words)
    try:
        asked = Asked(said.seed, said.days, tuple(said.symbols.split(",")))
        if said.state is not None:
            found = run(asked, said.state, _told())
        else:
            with tempfile.TemporaryDirectory(prefix="ftbt-soak-") as folder:
                found = run(asked, Path(folder) / "state", _told())
    except FtbtError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return _report(found, said)


def _report(found: dict[str, Any], said: argparse.Namespace) -> int:
    atomic_write(said.results / RESULT, json.dumps(found, indent=1) + "\n")
    for one in found["promises"]:
        mark = {True: "kept", False: "MISSED", None: "-"}[one["met"]]
        print(f"{mark:<7}{one['name']:<12}{one['figure']}  (target: {one['target']})")
    print(said.results / RESULT)
    if said.publish:
        for path in publish(found, DOCS):
            print(f"{path}: written")
    problems = missed(found)
    for line in problems:
        print(f"MISSED {line}", file=sys.stderr)
    return 1 if problems else 0


def _told() -> Any:
    """Return what tells how far it is, now and then."""
    last = 0

    def tell(pace: Pace) -> None:
        nonlocal last
        every = max(4, pace.of // 28)
        if pace.bars // every > last // every or pace.bars == pace.of:
            left = f"{pace.seconds_left / 60.0:.0f} min left"
            print(
                f"bar {pace.bars}/{pace.of}, {show_ms(pace.market_ms)}, {pace.trades} trades,"
                f" equity {pace.equity:,.2f}, {left}", file=sys.stderr, flush=True,
            )  # fmt: skip
        last = pace.bars

    return tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
