"""`ftbt walkforward` as a user types it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from place_kit import enter_place

from ftbt.backtest.settings import Settings
from ftbt.cli.asked import KEYS, parameters_of
from ftbt.cli.main import cli, run
from ftbt.cli.walkforward import walkforward
from ftbt.config import Experiment
from ftbt.data.parquet import read_bars
from ftbt.data.store import CandleStore
from ftbt.errors import ParameterError

CROSS = '''
import backtrader as bt

from ftbt.ranges import Bool, Choice, Float, Int


class Cross(bt.Strategy):
    """Price above or below its average."""

    params = dict(period=5, size=0.5, side="both", flip=False)
    ranges = dict(period=Int(3, 12), size=Float(0.1, 0.9, tune=False),
                  side=Choice("both", "long"), flip=Bool(tune=False))
    warmup_bars = 24

    def __init__(self):
        self.average = bt.ind.SMA(period=self.p.period)

    def next(self):
        above = (self.data.close[0] > self.average[0]) != self.p.flip
        if self.position.size:
            if above != (self.position.size > 0):
                self.close()
        elif above or self.p.side == "both":
            size = self.p.size * self.broker.getvalue() / self.data.close[0]
            self.buy(size=size) if above else self.sell(size=size)
'''
SHORT = ["--train", "8d", "--test", "4d", "--trials", "4", "--jobs", "1", "--no-report"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with strategies/cross.py and BTC-1h.parquet (20 days)."""
    return enter_place(tmp_path, monkeypatch, CROSS)


def go(*more: str) -> int:
    """Run the command on the file with short windows."""
    data = ["--data", "BTC-1h.parquet", "--timeframe", "1h"]
    return run(["walkforward", "--strategy", "cross", *data, *SHORT, *more])


