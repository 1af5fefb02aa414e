"""Experiment files are read strictly, and every mistake is one line that names it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.backtest.settings import Settings
from ftbt.config import (
    AllocationPart,
    Duration,
    Experiment,
    RiskPart,
    load_experiment,
    make_experiment,
)
from ftbt.errors import ConfigError
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits, limit_names
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.objective import OBJECTIVES

WHOLE = """
title = "Sweeps on BTC"
hypothesis = "A swept pool that is reclaimed reverses."

[strategy]
name = "liquidity_sweep"
parameters = { bias = "4h", strict = true, risk = 0.01, hold = 12 }
ranges = { swing = [3, 9], side = ["long"] }

[data]
source = "binance"
symbols = ["BTC", "ETH"]
timeframe = "1h"
from = 2024-01-01
to = 2025-01-01T12:00:00Z
holes = "split"
detail = "1m"
fingerprint = "0123456789ab"

[backtest]
engine = "reference"
capital = 5000
taker_fee = 0.0005

[risk]
positions = 2
total_exposure = 1
daily_loss = 0.03

[allocation]
method = "fixed"
weights = [3, 1.5]
drawdown_aware = true
floor = 0.5

[walk_forward]
train = "120d"
test = "720 bars"
step = "60d"
purge = "1d"
embargo = 0
anchored = true
short_last = true

[search]
trials = 100
objective = "profit_factor"
min_trades = 30
selection = "plateau"
seed = 7
"""


def write(folder: Path, text: str) -> Path:
    """Return a file of *text*."""
    path = folder / "0001-test.toml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Every key arrives, with TOML's own dates as text and durations parsed."""
    found = load_experiment(write(tmp_path, WHOLE))

    assert found.strategy.parameters == {"bias": "4h", "strict": True, "risk": 0.01, "hold": 12}
    assert found.strategy.ranges == {"swing": (3, 9), "side": ("long",)}
    assert found.data.symbols == ("BTC", "ETH")
    assert (found.data.start, found.data.end) == ("2024-01-01", "2025-01-01T12:00:00+00:00")
    assert found.backtest.money() == {"capital": 5000.0, "taker_fee": 0.0005}
    assert found.risk.given() == {"positions": 2, "total_exposure": 1.0, "daily_loss": 0.03}
    assert found.allocation.given() == {
        "method": "fixed", "weights": (3.0, 1.5), "drawdown_aware": True, "floor": 0.5,
    }  # fmt: skip
    assert found.walk_forward.train == Duration(120, "d")
    assert found.walk_forward.test == Duration(720, "bars")
    assert found.walk_forward.embargo == Duration(0, "bars")
    assert (found.search.selection, found.search.seed) == ("plateau", 7)


def test_what_is_left_out_has_its_default() -> None:
    """Only the strategy must be named."""
    found = make_experiment({"strategy": {"name": "x"}})

    assert found.data.source == "sample"
    assert str(found.walk_forward.train) == "90d"
    assert found.walk_forward.step is None
    assert found.backtest.money() == {}
    assert found.risk.given() == {}
    assert found.risk.limits == "default"
    assert found.allocation.given() == {}


def test_an_experiment_cannot_be_changed() -> None:
    """Models are frozen."""
    found = make_experiment({"strategy": {"name": "x"}})

    with pytest.raises(ValueError, match="frozen"):
        found.search.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": {"trails": 3}}, "unknown key 'search.trails' - did you mean 'trials'?"),
        ({"serch": {"trials": 3}}, "unknown key 'serch' - did you mean 'search'?"),
        ({"data": {"start": "2024"}}, "unknown key 'data.start'; known here: source, symbols, t"),
        ({"search": {"trials": 0}}, "search.trials must be from 1 to 100000, not 0"),
        ({"search": {"trials": 2.5}}, "search.trials must be a whole number, not 2.5"),
        ({"search": {"trials": True}}, "search.trials must be a whole number, not True"),
        ({"search": {"seed": -1}}, "search.seed must be from 0 to 4294967295, not -1"),
        ({"search": {"selection": "plataeu"}}, "best, plateau, not 'plataeu' - did you mean 'pl"),
        ({"walk_forward": {"train": "90 dd"}}, "a duration such as 90d, 36h, 2w or 96 bars, not"),
        ({"walk_forward": {"train": 90}}, "walk_forward.train must be a duration"),
        ({"walk_forward": {"anchored": "yes"}}, "anchored must be true or false, not 'yes'"),
        ({"data": {"symbols": "BTC"}}, "data.symbols must be a list, not 'BTC'"),
        ({"data": {"symbols": []}}, "data.symbols must have at least 1 entries"),
        ({"data": {"symbols": ["BTC", 3]}}, "data.symbols.1 must be text in quotes, not 3"),
        ({"data": {"fingerprint": "abc"}}, "must have at least 8 characters, not 'abc'"),
        ({"data": {"holes": "fill"}}, "data.holes must be one of refuse, split, not 'fill'"),
        ({"backtest": {"capital": "much"}}, "backtest.capital must be a number, not 'much'"),
        ({"backtest": {"capital": math.inf}}, "backtest.capital must be a finite number, not inf"),
        ({"risk": {"positons": 2}}, "unknown key 'risk.positons' - did you mean 'positions'?"),
        ({"risk": {"positions": 2.0}}, "risk.positions must be a whole number, not 2.0"),
        ({"risk": {"drawdown": "deep"}}, "risk.drawdown must be a number, not 'deep'"),
        ({"risk": {"limits": "off"}}, "risk.limits must be one of default, none, not 'off'"),
        ({"allocation": {"weight": [1]}}, "'allocation.weight' - did you mean 'weights'?"),
        ({"allocation": {"weights": 0.5}}, "allocation.weights must be a list, not 0.5"),
        ({"allocation": {"weights": [1, "a"]}}, "allocation.weights.1 must be a number, not 'a'"),
        ({"allocation": {"weights": [math.nan]}}, "weights.0 must be a finite number, not nan"),
        ({"strategy": {"parameters": {"a": [1]}}}, "strategy.parameters.a must be a number, te"),
        ({"strategy": {"ranges": {"a": 3}}}, "strategy.ranges.a must be a list, not 3"),
        ({"strategy": "x"}, "strategy must be a table, not 'x'"),
        ({"search": {"trials": 0, "seed": -1}}, "not 0 (and 1 more)"),
    ],
)
def test_a_mistake_is_named_with_value_and_range(change: dict[str, Any], message: str) -> None:
    """Key, value, what is allowed, the nearest known key."""
    plain: dict[str, Any] = {"strategy": {"name": "x"}}
    for table, values in change.items():
        own = plain.get(table, {})
        plain[table] = {**own, **values} if isinstance(values, dict) else values

    with pytest.raises(ConfigError) as caught:
        make_experiment(plain, "x.toml: ")

    assert message in str(caught.value)
    assert str(caught.value).startswith("x.toml: ")
    assert "\n" not in str(caught.value)


