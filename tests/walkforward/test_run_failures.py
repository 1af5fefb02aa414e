"""Walk-forwards that fail, stop in the middle or cannot be run: what is kept and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from run_kit import ask, digests

from ftbt.errors import ConfigError, DataError, InputError, ParameterError, StorageError
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run

BROKEN = """
from pathlib import Path
import sys
sys.path.append(str(Path(__file__).parent))


class Fragile({base}):
    '''Stops on the first bar after a moment.'''

    def next(self):
        if self.data.datetime.datetime(0).isoformat() >= "{moment}":
            raise ZeroDivisionError("no such price")
        super().next()
"""


def fragile(sma_file: Path, folder: Path, moment: str) -> Path:
    """Return a strategy that raises from *moment* on."""
    source = sma_file.read_text() + BROKEN.format(base="SmaCross", moment=moment)
    path = folder / "fragile.py"
    path.write_text(source)
    return path


def test_a_failed_window_is_a_value_with_a_reason(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """The others are kept, the curve is flat over it, and the place of the error is told."""
    strategy = fragile(sma_file, tmp_path, "2024-01-24")
    inputs = ask(sma_file, market_file, strategy={"name": f"{strategy}:Fragile"})
    found = load_run(walk_forward(inputs, tmp_path / "results").folder)

    # Window 3 (test 22 to 26 January) fails in its test, window 4 in all of its trials.
    assert list(found.windows["state"]) == ["done"] * 3 + ["failed"] * 2
    assert "ZeroDivisionError: no such price" in found.windows["reason"][3]
    assert found.windows["where"][3].startswith("fragile.py:")
    assert "all 6 trials failed" in found.windows["reason"][4]
    assert str(tmp_path) not in (found.folder / "summary.json").read_text()
    failed = found.trials[found.trials["window"] == 4]
    assert set(failed["state"]) == {"failed"}
    assert failed["error"].str.contains("no such price").all()
    curve = found.equity[found.equity["window"] >= 3]
    assert len(curve) == 192
    assert curve["equity"].max() == curve["equity"].min()
    assert curve["buy_and_hold"].nunique() > 100
    assert found.summary.failed_windows == 2
    assert any("window 3 failed" in note for note in found.summary.notes)
    states = [row.state for row in Ledger(tmp_path / "results").rows()]
    assert states == ["done"] * 3 + ["failed"] * 2


def test_too_few_trades_everywhere_is_a_reason(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """Nothing is chosen from noise: the window fails and says what would help."""
    inputs = ask(sma_file, market_file, search={"min_trades": 500})
    found = load_run(walk_forward(inputs, tmp_path).folder)

    assert set(found.windows["state"]) == {"failed"}
    assert "none of 6 trials made 500 trades in training (most: " in found.windows["reason"][0]
    assert set(found.trials["state"]) == {"few_trades"}
    assert found.summary.out_of_sample == {}
    assert found.summary.evidence.sentence == "No evidence of anything: every window failed."
    assert len(found.trades) == 0
    assert str(found.trades.dtypes["entry_time"]) == "datetime64[ms, UTC]"


def test_an_unfinished_run_is_neither_lost_nor_continued_unasked(
    tmp_path: Path, sma_file: Path, market_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error in the middle the same command explains itself; --resume goes on."""
    inputs = ask(sma_file, market_file)
    whole = walk_forward(inputs, tmp_path / "whole").folder
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(inputs, tmp_path / "cut")
    monkeypatch.undo()
    folder = tmp_path / "cut" / inputs.manifest.run_id

    with pytest.raises(StorageError, match="unfinished run: continue it with --resume"):
        load_run(folder)
    with pytest.raises(InputError, match=r"3 of 5 windows done\): continue it with --resume"):
        walk_forward(inputs, tmp_path / "cut")
    walk_forward(inputs, tmp_path / "cut", resume=True)

    assert digests(folder) == digests(whole)
    assert load_run(folder).timing.resumed == 1
    assert sum(int(row.trials) for row in Ledger(tmp_path / "cut").rows()) == 30


def stop_after(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Ctrl-C arrive when so many windows are done."""
    from ftbt.walkforward import workers

    done: list[int] = []
    real = workers.run_window

    def interrupted(task: Any) -> int:
        if len(done) == windows:
            raise KeyboardInterrupt
        done.append(real(task))
        return done[-1]

    monkeypatch.setattr(workers, "run_window", interrupted)


def test_a_killed_run_is_counted_by_the_next_one(
    tmp_path: Path, sma_file: Path, market_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next writes down what the dead one could not."""
    first, second = ask(sma_file, market_file), ask(sma_file, market_file, search={"seed": 2})
    stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(first, tmp_path)
    monkeypatch.undo()
    (tmp_path / "ledger.csv").unlink()

    found = walk_forward(second, tmp_path)

    assert found.earlier.trials == found.earlier.of_strategy == 12
    counted = Ledger(tmp_path).counted(first.manifest.run_id)
    assert counted == {0: 6, 1: 6}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"search": {"objective": "sharp"}}, ConfigError, "did you mean 'sharpe'"),
        ({"backtest": {"engine": "referense"}}, ConfigError, "did you mean 'reference'"),
        ({"backtest": {"capital": -5.0}}, ConfigError, "capital must be from 1 to"),
        ({"data": {"symbols": ["BTC", "BTC"]}}, ConfigError, "BTC is given twice"),
        ({"data": {"fingerprint": "0123456789"}}, ConfigError, "the data changed since"),
        ({"strategy": {"parameters": {"fast": 99}}}, ParameterError, "from 2 to 6, not 99"),
        ({"walk_forward": {"train": "200d"}}, DataError, "too little data for one window"),
        ({"walk_forward": {"step": "1d"}}, ConfigError, "must not be shorter than test"),
        ({"walk_forward": {"train": "90m"}}, ConfigError, "not a whole number of 60-minute bars"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_computed(
    sma_file: Path, market_file: Path, change: dict[str, Any], error: type, message: str
) -> None:
    """One line each."""
    with pytest.raises(error, match=message):
        ask(sma_file, market_file, **change)


def test_two_processes_never_work_on_one_run(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """The second one is told so; it does not wait and it does not touch anything."""
    inputs = ask(sma_file, market_file)
    (tmp_path / ".locks").mkdir()
    lock = FileLock(tmp_path / ".locks" / f"{inputs.manifest.run_id}.lock")

    with lock, pytest.raises(StorageError, match="another process is at work on"):
        walk_forward(inputs, tmp_path)

    assert not (tmp_path / inputs.manifest.run_id).exists()
