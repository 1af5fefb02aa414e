"""`ftbt backtest` and `ftbt strategies` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftbt.cli.main import run

SPAN = ["--from", "2024-01-01", "--to", "2024-03-01"]
BOTH = ["--strategy", "liquidity_sweep,fvg_fill", *SPAN]
# What is wrong with several strategies on one account, whatever is done with them.
BAD_TOGETHER: list[tuple[list[str], str]] = [
    (["--strategy", "fvg_fill,liqudity_sweep"], "did you mean 'liquidity_sweep'"),
    (["--strategy", "fvg_fill,fvg_fill"], "strategy fvg_fill is given twice"),
    (["--strategy", ","], "name a strategy"),
    (["--symbols", "ETH,ETH"], "--symbol ETH is given twice"),
    (["--limit", "positons=2"], "no limit 'positons' - did you mean 'positions'?"),
    (["--limit", "leverage=2"], "no limit 'leverage'; there are: risk_per_trade, "),
    (["--limit", "positions=0"], "limit positions must be from 1 to 1000, not 0"),
    (["--limit", "positions=2.5"], "--limit positions must be a whole number, not '2.5'"),
    (["--limit", "positions"], "--limit positions: write name=value"),
    (["--limit", "positions=2", "--limit", "positions=3"], "--limit positions is given twice"),
    (["--limit", "positions=2", "--no-limits"], "--limit positions is given beside --no-limits"),
    (["--weights", "1"], "1 weights for 2 strategies: give one for each, in their order"),
    (["--weights", "1,2,3"], "3 weights for 2 strategies"),
    (["--weights", "1,half"], "--weights must be numbers with commas"),
    (["--weights", "1,nan"], "--weights number 2 must be a finite number"),
    (["--weights", "1,-1"], "allocation weight 2 must be a number from 0"),
    (["--weights", "0,0"], "must have a sum above 0"),
    (["--weights", "1,1", "--allocation", "equal"], "allocation weights are for the method fixed"),
    (["--allocation", "fixed"], "must have a sum above 0"),
    (["--allocation", "equal-rsk"], "did you mean 'equal-risk'"),
    (["--set", "depth=0.5"], "write strategy.parameter=value - did you mean 'fvg_fill.depth'?"),
    (["--set", "fvg_fil.depth=0.5"], "did you mean 'fvg_fill.depth'?"),
    (["--set", "fvg_fill.dept=0.5"], "FvgFill has no parameter 'dept' - did you mean 'depth'?"),
    (["--set", "fvg_fill.depth=5"], "FvgFill: depth must be a number from 0 to 1, not 5"),
    (["--set", "fvg_fill.depth=1", "--set", "fvg_fill.depth=0"], "fvg_fill.depth is given twice"),
]


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
        (["--strategy", ""], "--strategy must have at least 1 characters"),
        (["--strategy", "fvg_fill", "--symbols", "BTC,BTC"], "--symbol BTC is given twice"),
        (["--strategy", "fvg_fill", "--symbols", "BTC,"], "--symbol has an empty name"),
        (["--strategy", "fvg_fill", "--symbols", "BTC,BTX"], "did you mean 'BTC'"),
        (["--strategy", "fvg_fill", "--in-sample", "40d"], "--in-sample is for several strat"),
        (["--strategy", "fvg_fill", "--set", "fvg_fill.depth=1"], "did you mean 'depth'"),
        (["--strategy", "fvg_fill", "--limit", "total_exposure=nan"], "must be a finite number"),
        (["--strategy", "fvg_fill", "--limit", "drawdown=2"], "drawdown must be from 0.01 to 1"),
        *(([*BOTH, *more], message) for more, message in BAD_TOGETHER),
        ([*BOTH, "--allocation", "equal-risk"], "measures risk in-sample: give --in-sample"),
        *(
            ([*BOTH, "--allocation", "equal-risk", "--in-sample", span], message)
            for span, message in (
                ("ninety", "--in-sample must be a duration such as 90d, 36h, 2w or 96 bars"),
                ("25m", "--in-sample is 25m, which is not a whole number of 15-minute bars"),
                ("10d", "960 bars: it must be longer than the warm-up of 2,880"),
                ("60d", "shorter than the data of 5,760 bars"),
            )
        ),
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


@pytest.mark.parametrize(("more", "message"), BAD_TOGETHER)
def test_a_walk_forward_refuses_the_same(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same mistakes get the same line, exit code 2, and no run folder."""
    assert run(["walkforward", *BOTH, *more, "--results", str(tmp_path / "results")]) == 2

    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not (tmp_path / "results").exists()


