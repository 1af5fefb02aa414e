"""Which strategies the compiled engine runs, what it says of others, and what it keeps."""

from __future__ import annotations

import dataclasses
import textwrap

import backtrader as bt
import numpy as np
import pytest
from parity_kit import ByCode, Question, by_code, code_of

from ftbt import smc
from ftbt.backtest import objects, prepared
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.parity import compare
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Funding
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import HOUR_MS
from ftbt.errors import FtbtError, InputError, ParameterError, StrategyBroken
from ftbt.ranges import Choice
from ftbt.strategy import Setup
from ftbt.strategy.loader import find_strategy

STILL = (0, 0, 1, 1, 0)


def wave(count=120):
    """Return a question with a setup at every third bar of a wave."""
    long, short = code_of(side=1, target1=2), code_of(side=2, target1=2)
    rows = [(0, 3 if i // 8 % 2 else -3, 1, 1, (0, long, short)[i % 3]) for i in range(count)]
    return Question(rows, parameters={"unit": 0.03})


def answers(strategy, question=None):
    """Return the answers of both engines, asserted equal."""
    question = question or wave()
    one, other = question.ask("compiled", strategy), question.ask("reference", strategy)
    assert compare(one, other) == ""
    assert (one.engine, other.engine) == ("compiled", "reference")
    return one


# --- which strategies ------------------------------------------------------------------------


class WithNext(ByCode):
    """Has a next() of its own."""

    def next(self):
        """Do as always."""
        super().next()


class Careful:
    """Mixed into a strategy."""

    def notify_trade(self, trade):
        """Do nothing."""


class Mixed(Careful, ByCode):
    """Replaces a method by way of a mixin."""


class Plain(bt.Strategy):
    """An ordinary Backtrader strategy."""

    def next(self):
        """Buy once."""
        if not self.position:
            self.buy(size=1.0)


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        (WithNext, "WithNext has its own next()"),
        (Mixed, "Mixed has its own notify_trade()"),
        (Plain, "Plain has a next() of its own"),
    ],
)
def test_a_strategy_with_methods_of_its_own_runs_on_the_reference_engine(strategy, reason):
    """`auto` falls back and says why; `compiled` is refused with the same reason."""
    question = dataclasses.replace(wave(), parameters={})
    fallen = question.ask("auto", strategy)
    assert fallen.engine == "reference"
    assert f"reference engine: {reason}" in fallen.notes
    assert question.ask("reference", strategy).notes == fallen.notes[:-1]
    with pytest.raises(InputError) as caught:
        question.ask("compiled", strategy)
    assert str(caught.value) == (
        f"the compiled engine can't run {strategy.__name__}: {reason}; use --engine auto"
    )


def test_an_unknown_engine_is_told_with_the_nearest_one():
    """A misspelt engine is refused, with the one that was meant."""
    with pytest.raises(InputError, match="not 'compield' - did you mean 'compiled'"):
        wave().ask("compield")


def test_a_setup_strategy_runs_compiled_by_default():
    """`auto` takes the compiled engine and says nothing of it."""
    answer = wave().ask("auto")
    assert answer.engine == "compiled"
    assert not any("engine" in note for note in answer.notes)
    assert len(answers(ByCode).trades) > 10


SEEN = []


class Curious(ByCode):
    """Looks around in its __init__."""

    def __init__(self):
        super().__init__()
        SEEN.append(
            (
                isinstance(self, Curious),
                self.p.unit,
                self.data._name,
                self.data.candles.symbol,
                self.getdatabyname("TEST") is self.data,
                self.broker.getvalue(),
                self.broker.getcash(),
                self.position.size,
                len(self.data),
            )
        )


def test_the_strategy_object_is_the_same_on_both_engines():
    """What a strategy can see in its __init__ does not depend on the engine."""
    SEEN.clear()
    answers(Curious)
    assert len(SEEN) == 2
    assert SEEN[0] == SEEN[1]
    assert SEEN[0] == (True, 0.03, "TEST", "TEST", True, 10_000.0, 10_000.0, 0, 0)


