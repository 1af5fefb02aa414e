"""Finding strategies: by name and by place, and what is said when there is none."""

from __future__ import annotations

import pickle
from pathlib import Path

import backtrader as bt
import pytest

from ftbt.errors import StrategyBroken, StrategyNotFound
from ftbt.strategy.loader import find_strategy, strategy_names

ONE = "import backtrader as bt\nclass Mine(bt.Strategy):\n    pass\n"


def test_shipped_strategies_are_found_by_name() -> None:
    """The three shipped strategies load by the name of their file."""
    assert {"liquidity_sweep", "fvg_fill", "bos_orderblock"} <= set(strategy_names())
    assert find_strategy("liquidity_sweep").class_name == "LiquiditySweep"


def test_a_wrong_name_gets_the_nearest_one() -> None:
    """A misspelt name is answered with the right one."""
    with pytest.raises(StrategyNotFound, match="did you mean 'liquidity_sweep'"):
        find_strategy("liqudity_sweep")


def test_a_place_names_file_and_class(tmp_path: Path) -> None:
    """`path.py:Class` loads exactly that class; a lone class needs no name."""
    file = tmp_path / "two.py"
    file.write_text(ONE + "class Other(Mine):\n    pass\n")

    assert find_strategy(f"{file}:Other").load().__name__ == "Other"
    with pytest.raises(StrategyNotFound, match="name one"):
        find_strategy(str(file))
    with pytest.raises(StrategyNotFound, match="did you mean 'Other'"):
        find_strategy(f"{file}:Othr")


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    """A path that does not exist is not searched for among the names."""
    with pytest.raises(StrategyNotFound, match="no strategy file"):
        find_strategy(str(tmp_path / "none.py"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Mine(:\n", "line 1 can't be loaded: SyntaxError"),
        ("import nothing_like_this\n", "line 1 can't be loaded: ModuleNotFoundError"),
        ("x = 1\n\nboom\n", "line 3 can't be loaded: NameError"),
        ("x = 1\n", "defines no class"),
    ],
)
def test_a_broken_file_is_told_apart_from_a_missing_one(
    tmp_path: Path, text: str, message: str
) -> None:
    """The error has file, line and the original error, which is chained."""
    file = tmp_path / "broken.py"
    file.write_text(text)

    with pytest.raises(StrategyBroken) as caught:
        find_strategy(str(file))

    assert message in str(caught.value)


def test_a_reference_can_be_sent_to_another_process(tmp_path: Path) -> None:
    """A reference survives pickling and loads the same class."""
    file = tmp_path / "one.py"
    file.write_text(ONE)

    again = pickle.loads(pickle.dumps(find_strategy(str(file))))

    assert issubclass(again.load(), bt.Strategy)


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    """A run never goes on with another strategy than it began with."""
    file = tmp_path / "one.py"
    file.write_text(ONE)
    found = find_strategy(str(file))
    file.write_text(ONE + "# edited\n")

    with pytest.raises(StrategyBroken, match="changed"):
        found.load()


def test_an_alias_is_no_second_strategy(tmp_path: Path) -> None:
    """A lone class with Backtrader's `alias` needs no name; the alias still finds it."""
    file = tmp_path / "cross.py"
    file.write_text(
        "import backtrader as bt\nclass Crossing(bt.Strategy):\n    alias = ('Crossed',)\n"
    )

    assert find_strategy(str(file)).class_name == "Crossing"
    assert issubclass(find_strategy(f"{file}:Crossed").load(), find_strategy(str(file)).load())


def test_a_script_that_runs_itself_is_told_what_to_move(tmp_path: Path) -> None:
    """A copied script's own Cerebro fails on its own data; only the class is wanted."""
    file = tmp_path / "script.py"
    file.write_text(ONE + "cerebro = bt.Cerebro()\ncerebro.addstrategy(Mine)\nopen('no.csv')\n")

    with pytest.raises(StrategyBroken, match=r"line 6 can't be loaded.*move what runs a Cerebro"):
        find_strategy(str(file))


def test_a_neighbour_that_is_not_read_is_named(tmp_path: Path) -> None:
    """A run is known by one file: what lies beside it would change unseen."""
    (tmp_path / "beside.py").write_text("SIZE = 1\n")
    file = tmp_path / "leans.py"
    file.write_text("from beside import SIZE\n" + ONE)

    with pytest.raises(StrategyBroken, match=r"beside\.py beside it is not read.*into one file"):
        find_strategy(str(file))