def test_a_portfolio_tells_who_earned_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two strategies on three symbols: parts in the output, in the files and together agree."""
    out = tmp_path / "out"
    words = [*BOTH, "--symbols", "BTC,ETH,SOL", "--weights", "3,1", "--out", str(out)]

    assert run(["backtest", *words]) == 0

    printed = capsys.readouterr().out.splitlines()
    shares = "shares of the account (fixed): liquidity_sweep 75.0%, fvg_fill 25.0%"
    assert shares in printed
    assert any(line.startswith("allocation fixed: weights add up to 4") for line in printed)
    summary = json.loads((out / "summary.json").read_text())
    trades = pd.read_parquet(out / "trades.parquet")
    total, *others = summary["attribution"]
    by = {
        "strategy": [one for one in others if one["symbol"] is None],
        "symbol": [one for one in others if one["strategy"] is None],
        "pair": [one for one in others if one["symbol"] and one["strategy"]],
    }
    assert [len(cut) for cut in by.values()] == [2, 3, 6]
    for cut in by.values():
        for name in ("trades", "net", "gross", "fees", "funding", "slippage", "variance_share"):
            assert sum(one[name] for one in cut) == pytest.approx(total[name]), name
    assert total["net"] == pytest.approx(summary["metrics"]["net_profit"])
    assert total["trades"] == summary["metrics"]["trades"] == len(trades) > 50
    for one in by["pair"]:
        own = trades[(trades["strategy"] == one["strategy"]) & (trades["symbol"] == one["symbol"])]
        assert (one["trades"], one["net"]) == (len(own), pytest.approx(own["net"].sum()))
        row = f"{one['strategy']:<15}  {one['symbol']:<6}  {one['trades']:>6}"
        assert any(line.startswith(row) for line in printed), row
    assert summary["weights"] == [0.75, 0.25]
    assert summary["refused"]["one position per symbol"] > 0


def test_one_strategy_on_one_symbol_has_no_table_of_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to tell apart; the limits are in the first line, or that there are none."""
    words = ["backtest", "--strategy", "fvg_fill", *SPAN, "--out", str(tmp_path / "out")]

    assert run([*words, "--limit", "positions=1"]) == 0
    printed = capsys.readouterr().out
    assert "share of variance" not in printed
    assert "shares of the account" not in printed
    assert "1 positions" in printed
    assert run([*words, "--no-limits"]) == 0
    assert "; no risk limits" in capsys.readouterr().out


