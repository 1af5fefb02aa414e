"""The ledger counts every trial once, whoever writes and whatever is killed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ftbt.errors import StorageError
from ftbt.walkforward.ledger import COLUMNS, Counted, Ledger
from ftbt.walkforward.result import (
    Manifest,
    PlanFacts,
    SearchFacts,
    StrategyFacts,
    SymbolFacts,
    WindowFacts,
)

DAY = 86_400_000


def symbol(name: str = "BTC", first: int = 0, last: int = 100, **more: object) -> SymbolFacts:
    """Return the facts of days *first* to *last* of a real symbol."""
    facts = SymbolFacts(
        name, "1h", "binance", False, first * DAY, last * DAY, 24, 1, 0, f"{name}-{first}-{last}",
        None, None, None, 3, 20.0, 10.0,
    )  # fmt: skip
    return dataclasses.replace(facts, **more)  # type: ignore[arg-type]


def manifest(run_id: str, *data: SymbolFacts, strategy: str = "sweep") -> Manifest:
    """Return the manifest of a run of three windows."""
    windows = tuple(
        WindowFacts(k, ((k * DAY, (k + 5) * DAY),), ((k + 5) * DAY, (k + 6) * DAY))
        for k in range(3)
    )
    plan = PlanFacts("5d", "1d", "1d", "0", "0", False, False, 10, 0)
    search = SearchFacts(10, "sharpe", "", 10, "best", 1, "")
    names = tuple(strategy.split("+"))
    facts = StrategyFacts(strategy, names, "Sweep", "sweep.py", "abc", "", {}, {}, {})
    given = data or (symbol(),)
    return Manifest(
        1, run_id, "", "", given[0].synthetic, facts, given, plan, windows, search, {}, "", {},
        "auto", {"ftbt": "0.1.0"}, "code", "ftbt walkforward",
    )  # fmt: skip


def test_every_search_has_one_row(tmp_path: Path) -> None:
    """With all columns of the reference."""
    ledger = Ledger(tmp_path)
    run = manifest("run-1", symbol(), symbol("ETH"))

    assert ledger.count(run, [Counted(0, "done", 10), Counted(1, "failed", 4)]) == 14

    first, second = ledger.rows()
    assert (first.run_id, first.window, first.state, first.trials) == ("run-1", "0", "done", "10")
    assert (second.window, second.state, second.trials) == ("1", "failed", "4")
    assert first.symbols == "BTC+ETH"
    assert first.train_from == "1970-01-01T00:00:00+00:00"
    assert first.train_to == "1970-01-06T00:00:00+00:00"
    assert (tmp_path / "ledger.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_resumed_search_is_not_counted_twice(tmp_path: Path) -> None:
    """A later row has only what is new; the sum of the column is the number of trials."""
    ledger = Ledger(tmp_path)
    run = manifest("run-1")

    assert ledger.count(run, [Counted(0, "stopped", 4)]) == 4
    assert ledger.count(run, [Counted(0, "stopped", 4)]) == 0
    assert ledger.count(run, [Counted(0, "done", 10)]) == 6
    assert ledger.count(run, [Counted(0, "done", 10)]) == 0

    assert [row.trials for row in ledger.rows()] == ["4", "6"]
    assert ledger.counted("run-1") == {0: 10}


def test_earlier_questions_of_the_same_data_are_found(tmp_path: Path) -> None:
    """By fingerprint, or by coin and overlapping time, whatever the strategy or bar length."""
    ledger = Ledger(tmp_path)
    ledger.count(manifest("same"), [Counted(0, "done", 1)])
    ledger.count(manifest("other-venue", symbol("BTCUSDT", 50, 150, source="bybit")),
                 [Counted(0, "done", 10)])  # fmt: skip
    ledger.count(manifest("other-strategy", strategy="fvg"), [Counted(0, "done", 100)])
    ledger.count(manifest("later", symbol("BTC", 100, 200)), [Counted(0, "done", 1000)])
    ledger.count(manifest("other-coin", symbol("SOL")), [Counted(0, "done", 10_000)])
    made_up = symbol(synthetic=True, source="synthetic market (seed 7)", fingerprint="7")
    ledger.count(manifest("made-up", made_up), [Counted(0, "done", 100_000)])

    found = ledger.earlier(manifest("new"))

    assert (found.trials, found.of_strategy, found.runs) == (111, 11, 3)


def test_a_strategy_is_known_alone_and_beside_others(tmp_path: Path) -> None:
    """Trials of a run of several strategies count for each of them, and the other way round."""
    ledger = Ledger(tmp_path)
    ledger.count(manifest("alone", strategy="sweep"), [Counted(0, "done", 1)])
    ledger.count(manifest("both", strategy="sweep+fvg"), [Counted(0, "done", 10)])
    ledger.count(manifest("third", strategy="sweeper"), [Counted(0, "done", 100)])

    assert ledger.earlier(manifest("new", strategy="sweep")).of_strategy == 11
    assert ledger.earlier(manifest("new", strategy="fvg")).of_strategy == 10
    assert ledger.earlier(manifest("new", strategy="fvg+sweep")).of_strategy == 11
    assert ledger.earlier(manifest("new", strategy="fvg+sweeper")).of_strategy == 110


def test_a_run_is_not_its_own_earlier_question(tmp_path: Path) -> None:
    """Repeating a run asks nothing new."""
    ledger = Ledger(tmp_path)
    ledger.count(manifest("run-1"), [Counted(0, "done", 10)])

    assert ledger.earlier(manifest("run-1")).trials == 0


def test_made_up_markets_are_told_apart_by_their_seed(tmp_path: Path) -> None:
    """Another seed is another market; another bar length of one seed is the same."""
    ledger = Ledger(tmp_path)
    seven = symbol(synthetic=True, source="synthetic market (seed 7)", fingerprint="7")
    ledger.count(manifest("seven", seven), [Counted(0, "done", 10)])

    longer = dataclasses.replace(seven, source=f"{seven.source}, resampled from 15m",
                                 fingerprint="7-1h")  # fmt: skip
    eight = dataclasses.replace(seven, source="synthetic market (seed 8)", fingerprint="8")
    assert ledger.earlier(manifest("longer", longer)).trials == 10
    assert ledger.earlier(manifest("eight", eight)).trials == 0


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    """A kill in the middle of a line costs that line, which is then written again."""
    ledger = Ledger(tmp_path)
    ledger.count(manifest("run-1"), [Counted(0, "done", 10), Counted(1, "done", 10)])
    whole = ledger.path.read_text()
    ledger.path.write_text(whole[:-20])

    assert ledger.counted("run-1") == {0: 10}
    ledger.count(manifest("run-1"), [Counted(1, "done", 10)])

    assert ledger.counted("run-1") == {0: 10, 1: 10}
    assert len(ledger.path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "is not a ledger of this version"),
        (",".join(COLUMNS) + "\n1,2\n", "line 2 is not a row"),
        (",".join(COLUMNS) + "\n" + ",".join(["x"] * len(COLUMNS)) + "\n", "line 2 is not a row"),
    ],
)
def test_a_damaged_ledger_is_never_counted_silently(
    tmp_path: Path, content: str, message: str
) -> None:
    """Wrong counts would be worse than none."""
    (tmp_path / "ledger.csv").write_text(content)

    with pytest.raises(StorageError, match=message):
        Ledger(tmp_path).rows()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_ledger import Counted, Ledger, manifest
for k in range(20):
    Ledger(Path(sys.argv[2])).count(manifest(f"run-{sys.argv[3]}-{k}"), [Counted(0, "done", 3)])
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    """Three processes append 20 rows each at the same time, and all 60 are there, whole."""
    here = str(Path(__file__).parent)
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, here, str(tmp_path), str(k)])
        for k in range(3)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]

    rows = Ledger(tmp_path).rows()
    assert len({row.run_id for row in rows}) == 60
    assert sum(int(row.trials) for row in rows) == 180