class Arithmetic(ByCode):
    """Computes with a line in its __init__."""

    def __init__(self):
        super().__init__()
        self.wide = smc.AverageTrueRange(self.data).atr > 1.0


class Averaged(ByCode):
    """Hands a line to an indicator of Backtrader, whose 30 bars it then waits for."""

    def __init__(self):
        super().__init__()
        self.mean = bt.ind.SMA(smc.AverageTrueRange(self.data), period=30)


class Waiting(ByCode):
    """Waits for an indicator of Backtrader."""

    def __init__(self):
        super().__init__()
        self.mean = bt.ind.SMA(self.data, period=25)


class Labelled(ByCode):
    """Asks a line for its lines."""

    def __init__(self):
        super().__init__()
        line = smc.AverageTrueRange(self.data)
        self.count = len(line.lines) + len(list(line.lines))
        line.plotinfo.plot = False


@pytest.mark.parametrize("strategy", [Arithmetic, Averaged, Waiting, Labelled])
def test_lines_in_backtraders_own_terms_run_compiled_too(strategy):
    """A strategy that computes with lines in its __init__ runs compiled, from the same bar on."""
    answer = answers(strategy)
    plain = answers(ByCode)
    first = {Averaged: 29, Waiting: 24}.get(strategy, 0)
    assert answer.orders["bar"][0] >= first
    assert (compare(answer, plain) == "") == (first == 0)
    assert smc.AverageTrueRange.plotinfo.plot is True


class OneWay(ByCode):
    """Narrows the choice of a parameter of all strategies."""

    params = dict(direction="short")
    ranges = dict(direction=Choice("short", "long"))


@pytest.mark.parametrize("direction", ["short", "long"])
def test_a_narrowed_choice_keeps_its_meaning(direction):
    """`direction="short"` trades short, also where a strategy lists its words in another order."""
    question = dataclasses.replace(wave(), parameters={"direction": direction, "unit": 0.03})
    sides = set(answers(OneWay, question).trades["side"].tolist())
    assert sides == {-1 if direction == "short" else 1}


# --- broken strategies -----------------------------------------------------------------------

HEAD = """
    import math
    import backtrader as bt
    from ftbt import smc
    from ftbt.strategy import Setup, SetupStrategy, setup_rule

    @setup_rule
    def rule(bar, atr, p, setup):
        {rule}

    class Mine(SetupStrategy):
        def __init__(self):
            {start}
            self.setup = {setup}
            {end}
"""
GOOD = dict(
    rule="setup.side = 0",
    start="super().__init__()",
    setup="Setup(rule, smc.AverageTrueRange(self.data))",
    end="pass",
)


@pytest.fixture(scope="module")
def calm():
    """Two days of the synthetic market."""
    return sample_market(["BTC"], days=2)["BTC"]


