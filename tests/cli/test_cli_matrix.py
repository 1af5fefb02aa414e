"""`ftbt matrix` as a user types it, on whole small walk-forwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from place_kit import enter_place

from ftbt.cli.main import run
from ftbt.robustness.plain_files import load_matrix
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.store import load_run

CROSS = '''
import backtrader as bt

from ftbt.ranges import Int


class Cross(bt.Strategy):
    """Price above or below its average."""

    params = dict(period=5)
    ranges = dict(period=Int(3, 12))
    warmup_bars = 24

    def __init__(self):
        self.average = bt.ind.SMA(period=self.p.period)

    def next(self):
        above = self.data.close[0] > self.average[0]
        if self.position.size:
            if above != (self.position.size > 0):
                self.close()
        else:
            size = 0.5 * self.broker.getvalue() / self.data.close[0]
            self.buy(size=size) if above else self.sell(size=size)
'''
LENGTHS = ["--train", "8d,6d", "--test", "4d"]
SMALL = ["--trials", "2", "--min-trades", "1", "--jobs", "1"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with strategies/cross.py and BTC-1h.parquet (20 days)."""
    return enter_place(tmp_path, monkeypatch, CROSS)


def go(*more: str) -> int:
    """Run the command on the file."""
    data = ["--data", "BTC-1h.parquet", "--timeframe", "1h"]
    return run(["matrix", "--strategy", "cross", *data, *more])


def test_each_cell_is_a_counted_run_and_is_made_once(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells are run folders in the ledger; the same question again computes and counts nothing."""
    assert go(*LENGTHS, *SMALL) == 0
    told = capsys.readouterr().out
    (folder,) = Path("results").glob("matrix-cross-BTC-1h-*")
    found = load_matrix(folder)
    rows = Ledger(Path("results")).rows()

    assert told.splitlines()[-1].endswith("matrix.html")
    assert "looks at the same market" in told
    assert [(one.train, one.test) for one in found.cells] == [("8d", "4d"), ("6d", "4d")]
    assert {one.run_id for one in found.cells} == {row.run_id for row in rows}
    assert sum(int(row.trials) for row in rows) == found.trials
    for cell in found.cells:
        stored = load_run(Path("results") / cell.run_id)
        assert (stored.manifest.plan.train, stored.manifest.plan.test) == (cell.train, cell.test)
        assert load_matrix(stored.folder).sentence == found.sentence
    page, before = (folder / "matrix.html").read_bytes(), (folder / "matrix.json").read_bytes()

    assert go(*LENGTHS, *SMALL) == 0
    assert (folder / "matrix.json").read_bytes() == before
    assert (folder / "matrix.html").read_bytes() == page
    assert Ledger(Path("results")).rows() == rows


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--train", "8d", "--test", "4d"], "from 2 to 64 cells, not 1 x 1 = 1"),
        (["--train", "8d,8d", "--test", "4d"], "--train has 8d twice"),
        (["--train", "8d,soon", "--test", "4d"], "--train must be a duration such as"),
        (["--train", "8d,99d", "--test", "4d"], "cell --train 99d --test 4d: too little data"),
        (["--train", "8d,6d"], "Missing option '--test'"),
    ],
)
def test_wrong_lengths_are_told_before_anything_runs(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """One line, exit code 2, and no run folder: also when only the last cell is impossible."""
    assert go(*words, *SMALL) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not Path("results").exists()
