"""Other back-testers, each running in a process of the peers' environment.

FTBT_PEERS_PYTHON names the Python of that environment. It is one of its own because the peers pull
in much that ftbt does not need; a peer that is missing there is left out of the tables, with a
message that says how to get it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import NotMeasured
from ftbt.data.candles import Bars

ENVIRONMENT = "FTBT_PEERS_PYTHON"
PACKAGES = (
    "backtrader==1.9.78.123",
    "vectorbt[rust]==1.2.0",
    "backtesting==0.6.6",
    "smartmoneyconcepts==0.0.27",
)
HOW = (
    "make the peers' environment by `python3.11 -m venv peers && peers/bin/pip install "
    f"{' '.join(map(repr, PACKAGES))}` and set {ENVIRONMENT}=$PWD/peers/bin/python"
)
SCRIPTS = {
    "Backtrader": "_peer_backtrader.py",
    "vectorbt": "_peer_vectorbt.py",
    "backtesting.py": "_peer_backtestingpy.py",
}


class Peer:
    """One peer on one array of bars, alive until `close`.

    Attributes:
        name: for people, with the version.
        started: seconds from the start of the process until it could be asked: imports, bars.
    """

    def __init__(self, name: str, python: str, file: Path) -> None:
        script = Path(__file__).parent / SCRIPTS[name]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long-lived as the process
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [python, str(script), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=file.parent,
            text=True,
        )
        self.name = name
        try:
            versions = self._answer()["versions"]
        except NotMeasured:
            self.close()
            raise
        self.started = time.perf_counter() - began
        self.name = " ".join(next(iter(versions.items())))
        if self.name.split()[0] != name:
            self.name = f"{name} {self.name.split()[1]}"

    def ask(self, work: str, **question: Any) -> dict[str, Any]:
        """Return what the peer answers: its figures, `wall` and `processor` seconds.

        Raises:
            NotMeasured: when it stops with an error.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"work": work, **question}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            text = str(answer["error"]).strip().splitlines() or ["no message"]
            raise NotMeasured(f"{self.name}: {text[-1]}; {HOW}")
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._said.seek(0)
        return self._said.read()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()
        self._said.close()


@dataclass(frozen=True)
class Peers:
    """The peers that are here, by name, and why the others are not."""

    here: Mapping[str, Peer]
    missing: Mapping[str, str]

    def __getitem__(self, name: str) -> Peer:
        if name in self.missing:
            raise NotMeasured(self.missing[name])
        return self.here[name]


@contextmanager
def peers(bars: Bars, names: Sequence[str] = tuple(SCRIPTS)) -> Iterator[Peers]:
    """Start the peers of *names* on *bars*, end them afterwards."""
    here: dict[str, Peer] = {}
    missing: dict[str, str] = {}
    with bars_file(bars) as file:
        try:
            for name in names:
                try:
                    here[name] = Peer(name, peers_python(), file)
                except NotMeasured as error:
                    missing[name] = str(error)
            yield Peers(here, missing)
        finally:
            for peer in here.values():
                peer.close()


@contextmanager
def bars_file(bars: Bars) -> Iterator[Path]:
    """Write *bars* to a file in a folder of its own, as numpy keeps arrays."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bars.npy"
        np.save(file, bars)
        yield file


def peers_python() -> str:
    """Return the Python of the peers' environment.

    Raises:
        NotMeasured: when there is none.
    """
    python = os.environ.get(ENVIRONMENT, "")
    if not python:
        raise NotMeasured(f"{ENVIRONMENT} is not set; {HOW}")
    found = shutil.which(python)
    if found is None:
        raise NotMeasured(f"{ENVIRONMENT} is {python}, which is no program; {HOW}")
    return str(Path(found).absolute())


def in_turns(works: Mapping[str, Callable[[], float]], turns: int) -> dict[str, float]:
    """Return the shortest of what each of *works* returns; they take turns.

    So a minute in which the machine is busy with something else is a bad minute for all sides.
    """
    shortest = dict.fromkeys(works, math.inf)
    for _ in range(turns):
        for name, work in works.items():
            shortest[name] = min(shortest[name], work())
    return shortest