def test_it_ends_with_a_table_a_verdict_and_the_folder(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a trader wants to know fits on one screen; the last line is the result's place."""
    assert go() == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cross on BTC 1h, 2024-01-01 to 2024-01-21, BTC-1h.parquet")
    assert "fees 0.045% taker" in lines[1]
    assert lines[2].split() == [
        "window", "test", "from", "to", "trades", "in-sample", "out-of-sample", "parameters",
    ]  # fmt: skip
    assert re.fullmatch(
        r" +0  2024-01-10  2024-01-14 +\d+ +[+-][\d.]+% +[+-][\d.]+%  period=\d+ side=\w+",
        lines[3],
    )
    assert lines[5].startswith("out of sample, stitched: ")
    assert "note: funding: not modelled" in lines
    assert any(line.startswith(("No evidence", "Weak evidence", "Some")) for line in lines)
    assert "8 trials in this run; these data were not asked before" in lines
    assert "synthetic" not in " ".join(lines)
    (folder,) = (place / "results").glob("cross-BTC-1h-*")
    assert lines[-1] == f"results/{folder.name}"


def test_a_second_question_is_counted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same data asked again, with another seed; and the first question is not made anew."""
    assert go() == 0
    assert go("--seed", "2") == 0
    assert go() == 0

    said = capsys.readouterr().out
    assert "these data have been asked 8 questions before (8 of them about this strategy)" in said
    assert "this run was complete already and is shown as it is" in said
    assert len(list((place / "results").glob("cross-*"))) == 2


def test_a_set_parameter_is_not_searched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is typed after its range and stands in the command that repeats the run."""
    assert go("--set", "period=7", "--set", "flip=true") == 0

    assert "side=" in capsys.readouterr().out
    (folder,) = (place / "results").glob("cross-*")
    manifest = (folder / "manifest.json").read_text()
    assert "--set period=7 --set flip=true" in manifest


def test_the_command_in_the_manifest_repeats_the_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed in the same folder it finds the same run."""
    import json
    import shlex

    options = ["--set", "period=7", "--capital", "5000", "--anchored", "--purge", "2h"]
    assert go(*options, "--min-trades", "2", "--to", "2024-01-20") == 0
    (folder,) = (place / "results").glob("cross-*")
    command = json.loads((folder / "manifest.json").read_text())["command"]
    capsys.readouterr()

    assert run([*shlex.split(command)[1:], "--jobs", "1", "--no-report"]) == 0

    assert "this run was complete already" in capsys.readouterr().out


@pytest.fixture
def portfolio(place: Path) -> list[str]:
    """Return the words that run two strategies on two symbols of a store."""
    (place / "strategies" / "slow.py").write_text(CROSS.replace("class Cross", "class Slow"))
    bars, _ = read_bars(place / "BTC-1h.parquet")
    store = CandleStore(place / "data")
    store.append("binance", bars, "BTC", "1h")
    other = bars.copy()
    for name, source in (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")):
        other[name] = 1e6 / bars[source]
    store.append("binance", other, "ETH", "1h")
    return ["walkforward", "--strategy", "cross,slow", "--data", "binance", "--symbols", "BTC,ETH",
            "--timeframe", "1h", *SHORT, "--trials", "2", "--min-trades", "1"]  # fmt: skip


def test_a_portfolio_ends_with_shares_and_who_earned_what(
    portfolio: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shares of each window, then strategies, symbols, pairs and the account."""
    words = [*portfolio, "--weights", "0.6,0.4", "--set", "slow.period=12"]
    assert run(words) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cross+slow on BTC+ETH 1h, 2024-01-01 to 2024-01-21")
    assert lines[2] == "allocation fixed 0.6 : 0.4"
    assert lines[3].endswith("shares of cross / slow")
    assert all(line.endswith("60% / 40%") for line in lines[4:6])
    first = next(n for n, line in enumerate(lines) if line.startswith("strategy  symbol  trades"))
    named = [tuple(line.split()[:2]) for line in lines[first + 1 : first + 10]]
    assert named == [
        ("cross", "all"), ("slow", "all"), ("all", "BTC"), ("all", "ETH"), ("cross", "BTC"),
        ("cross", "ETH"), ("slow", "BTC"), ("slow", "ETH"), ("all", "all"),
    ]  # fmt: skip
    notes = [line for line in lines if line.startswith("note: ")]
    assert "note: cross sizes its own orders: its share of the account is not applied" in notes
    assert list((place / "results").glob("cross_slow-BTC+ETH-1h-*"))


@pytest.mark.parametrize(
    "more",
    [
        ["--no-limits", "--weights", "0.123456789,0.4"],
        ["--limit", "total_exposure=0.123456789", "--limit", "trades_per_day=1000000",
         "--allocation", "inverse-volatility", "--drawdown-aware", "--set", "slow.period=7"],
    ],
)  # fmt: skip
def test_the_command_of_a_portfolio_repeats_it(
    portfolio: list[str], more: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits, shares and parameters with all their digits."""
    import json
    import shlex

    assert run([*portfolio, *more]) == 0
    (folder,) = (place / "results").glob("cross_slow-*")
    command = json.loads((folder / "manifest.json").read_text())["command"]
    capsys.readouterr()

    assert run([*shlex.split(command)[1:], "--jobs", "1", "--no-report"]) == 0

    assert "this run was complete already" in capsys.readouterr().out


EXPERIMENT = """
title = "Cross"
hypothesis = "None: this is a test."

[strategy]
name = "cross"
parameters = { side = "long" }
ranges = { period = [4, 6] }

[data]
source = "BTC-1h.parquet"
timeframe = "1h"

[walk_forward]
train = "8d"
test = "4d"

[search]
trials = 4
min_trades = 1
"""


def test_an_experiment_file_says_it_all(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only how it is computed may be said beside it."""
    Path("x.toml").write_text(EXPERIMENT)

    assert run(["walkforward", "--experiment", "x.toml", "--jobs", "1", "--no-report"]) == 0
    assert re.search(r"period=[456]\n", capsys.readouterr().out)
    (folder,) = (place / "results").glob("cross-*")
    assert '"ftbt walkforward --experiment x.toml"' in (folder / "manifest.json").read_text()

    assert run(["walkforward", "--experiment", "x.toml", "--trials", "9"]) == 2
    assert "--trials can't be given with --experiment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "corss"], "- did you mean 'cross'?"),
        (["--trials", "0"], "--trials must be from 1 to 100000, not 0"),
        (["--train", "ninety"], "--train must be a duration such as 90d, 36h, 2w or 96 bars"),
        (["--objective", "sharp"], "objective 'sharp' is not known - did you mean 'sharpe'?"),
        (["--jobs", "0"], "--jobs must be from 1 to 1024, not 0"),
        (["--set", "perod=3"], "has no parameter 'perod' - did you mean 'period'?"),
        (["--set", "period=30"], "period must be a whole number from 3 to 12, not 30"),
        (["--set", "period"], "--set period: write name=value"),
        (["--engine", "fast"], "engine must be one of"),
        (["--capital", "0"], "capital must be from 1 to"),
        (["--from", "someday"], "time 'someday' is not understood"),
        (["--timeframe", "90x"], "timeframe '90x' is not understood"),
        (["--train", "300d"], "too little data for one window"),
        (["--data", "nowhere"], "--data 'nowhere' is neither a file nor an exchange"),
        (["--symbol", "BTC", "--symbol", "BTC"], "symbol BTC is given twice"),
        (["--selection", "worst"], "'worst' is not one of 'best', 'plateau'"),
        (["--experiment", "nofile.toml"], "can't be given with --experiment"),
    ],
)
def test_mistakes_are_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    """Exit code 2, nothing on stdout, no traceback, nothing computed."""
    assert go(*options) == 2

    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not list((place / "results").glob("cross-*"))


