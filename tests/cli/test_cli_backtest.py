"""`ftbt backtest` and `ftbt strategies` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ftbt.cli.main import run

SPAN = ["--from", "2024-01-01", "--to", "2024-03-01"]


def test_a_backtest_writes_trades_equity_and_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result folder holds what was printed, and trades add up to the equity."""
    out = tmp_path / "out"

    code = run(["backtest", "--strategy", "liquidity_sweep", *SPAN, "--out", str(out)])

    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "synthetic market" in printed
    assert printed.strip().endswith(str(out))
    trades = pd.read_parquet(out / "trades.parquet")
    equity = pd.read_parquet(out / "equity.parquet")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"]["trades"] == len(trades) > 0
    assert equity["equity"].iloc[-1] == pytest.approx(10_000 + trades["net"].sum())
    assert trades["entry_time"].dt.tz is not None


def test_the_same_backtest_has_the_same_bytes(tmp_path: Path) -> None:
    """Two runs write identical files."""
    outs = [tmp_path / name for name in ("one", "two")]
    for out in outs:
        assert run(["backtest", "--strategy", "fvg_fill", *SPAN, "--out", str(out)]) == 0

    for name in ("trades.parquet", "equity.parquet", "summary.json"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "liqudity_sweep"], "did you mean 'liquidity_sweep'"),
        (["--strategy", "fvg_fill", "--set", "min_rr=-5"], "min_rr must be a number from 0.5 to 5"),
        (["--strategy", "fvg_fill", "--set", "dept=1"], "did you mean 'depth'"),
        (["--strategy", "fvg_fill", "--set", "depth"], "write name=value"),
        (["--strategy", "fvg_fill", "--capital", "-5"], "capital must be from"),
        (["--strategy", "fvg_fill", "--timeframe", "7x"], "timeframe '7x' is not understood"),
        (["--strategy", "fvg_fill", "--from", "yesterday"], "time 'yesterday' is not understood"),
        (["--strategy", "fvg_fill", "--to", "2024-01-10"], "to warm up"),
        (["--strategy", "fvg_fill", "--symbol", "BTX"], "BTX"),
        (["--strategy", "fvg_fill", "--engine", "warp"], "engine"),
        (["--strategy", "none.py"], "no strategy file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake gets its own clear line, exit code 2, and no half-written folder."""
    out = tmp_path / "out"

    assert run(["backtest", *arguments, "--out", str(out)]) == 2

    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not out.exists()


def test_a_broken_strategy_file_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error inside the user's file is told with file and line, without a traceback."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import backtrader as bt\n"
        "class Mine(bt.Strategy):\n"
        "    def next(self):\n"
        "        self.nothing()\n"
    )

    assert run(["backtest", "--strategy", str(file), *SPAN]) == 2

    shown = capsys.readouterr().err
    assert "mine.py:4" in shown
    assert "AttributeError" in shown
    assert "Traceback" not in shown


def test_strategies_lists_names_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name all strategies are listed; with one its parameters, presets applied."""
    assert run(["strategies"]) == 0
    assert "bos_orderblock" in capsys.readouterr().out

    assert run(["strategies", "liquidity_sweep", "--timeframe", "1h"]) == 0
    shown = capsys.readouterr().out
    assert "reclaim" in shown
    assert "searched" in shown


def test_a_broken_file_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One broken file in the folder is shown as broken; the list goes on."""
    (tmp_path / "bad.py").write_text("boom\n")
    (tmp_path / "good.py").write_text(
        '"""Does nothing."""\nimport backtrader as bt\nclass Good(bt.Strategy):\n    pass\n'
    )
    monkeypatch.setenv("FTBT_STRATEGIES", str(tmp_path))

    assert run(["strategies"]) == 0

    shown = capsys.readouterr().out
    assert "broken" in shown
    assert "Does nothing." in shown