def test_shares_by_risk_come_from_the_part_in_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are measured on --in-sample, nothing is traded there, and no later bar has a part."""
    from ftbt.risk.allocation import inverse_volatility

    def go(*more: str) -> dict[str, Any]:
        out = tmp_path / "-".join(more).replace("/", "_")
        assert run(["backtest", *more, "--out", str(out)]) == 0, capsys.readouterr().err
        summary = json.loads((out / "summary.json").read_text())
        return {**summary, "equity": pd.read_parquet(out / "equity.parquet")}

    ask = ["--strategy", "liquidity_sweep,fvg_fill", "--from", "2024-01-01",
           "--allocation", "inverse-volatility", "--in-sample", "45d"]  # fmt: skip
    short, long = go(*ask, "--to", "2024-02-25"), go(*ask, "--to", "2024-03-10")
    alone = [
        go("--strategy", name, "--from", "2024-01-01", "--to", "2024-02-15")["equity"]
        for name in ("liquidity_sweep", "fvg_fill")
    ]

    assert short["weights"] == long["weights"]
    assert short["weights"][0] != pytest.approx(0.5, abs=0.01)
    assert sum(short["weights"]) == pytest.approx(1.0)
    assert short["equity"]["time"].iloc[0] == pd.Timestamp("2024-02-15", tz="UTC")
    daily = [one.groupby(one["time"].dt.floor("D"))["equity"].last().to_numpy() for one in alone]
    returns = [np.diff(one, prepend=10_000.0) / np.append(10_000.0, one[:-1]) for one in daily]
    wanted = inverse_volatility(np.column_stack(returns))
    np.testing.assert_allclose(short["weights"], wanted, rtol=1e-9)


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


ZEROES = ["--taker-fee", "0", "--maker-fee", "0", "--half-spread", "0", "--slippage-atr", "0"]


def test_a_cost_of_zero_is_a_cost_of_zero(tmp_path: Path) -> None:
    """Fees and slippage that are set to 0 are not charged at their usual rates."""
    out = tmp_path / "out"

    assert run(["backtest", "--strategy", "fvg_fill", *SPAN, *ZEROES, "--out", str(out)]) == 0

    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"]["trades"] > 0
    assert summary["metrics"]["fees"] == summary["metrics"]["slippage"] == 0.0
    assert summary["settings"]["taker_fee"] == 0.0


@pytest.mark.parametrize("name", ["capital", "leverage"])
def test_zero_is_out_of_range_where_it_means_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A capital or leverage of 0 is refused, not taken for the usual one."""
    assert run(["backtest", "--strategy", "fvg_fill", *SPAN, f"--{name}", "0"]) == 2
    assert f"{name} must be from 1" in capsys.readouterr().err


