"""What a strategy may not do, and how it is told: one line with the place in the user's file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, ClassVar

import backtrader as bt
import numpy as np
import pytest
from user_kit import RUNS, market_of, rows, run, walk

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Status
from ftbt.errors import InputError, ParameterError, StrategyBroken
from ftbt.ranges import Float, Int
from ftbt.smc import Swings
from ftbt.strategy import Setup, SetupStrategy, setup_rule
from ftbt.strategy.loader import find_strategy

FLAT = (100.0, 101.0, 99.0, 100.0)

NAN, INF = float("nan"), float("inf")


def _sends(**order: Any) -> type[bt.Strategy]:
    class Sends(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(**order)

    return Sends


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (dict(size=NAN), "size must be a number above 0, not nan"),
        (dict(size=INF), "size must be a number above 0, not inf"),
        (dict(size=1, exectype=bt.Order.Limit, price=NAN), "price must be a number above 0"),
        (dict(size=1, exectype=bt.Order.Limit, price=-5.0), "price must be .*, not -5.0"),
        (dict(size=1, exectype=bt.Order.Stop, price=0), "price must be a number above 0, not 0"),
        (dict(size=1, exectype=bt.Order.Stop, price="110"), None),
        (dict(size=1, exectype=bt.Order.Stop, price="high"), "price must be .*, not 'high'"),
        (dict(size=1, exectype=bt.Order.StopLimit, price=101, plimit=NAN), "plimit must be"),
        (dict(size=1, exectype=99), "exectype must be one of bt.Order.Market, .* not 99"),
        (dict(size=1, exectype="limit"), "exectype must be one of .* not 'limit'"),
        (dict(size=1, exectype=bt.Order.Historical), "exectype must be one of"),
        (dict(size=1, exectype=bt.Order.StopTrail), "needs trailamount .* or trailpercent"),
        (dict(size=1, exectype=bt.Order.StopTrail, trailamount=-1), "trailamount must be"),
        (dict(size=1, exectype=bt.Order.StopTrail, trailpercent=5), "trailpercent .* below 1"),
        (dict(size=1, exectype=bt.Order.StopTrailLimit, trailamount=1), "needs plimit"),
        (dict(size=1, valid="tomorrow"), "valid must be a datetime, date, timedelta or days"),
        (dict(size=1, valid=NAN), "valid must be"),
    ],
)
def test_an_order_that_cannot_be_meant_stops_the_run(
    order: dict[str, Any], message: str | None
) -> None:
    """The one-line error names the strategy, the field, the value, and the line of the call."""
    if message is None:
        run(_sends(**order), rows(FLAT, FLAT, FLAT))
        return
    with pytest.raises(StrategyBroken, match=message) as caught:
        run(_sends(**order), rows(FLAT, FLAT, FLAT))
    text = str(caught.value)
    assert text.startswith("strategy Sends: ")
    assert "(test_engine_errors.py:" in text
    assert "\n" not in text


def test_size_zero_is_no_order() -> None:
    """As in Backtrader, an order of size 0 is not sent."""

    class Nothing(bt.Strategy):
        def next(self):
            RUNS.append(self.buy(size=0))

    RUNS.clear()
    assert len(run(Nothing, rows(FLAT, FLAT)).orders) == 0
    assert RUNS == [None, None]


def test_an_order_beyond_the_margin_is_told_and_counted() -> None:
    """A market order that the equity can't carry ends with the status Margin; its stop with it."""

    class Large(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.told = []
            RUNS.append(self)

        def notify_order(self, order):
            self.told.append((len(self), order.getstatusname(), order.executed.size))

        def next(self):
            if len(self) == 1:
                self.buy_bracket(size=1001, exectype=bt.Order.Market, stopprice=90, limitexec=None)

    RUNS.clear()
    result = run(Large, rows(FLAT, FLAT, FLAT))
    assert result.orders["status"].tolist() == [Status.MARGIN, Status.CANCELLED]
    assert result.refused == {"not enough margin": 1}
    assert (2, "Margin", 0) in RUNS[0].told


def test_an_error_in_next_names_file_and_line(tmp_path: Path) -> None:
    """What a strategy file raises comes as one line with the place in that file, chained."""
    path = tmp_path / "backtrader_ftbt.py"  # no name of a folder or file misleads it
    path.write_text(
        "import backtrader as bt\n\n\nclass Bad(bt.Strategy):\n    def next(self):\n"
        "        self.level = 1 / (self.data.close[0] - self.data.close[0])\n"
    )
    with pytest.raises(StrategyBroken) as caught:
        run_backtest(find_strategy(f"{path}:Bad"), market_of(rows(FLAT, FLAT)))
    assert str(caught.value) == (
        "strategy bad stopped with ZeroDivisionError: float division by zero (backtrader_ftbt.py:6)"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_place_is_the_users_even_inside_a_library() -> None:
    """An error that a library raises is told with the user's line that called it."""

    class Deep(bt.Strategy):
        def next(self):
            np.linalg.inv(np.zeros((2, 2)))

    with pytest.raises(StrategyBroken, match=r"Singular matrix \(test_engine_errors.py:\d+"):
        run(Deep, rows(FLAT, FLAT))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda s: s.broker.set_coc(True), "set_coc.*first trades in the next bar"),
        (lambda s: s.broker.set_coo(True), "set_coo"),
        (lambda s: s.broker.setcommission(0.001), "setcommission.*settings of the run"),
        (lambda s: s.broker.set_slippage_perc(0.01), "set_slippage_perc.*settings of the run"),
        (lambda s: s.broker.setcash(5), "setcash.*capital is a setting"),
        (lambda s: s.broker.set_filler(None), "set_filler.*fill as a whole"),
        (lambda s: s.broker.addcommissioninfo(None), "addcommissioninfo.*settings"),
        (lambda s: s.broker.nonsense, "AttributeError: the broker has no 'nonsense'"),
        (lambda s: s.datas[1].close[0], r"self.datas\[1\] is not there"),
    ],
)
def test_what_the_broker_does_not_do_is_said(call: Any, why: str) -> None:
    """Backtrader's switches that would break the execution model or hide a cost are refused."""

    class Uses(bt.Strategy):
        def __init__(self):
            super().__init__()
            call(self)

    with pytest.raises(StrategyBroken, match=why + r".*test_engine_errors.py:\d+\)"):
        run(Uses, rows(FLAT, FLAT))