def broken(folder, **parts):
    """Return a strategy file with *parts* that differ from a good one."""
    path = folder / "mine.py"
    path.write_text(textwrap.dedent(HEAD).format(**{**GOOD, **parts}))
    return find_strategy(str(path))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            dict(rule="setup.stop = bar.close + 'a'"),
            (
                "rule rule (mine.py:9) can't be compiled: No implementation of function Function("
                "<built-in function add>) found for signature: add(float64, Literal[str](a))"
            ),
        ),
        (
            dict(rule="setup.stop = nothing"),
            "rule rule (mine.py:7) can't be compiled: NameError: name 'nothing' is not defined",
        ),
        (
            dict(rule="setup.stop = math.nothing(1.0)"),
            (
                "rule rule (mine.py:7) stopped with AttributeError: module 'math' has no attribute"
                " 'nothing'"
            ),
        ),
        (
            dict(rule="setup.stop = atr.att"),
            "rule rule (mine.py:9): nothing it is given has a field 'att' - did you mean 'atr'?",
        ),
        (
            dict(rule="setup.stopp = 1.0"),
            "rule rule (mine.py:9): nothing it is given has a field 'stopp' - did you mean 'stop'?",
        ),
        (dict(rule="raise ValueError('no')"), "rule rule (mine.py:9) stopped with ValueError: no"),
        (
            dict(rule="setup.side = 1; setup.kind = 7"),
            (
                "rule rule (mine.py:7) sets side 1 and kind 7: side must be +1, -1 or 0, kind"
                " MARKET, LIMIT, STOP or STOP_LIMIT"
            ),
        ),
        (dict(end="raise RuntimeError('boom')"), "stopped with RuntimeError: boom (mine.py:15)"),
        (dict(end="raise bt.StrategySkipError"), "refused to start (StrategySkipError)"),
        (dict(setup="None"), "Mine.__init__ must set self.setup = Setup(rule, lines...)"),
        (dict(start="pass"), "Mine.__init__ must begin with super().__init__()"),
        (
            dict(setup="Setup(rule)"),
            (
                "stopped with TypeError: the rule 'rule' takes 1 lines (atr), but 0 were given"
                " (mine.py:14)"
            ),
        ),
        (
            dict(end="self.buy(size=1.0)"),
            "an order was sent before the warm-up was over (mine.py:15)",
        ),
        (
            dict(setup="Setup(rule, smc.AverageTrueRange(self.data, length=self.p.nix))"),
            " object has no attribute 'nix' (mine.py:14)",
        ),
    ],
)
def test_a_broken_strategy_is_told_in_one_line(tmp_path, calm, parts, told):
    """Whatever is wrong with a strategy file is one line with its place, on both engines."""
    strategy = broken(tmp_path, **parts)
    for engine in ("compiled", "reference"):
        with pytest.raises(StrategyBroken) as caught:
            run_backtest(strategy, calm, engine=engine)
        message = str(caught.value)
        assert message.startswith("strategy mine")
        assert message.endswith(told)
        assert "\n" not in message


def test_a_line_with_an_unknown_parameter_is_told(tmp_path, calm):
    """A misspelt parameter of a line is told with the right one."""
    strategy = broken(tmp_path, setup="Setup(rule, smc.AverageTrueRange(self.data, lenght=3))")
    with pytest.raises(ParameterError, match="no parameter 'lenght' - did you mean 'length'"):
        run_backtest(strategy, calm, engine="compiled")


def test_an_error_leaves_nothing_behind(tmp_path, calm):
    """A strategy that broke once does not change how a good one runs."""
    with pytest.raises(FtbtError):
        run_backtest(broken(tmp_path, end="1 / 0"), calm)
    good = broken(tmp_path)
    assert run_backtest(good, calm).engine == "compiled"
    assert good.load() not in objects._NEED_BACKTRADER


# --- what is kept between runs ---------------------------------------------------------------


def test_the_same_question_has_the_same_answer_again():
    """A second run of one question, with everything cached, gives the same bits."""
    question = wave()
    first = question.ask("compiled")
    for _ in range(2):
        again = question.ask("compiled")
        for name in ("orders", "fills", "trades", "equity"):
            assert getattr(first, name).tobytes() == getattr(again, name).tobytes()