def candle_file(path: Path, level: float, bars: int = 4000) -> Path:
    """Write random 15m candles that begin at the price *level*."""
    random = np.random.default_rng(5)
    close = level * np.exp(np.cumsum(random.normal(0.0, 0.003, bars)))
    before = np.concatenate(([level], close[:-1]))
    frame = pd.DataFrame(
        {
            "time": 1_700_000_100_000 // 900_000 * 900_000 + 900_000 * np.arange(bars),
            "open": before,
            "high": np.maximum(before, close) * 1.001,
            "low": np.minimum(before, close) * 0.999,
            "close": close,
            "volume": 1.0,
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_one_file_is_not_two_symbols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The candles of one file are refused as those of a second symbol."""
    file = candle_file(tmp_path / "candles.csv", 30_000.0)
    call = ["backtest", "--strategy", "fvg_fill", "--data", str(file)]

    assert run([*call, "--symbols", "BTC,ETH"]) == 2

    assert "BTC and ETH have the very same candles" in capsys.readouterr().err


def test_a_price_step_that_does_not_fit_the_prices_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the rules taken for a coin round its prices away, the result says so."""
    file = candle_file(tmp_path / "candles.csv", 1e-5)
    call = ["backtest", "--strategy", "fvg_fill", "--data", str(file), "--out", str(tmp_path / "o")]

    assert run([*call, "--symbol", "BTC"]) == 0

    assert "BTC: orders are rounded to price steps of 0.1" in capsys.readouterr().out


def test_a_walk_forwards_folder_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--out` refuses a folder whose summary belongs to a walk-forward."""
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "summary.json").write_text("mine")

    assert run(["backtest", "--strategy", "fvg_fill", *SPAN, "--out", str(tmp_path)]) == 2

    assert "is the folder of a walk-forward run" in capsys.readouterr().err
    assert (tmp_path / "summary.json").read_text() == "mine"


def test_a_strategy_that_leaves_the_program_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sys.exit()` in a strategy ends the run with its file and line, not in silence."""
    file = tmp_path / "leaver.py"
    lines = ["import sys", "import backtrader as bt", "class Leaver(bt.Strategy):"]
    file.write_text("\n".join([*lines, "    def next(self):", "        sys.exit(0)", ""]))

    assert run(["backtest", "--strategy", str(file), *SPAN, "--out", str(tmp_path / "o")]) == 2

    assert "strategy leaver stopped with SystemExit: 0 (leaver.py:5)" in capsys.readouterr().err


def test_one_file_of_two_strategies_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ftbt strategies` lists what can be run beside a file that leaves open what is meant."""
    text = "import backtrader as bt\nclass {}(bt.Strategy):\n    'Do nothing.'\n"
    (tmp_path / "one.py").write_text(text.format("One"))
    (tmp_path / "pair.py").write_text(text.format("A") + text.format("B"))
    monkeypatch.setenv("FTBT_STRATEGIES", str(tmp_path))

    assert run(["strategies"]) == 0

    shown = capsys.readouterr().out
    assert "Do nothing." in shown
    assert "name one: pair.py:A" in shown


def test_the_words_of_backtrader_are_not_a_strategys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy without a docstring is listed without one, not with its base class's."""
    (tmp_path / "mute.py").write_text(
        "import backtrader as bt\nclass Mute(bt.Strategy):\n    x = 1\n"
    )
    monkeypatch.setenv("FTBT_STRATEGIES", str(tmp_path))

    assert run(["strategies"]) == 0

    shown = capsys.readouterr().out
    assert "mute" in shown
    assert "Base class" not in shown


def test_code_that_could_look_ahead_gets_the_command_that_finds_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A back-test checks no prefixes: for a user's own next() it says so; rules need no word."""
    own = tmp_path / "own.py"
    own.write_text(
        "import backtrader as bt\n\n\n"
        "class Own(bt.Strategy):\n"
        "    def next(self):\n"
        "        if not self.position:\n"
        "            self.buy(size=0.01)\n"
    )
    for strategy, told in ((str(own), True), ("fvg_fill", False)):
        out = tmp_path / f"out-{told}"
        assert run(["backtest", "--strategy", strategy, *SPAN, "--out", str(out)]) == 0
        hint = next((ln for ln in capsys.readouterr().out.splitlines() if "ftbt audit" in ln), "")
        assert bool(hint) is told
        if told:
            where, _, cls = hint.rpartition("ftbt audit ")[2].rpartition(":")
            assert (Path(where).resolve(), cls) == (own.resolve(), "Own")


def test_parameters_that_are_no_numbers_are_written_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An average's class, a time, a list and NaN are ordinary parameters in Backtrader's world."""
    file = tmp_path / "odd.py"
    file.write_text(
        "import datetime\nimport backtrader as bt\n"
        "class Odd(bt.Strategy):\n"
        "    params = dict(average=bt.ind.EMA, wait=datetime.timedelta(hours=2), when=None,\n"
        "                  spans=[5, 9], pick=max, days={2, 1}, named={1: datetime.date.min})\n"
        "    def __init__(self):\n"
        "        self.lines_of = [self.p.average(period=one) for one in self.p.spans]\n"
    )
    first, again = tmp_path / "first", tmp_path / "again"
    for out in (first, again):
        words = ["backtest", "--strategy", str(file), *SPAN, "--out", str(out)]
        assert run(words) == 0, capsys.readouterr().err

    assert (first / "summary.json").read_bytes() == (again / "summary.json").read_bytes()
    summary = json.loads((first / "summary.json").read_text())
    assert summary["parameters"] == {
        "average": "EMA",
        "wait": "2:00:00",
        "when": None,
        "spans": [5, 9],
        "pick": "max",
        "days": ["1", "2"],
        "named": {"1": "0001-01-01"},
    }