def test_without_a_strategy_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """The shortest wrong command."""
    assert run(["walkforward"]) == 2
    assert "give --strategy NAME, or --experiment FILE" in capsys.readouterr().err


def test_failed_windows_have_their_own_exit_codes(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 when some failed, 2 when all did; the reasons are printed."""
    broken = CROSS.replace(
        "        above = ",
        "        if self.data.datetime.date(0).isoformat() >= '2024-01-15':\n"
        "            raise RuntimeError('no such day')\n        above = ",
    )
    (place / "strategies" / "cross.py").write_text(broken)

    assert go() == 3
    said = capsys.readouterr().out
    assert "failed" in said
    assert "note: window 1 failed: " in said
    assert "no such day" in said

    assert go("--min-trades", "5000") == 2
    assert "none of 4 trials made 5000 trades in training" in capsys.readouterr().out


def test_every_option_belongs_to_a_key_of_the_experiment() -> None:
    """Options and experiment files can't drift apart."""
    names = {parameter.name for parameter in walkforward.params}

    assert set(KEYS) <= names
    for key in KEYS.values():
        table, name = key.split(".")
        part = Experiment.model_fields[table].annotation
        assert part is not None
        known = {item.alias or field for field, item in part.model_fields.items()}
        assert name in known


def test_the_defaults_in_the_help_are_the_models_own() -> None:
    """A default is written in one place and shown in another; both must agree."""
    shown = {
        parameter.name: parameter.show_default
        for parameter in walkforward.params
        if isinstance(parameter, click.Option) and isinstance(parameter.show_default, str)
    }
    money = Settings().as_dict()
    for name, key in KEYS.items():
        table, field = key.split(".")
        if name in money:
            assert float(str(shown[name])) == money[name]
        elif name in shown and name != "step":
            part = Experiment.model_fields[table].annotation
            assert part is not None
            fields = {item.alias or own: item for own, item in part.model_fields.items()}
            default = fields[field].default
            text = default[0] if isinstance(default, tuple) else str(default)
            assert shown[name] == text.removesuffix(" bars")


def test_help_shows_an_example_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer can copy the last line."""
    assert run(["walkforward", "--help"]) == 0

    said = capsys.readouterr().out
    assert "Example: ftbt walkforward --strategy liquidity_sweep" in said
    assert "Exit codes: 0 done" in said
    assert "walkforward" in cli.list_commands(click.Context(cli))


def test_set_values_are_typed_by_their_range(place: Path) -> None:
    """Whole numbers, numbers, words, true and false."""
    found = parameters_of("cross", ["period=7", "size=0.25", "side=long", "flip=yes"])
    assert found == {"period": 7, "size": 0.25, "side": "long", "flip": True}
    with pytest.raises(ParameterError, match="--set period is given twice"):
        parameters_of("cross", ["period=7", "period=8"])