def test_nothing_of_another_market_or_setting_is_reused(calm):
    """Funding, detail, slippage and notes are those of the run, whatever ran before."""
    cls = find_strategy("fvg_fill").load()
    values = {"bias": "none", "min_confidence": 0.0, "min_rr": 0.5}
    market = sample_market(["SOL"], days=8, detail=True, seed=5)["SOL"]
    dear = Funding("SOL", market.candles.time[::4], np.full(len(market.candles.time[::4]), 0.01))
    late = dataclasses.replace(dear, time=dear.time + HOUR_MS // 2)
    markets = [
        market,
        dataclasses.replace(market, detail=None),
        dataclasses.replace(market, funding=None),
        dataclasses.replace(market, funding=dear),
        dataclasses.replace(market, funding=late),
        market.slice(100, 700),
    ]
    settings = [Settings(), Settings(half_spread=0.002), Settings(slippage_atr=0.5)]
    seen = {}
    for one in markets:
        for money in settings:
            result = run_backtest(cls, one, values, money, engine="compiled")
            assert compare(result, run_backtest(cls, one, values, money, engine="reference")) == ""
            assert len(result.trades)
            seen[result.equity.tobytes(), result.notes] = (one, money)
    assert len(seen) == len(markets) * len(settings)
    for (equity, notes), (one, money) in reversed(seen.items()):
        result = run_backtest(cls, one, values, money, engine="compiled")
        assert (result.equity.tobytes(), result.notes) == (equity, notes)


def test_a_funding_table_is_told_from_another_at_the_same_place():
    """Rates that come to lie where others were in memory are not taken for those."""
    question = wave()
    results = set()
    for rate in np.linspace(0.0, 0.05, 40):
        asked = dataclasses.replace(question, funding=[(0, rate), (60, rate), (120, rate)])
        results.add(float(asked.ask("compiled").equity[-1]))
    assert len(results) == 40


def test_what_is_kept_is_bounded():
    """The least recently used goes when the room is used up; the newest always stays."""
    kept = prepared.Kept(100)
    for number in range(10):
        kept.put((number,), number, 30, ())
        assert kept.get((0,)) == 0  # and so it is the one used last
    assert [number for number in range(10) if kept.get((number,)) is not None] == [0, 8, 9]
    kept.put(("large",), "large", 1000, ())
    assert kept.get(("large",)) == "large"
    assert kept.get((9,)) is None


def test_the_equity_has_one_value_per_evaluated_bar():
    """The curve begins at `trade_from`, with the capital, and ends with the run's end."""
    question = dataclasses.replace(wave(), trade_from=50)
    answer = answers(ByCode, question)
    assert len(answer.equity) == len(answer.time) == 70
    assert answer.equity[0] == 10_000.0
    assert answer.orders["bar"].min() >= 50
    last = dataclasses.replace(wave(), trade_from=119)
    assert len(answers(ByCode, last).orders) == 0


def test_a_market_without_a_setup_costs_nothing():
    """A rule that never speaks leaves the capital as it is."""
    answer = answers(ByCode, Question([STILL] * 30))
    assert (answer.equity == 10_000.0).all()
    assert len(answer.orders) == len(answer.fills) == len(answer.trades) == 0
    assert answer.refused == {}


def a_setup():
    """Return a setup, the bars of its market and the parameters of its rule."""
    market = wave().market()
    strategy = objects.make_strategy(ByCode, {"unit": 0.03}, market, Settings())
    setup = Setup(by_code, smc.AverageTrueRange(strategy.data))
    return setup, market.candles.bars, strategy._packed[0]


def test_setups_are_the_same_at_once_and_where_they_are_heard():
    """The setups that are heard are those of the whole series that say something."""
    setup, bars, parameters = a_setup()
    heard, said = setup.heard(bars, parameters)
    whole = setup.series(bars, parameters)
    assert heard.tolist() == np.flatnonzero(whole["side"]).tolist()
    assert said.tobytes() == whole[heard].tobytes()


def test_a_rule_is_not_asked_at_bars_that_only_warm_the_lines_up():
    """From the bar on that is named the same setups are heard, before it none."""
    setup, bars, parameters = a_setup()
    heard, said = setup.heard(bars, parameters)
    assert len(heard) > 1
    later, told = setup.heard(bars, parameters, int(heard[1]))
    assert later.tolist() == heard[1:].tolist()
    assert told.tobytes() == said[1:].tobytes()