def test_options_are_named_as_the_user_typed_them() -> None:
    """A command line has no tables."""
    with pytest.raises(ConfigError, match=r"^--trials must be from 1 to 100000, not 0$"):
        make_experiment(
            {"strategy": {"name": "x"}, "search": {"trials": 0}},
            names={"search.trials": "--trials"},
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE.replace("trials = 100", "trials = = 100"), "line 46 is not valid TOML: invalid val"),
        (WHOLE.replace('"Sweeps on BTC"', '"Sweeps'), "line 2 is not valid TOML"),
        (WHOLE + "\n[search]\n", "is not valid TOML"),
        (WHOLE.replace("hypothesis", "hypotheses"), "hypothesis is missing: an experiment says"),
        (WHOLE.replace("Sweeps on BTC", " "), "title is missing"),
        ("", "title is missing"),
        ('title = "', "is not valid TOML"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    """One line of text, whatever is wrong."""
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load_experiment(path)

    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """A typing mistake in a file name."""
    write(tmp_path, WHOLE)

    with pytest.raises(ConfigError, match=r"did you mean '0001-test\.toml'"):
        load_experiment(tmp_path / "0001-tets.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="cannot be read"):
        load_experiment(path)


@settings(deadline=None)
@given(amount=st.integers(0, 9_999_999), unit=st.sampled_from(["m", "h", "d", "w", "bars"]))
def test_durations_survive_being_written(amount: int, unit: str) -> None:
    """What is shown in a manifest can be typed in again."""
    duration = Duration(amount, unit)

    assert Duration.parse(str(duration)) == duration


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """Never another error."""
    try:
        found = Duration.parse(text)
    except ValueError:
        return
    assert found.amount >= 0


TABLES = ["strategy", "data", "backtest", "risk", "allocation", "walk_forward", "search"]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_refuses_unknown_keys(name: str) -> None:
    """Nothing in a file is ignored."""
    plain: dict[str, Any] = {"strategy": {"name": "x"}}
    plain[name] = {**plain.get(name, {}), "no_such_key": 1}

    with pytest.raises(ConfigError, match=f"unknown key '{name}.no_such_key'"):
        make_experiment(plain)
    assert name in Experiment.model_fields


ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "experiment-file.md"


def rows_of(heading: str) -> dict[str, list[str]]:
    """Return the first table under *heading* of the reference: key -> further cells."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    part = part.split("\n## ")[0]
    cells = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): [cell.strip(" `") for cell in row[1:]] for row in cells}


@pytest.mark.parametrize("table", TABLES)
def test_the_reference_has_every_key_with_its_default(table: str) -> None:
    """The page and the models can't drift apart."""
    part = Experiment.model_fields[table].annotation
    assert part is not None
    fields = {item.alias or name: item for name, item in part.model_fields.items()}
    rows = {key: row for key, row in rows_of(f"`[{table}]`").items() if key not in OBJECTIVES}
    # What is left out of these tables is the default of another class.
    elsewhere = {**Settings().as_dict(), **Limits().as_dict(), **Allocation().as_dict()}
    elsewhere = {name: value for name, value in elsewhere.items() if fields.get(name) is not None
                 and fields[name].default is None}  # fmt: skip

    assert list(rows) == list(fields)
    for key, (default, _) in rows.items():
        shown = default.strip('"')
        if fields[key].is_required():
            assert shown == "required"
        elif key in elsewhere:
            assert float(shown) == elsewhere[key]
        elif shown not in ("all", "none", "as test", "{}", "as `test"):
            own = fields[key].default
            text = str(list(own)).replace("'", '"') if isinstance(own, tuple) else str(own)
            assert shown == {"False": "false", "0 bars": "0"}.get(text, text)


def test_the_reference_has_every_objective() -> None:
    """With its own words."""
    rows = rows_of("`[search]`")

    for name, objective in OBJECTIVES.items():
        assert rows[name] == [objective.text]


def test_limits_and_shares_have_a_key_each() -> None:
    """A limit or a setting of the shares that can't be asked for would be no setting."""
    assert set(RiskPart.model_fields) == {"limits", *limit_names()}
    assert set(AllocationPart.model_fields) == set(Allocation().as_dict())
    assert AllocationPart().method == Allocation().method


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_experiments_of_the_project_are_sound(path: Path) -> None:
    """Each can be read, and its strategy is there."""
    found = load_experiment(path)

    assert find_strategy(found.strategy.name).name == found.strategy.name
    assert path.name in (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
