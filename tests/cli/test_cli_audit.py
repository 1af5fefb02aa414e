"""`ftbt audit` as a user meets it: verdicts, exit codes, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftbt.cli.main import run

BIASED = Path(__file__).resolve().parents[1] / "biased"
SMALL = ["--bars", "900", "--prefixes", "6", "--quick"]


def test_a_clean_strategy_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is said first, then how much was looked at."""
    assert run(["audit", "fvg_fill", *SMALL, "--set", "min_confidence=0"]) == 0

    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("fvg_fill on BTC 15m, synthetic market: 900 bars from 2024-")
    assert lines[1] == "CLEAN: no order depends on a later bar"
    assert lines[2].startswith("looked at: ")
    assert "engines: compiled" in lines[2]
    assert shown.err == ""


def test_a_look_ahead_ends_with_1_and_is_told_with_bar_and_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first order that changes is shown with its bar, its line, its cause and its reach."""
    assert run(["audit", str(BIASED / "shifted_close.py"), *SMALL]) == 1

    shown = capsys.readouterr().out
    assert "LOOK-AHEAD" in shown.splitlines()[1]
    assert "shifted_close.py:18: self.buy(size=0.05)" in shown
    assert "sent      buy 0.05 at the market" in shown
    assert "because   self.change" in shown
    assert "ahead     1 bar at least" in shown


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """The same verdict for programs: strict JSON with findings, counts, data and parameters."""
    path = str(BIASED / "unconfirmed_swing.py")

    assert run(["audit", path, *SMALL, "--set", "direction=long", "--seed", "3", "--json"]) == 1

    plain = json.loads(capsys.readouterr().out)
    assert plain["clean"] is False
    assert plain["verdict"] == "look-ahead"
    assert plain["seed"] == 3
    assert plain["parameters"] == {"direction": "long"}
    assert plain["warm_up"] is None
    assert plain["synthetic"] is True
    first = plain["findings"][0]
    assert first["file"] == "unconfirmed_swing.py"
    assert first["value"]["name"] == "pivots.low_event (Pivots)"
    assert first["time"].endswith("UTC")
    assert first["cut"] - 5 < first["bar"] <= first["cut"]


def test_an_unsteady_strategy_is_told_as_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chance is not called look-ahead, and not clean either."""
    file = tmp_path / "dice.py"
    file.write_text(
        "import random\nimport backtrader as bt\n\n\nclass Dice(bt.Strategy):\n"
        "    def next(self):\n"
        "        if random.random() < 0.1:\n"
        "            self.buy(size=0.01)\n"
    )

    assert run(["audit", str(file), *SMALL]) == 1

    shown = capsys.readouterr().out
    assert "NOT CLEAN: it does not do the same with the same bars" in shown
    assert "LOOK-AHEAD" not in shown


def test_the_file_of_the_candles_is_not_for_the_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strategy that reads the file that it is audited on has all later bars at hand."""
    from ftbt.data.sample import sample_market

    monkeypatch.chdir(tmp_path)
    bars = sample_market(["BTC"], days=6)["BTC"].candles.bars
    rows = ["time,open,high,low,close,volume"]
    rows += [",".join(f"{value:.15g}" for value in row) for row in bars.tolist()]
    Path("BTCUSDT-15m.csv").write_text("\n".join(rows) + "\n")
    Path("reads.py").write_text(
        "import backtrader as bt\nimport pandas as pd\n\n\nclass Reads(bt.Strategy):\n"
        "    def start(self):\n"
        "        close = pd.read_csv('BTCUSDT-15m.csv').close\n"
        "        self.up = (close.shift(-1) > close * 1.002).tolist()\n\n"
        "    def next(self):\n"
        "        if not self.position and self.up[len(self) - 1]:\n"
        "            self.buy(size=0.05)\n"
        "        elif self.position and len(self) % 8 == 0:\n"
        "            self.close()\n"
    )

    assert run(["audit", "reads.py", "--data", "BTCUSDT-15m.csv", *SMALL]) == 1

    shown = capsys.readouterr().out
    assert "NOT CLEAN: it has bars at hand that it was not given" in shown
    assert "it reads BTCUSDT-15m.csv" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["liqudity_sweep"], "did you mean 'liquidity_sweep'"),
        (["none.py"], "no strategy file"),
        (["fvg_fill", "--set", "dept=1"], "did you mean 'depth'"),
        (["fvg_fill", "--symbol", "DOGE"], "no symbol 'DOGE'"),
        (["fvg_fill", "--timeframe", "7x"], "timeframe '7x'"),
        (["fvg_fill", "--bars", "-1"], "--bars must be 0 (all) or more, not -1"),
        (["fvg_fill", "--bars", "20"], "the audit needs 50 bars"),
        (["fvg_fill", "--prefixes", "0"], "prefixes must be"),
        (["fvg_fill", "--capital", "-5"], "capital must be from"),
        ([], "STRATEGY"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake gets its own clear line and exit code 2."""
    assert run(["audit", *arguments]) == 2

    shown = capsys.readouterr()
    assert message in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert shown.out == ""