def test_deciding_at_the_open_is_refused() -> None:
    """next_open() and cheating timers, which plain Backtrader would ignore or obey, are named."""

    class AtOpen(bt.Strategy):
        def next_open(self):
            self.buy()

    class Cheat(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.add_timer(when=dt.time(9, 0), cheat=True)

    with pytest.raises(StrategyBroken, match=r"next_open\(\) is not supported"):
        run(AtOpen, rows(FLAT, FLAT))
    with pytest.raises(StrategyBroken, match=r"cheat=True.*is not supported"):
        run(Cheat, rows(FLAT, FLAT))


def test_a_strategy_that_skips_itself_is_told() -> None:
    """StrategySkipError, Backtrader's way to refuse parameters, is an error of a single run."""

    class Skips(bt.Strategy):
        def __init__(self):
            raise bt.errors.StrategySkipError

    with pytest.raises(StrategyBroken, match="Skips: it refused to start"):
        run(Skips, rows(FLAT, FLAT))


@setup_rule
def quiet(bar, swings, p, setup):
    """Say nothing."""


@setup_rule
def misspelt(bar, swings, p, setup):
    """Read a line's output that is not there."""
    if swings.hihg_event > 0.0:
        setup.side = 1


@setup_rule
def two_lines(bar, swings, structure, p, setup):
    """Take two lines."""


@setup_rule
def wrong_kind(bar, swings, p, setup):
    """Give a word for a price."""
    setup.stop = "low"


def _setup_strategy(make: Any, begin: bool = True) -> type[SetupStrategy]:
    class Made(SetupStrategy):
        def __init__(self):
            if begin:
                super().__init__()
            self.setup = make(self)

    return Made


@pytest.mark.parametrize("engine", ["reference", "bar-by-bar", "compiled"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: None, "must set self.setup = Setup"),
        (lambda s: Setup(quiet), "takes 1 lines .swings., but 0 were given"),
        (lambda s: Setup(two_lines, Swings(s.data)), "takes 2 lines .swings, structure."),
        (lambda s: Setup(quiet, s.data.close), "'swings' is a LineBuffer: use it in a next"),
        (lambda s: Setup(quiet, bt.ind.SMA(period=3)), "'swings' is a .*: use it in a next"),
        (lambda s: Setup(lambda bar: None, Swings(s.data)), "must be a function under @setup_rule"),
        (lambda s: Setup(misspelt, Swings(s.data)), "'hihg_event' - did you mean 'high_event'?"),
        (lambda s: Setup(wrong_kind, Swings(s.data)), "can't be compiled: Cannot cast"),
    ],
)
def test_a_wrong_setup_is_told(make: Any, message: str, engine: str) -> None:
    """A strategy without setup, with too few or wrong lines, or a rule that can't be: one line."""
    with pytest.raises(StrategyBroken, match=message) as caught:
        run(_setup_strategy(make), walk(30), engine=engine)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_forgotten_super_init_is_told(engine: str) -> None:
    """A setup strategy that does not call super().__init__() is told to."""
    cls = _setup_strategy(lambda s: Setup(quiet, Swings(s.data)), begin=False)
    with pytest.raises(StrategyBroken, match=r"must begin with super\(\).__init__\(\)"):
        run(cls, walk(30), engine=engine)


class Plain(bt.Strategy):
    """An ordinary strategy."""


def test_engines_are_named() -> None:
    """An unknown engine gets the nearest name; the compiled one says what it can't run."""
    with pytest.raises(InputError, match="did you mean 'reference'"):
        run(Plain, walk(30), engine="referense")
    with pytest.raises(InputError, match=r"can't run Plain: Plain has a next\(\) of its own"):
        run(Plain, walk(30), engine="compiled")


class Typed(bt.Strategy):
    """A plain strategy with declared and undeclared parameters."""

    params = (("period", 5), ("mode", "fast"), ("thing", None), ("stake", 0.5))
    ranges: ClassVar = {"period": Int(2, 50), "stake": Float(0.1, 2.0)}

    def __init__(self):
        super().__init__()
        RUNS.append((self.p.period, self.p.mode, self.p.thing, self.p.stake))


def test_parameters_of_a_plain_strategy() -> None:
    """Declared ranges are held; words and None can be set to anything; a wrong name is told."""
    RUNS.clear()
    run(Typed, walk(30), parameters={"mode": "slow", "thing": (1, 2), "period": 7})
    assert RUNS == [(7, "slow", (1, 2), 0.5)]
    with pytest.raises(ParameterError, match="period must be a whole number from 2 to 50, not 51"):
        run(Typed, walk(30), parameters={"period": 51})
    with pytest.raises(ParameterError, match="no parameter 'periods' - did you mean 'period'"):
        run(Typed, walk(30), parameters={"periods": 5})


def test_an_indicator_without_its_package_is_told() -> None:
    """Without TA-Lib, Backtrader's module of its indicators is empty and says nothing of it."""
    if hasattr(bt.talib, "SAR"):
        pytest.skip("TA-Lib is here")

    class Borrows(bt.Strategy):
        def __init__(self):
            super().__init__()
            bt.talib.SAR(self.data.high, self.data.low)

    with pytest.raises(StrategyBroken, match=r"no attribute 'SAR'; install TA-Lib"):
        run(Borrows, rows(FLAT, FLAT))
