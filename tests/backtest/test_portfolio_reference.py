"""The reference engine on several symbols and strategies: one account, one order of events."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from symbols_kit import BAR_MS, FLAT, Coded, leg, limited, play, scripted, stretch
from user_kit import COSTLY, FREE, START, market_of, walk

from ftbt.backtest.loop import BarLoop
from ftbt.backtest.portfolio import Stretch
from ftbt.backtest.result import ExitReason, Result, Role, Status
from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.errors import InputError, StrategyBroken
from ftbt.risk.allocation import Allocation, drawdown_scale
from ftbt.strategy.loader import find_strategy
from ftbt.strategy.records import Refusal

TABLES = ("orders", "fills", "trades", "refusals", "equity")


def same(one: Result, other: Result) -> None:
    """Assert that two results are the same to the last bit."""
    for name in TABLES:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def rise(first: float, step: float, count: int) -> list[tuple[float, float, float, float]]:
    """Bars that open where the last one closed."""
    edges = first + step * np.arange(count + 1)
    return [(a, max(a, b) + 1, min(a, b) - 1, b) for a, b in pairwise(edges)]


def buys(size: float, **more: Any) -> Any:
    """Return an action: buy at the market."""
    return lambda strategy: strategy.buy(size=size, **more)


# --- one account ----------------------------------------------------------------------------------


def test_two_symbols_are_one_account() -> None:
    """Profits of both symbols meet in one equity; every row says whose it is."""
    up, down = rise(100, 2, 5), rise(200, -4, 5)
    cls = scripted({("AAA", 1): buys(10), ("BBB", 2): lambda s: s.sell(size=5)})
    result = play([cls], [stretch("AAA", up), stretch("BBB", down)])
    # AAA from the open of bar 1 (102), BBB from the open of bar 2 (192).
    assert result.equity.tolist() == [10_000, 10_020, 10_060, 10_100, 10_140]
    assert result.symbols == ("AAA", "BBB")
    assert result.trades["symbol"].tolist() == [0, 1]
    assert result.trades["exit_reason"].tolist() == [ExitReason.END] * 2
    assert result.orders["id"].tolist() == [1, 2, 3, 4], "numbers count over all symbols"
    assert result.orders["symbol"].tolist() == [0, 1, 0, 1]
    assert result.closes.shape == (5, 2)


def test_margin_that_one_symbol_uses_is_missing_to_the_other() -> None:
    """Initial margins add up; what does not fit is refused with what was needed and was there."""
    cls = scripted({("AAA", 1): buys(600), ("BBB", 2): buys(401), ("BBB", 3): buys(400)})
    result = play([cls], [stretch("AAA", [FLAT] * 6), stretch("BBB", [FLAT] * 6)])
    sent = result.orders[result.orders["role"] == Role.ENTRY]
    assert sent["status"].tolist() == [Status.FILLED, Status.MARGIN, Status.FILLED]
    refusal = result.refusals[0]
    assert (refusal["rule"], refusal["bar"], refusal["symbol"]) == (Refusal.NO_MARGIN, 2, 1)
    assert (refusal["figure"], refusal["limit"]) == (pytest.approx(10_010.0), 10_000.0)
    assert refusal["time"] == START + 2 * BAR_MS


def test_symbols_are_liquidated_by_what_the_account_has_left() -> None:
    """The equity must carry the maintenance of both symbols; the other one stays."""
    # 500 of each at 100: 10x together. Maintenance is 2.5 % of the notional: 1,250 for BBB.
    fall = (100.0, 101.0, 80.0, 90.0)
    cls = scripted({("AAA", 1): buys(500), ("BBB", 1): buys(500)})
    rows = [FLAT, FLAT, fall, FLAT]
    result = play([cls], [stretch("AAA", rows), stretch("BBB", [FLAT] * 4)])
    first = result.trades[0]
    assert (first["symbol"], first["exit_reason"]) == (0, ExitReason.LIQUIDATION)
    # 10,000 + 500 (p - 100) - 1,250 = 500 p x 0.025
    assert first["exit_price"] == pytest.approx(41_250 / 487.5)
    assert result.trades["exit_reason"][1] == ExitReason.END
    alone = play([cls], [stretch("AAA", rows)])
    assert alone.trades["exit_price"][0] == pytest.approx(40_000 / 487.5)


def test_a_loss_ends_where_the_account_ends() -> None:
    """A gap that ruins the account through one symbol leaves nothing, and never less."""
    crash = (60.0, 61.0, 59.0, 60.0)
    cls = scripted({("AAA", 1): buys(500), ("BBB", 1): buys(400)})
    rows = [FLAT, FLAT, crash, crash, crash]
    result = play([cls], [stretch("AAA", rows), stretch("BBB", rows)])
    assert result.equity.min() == 0.0
    assert result.equity[-1] == 0.0
    assert result.trades["net"].sum() == pytest.approx(-10_000.0)


# --- holes and late listings ----------------------------------------------------------------------


def test_a_symbol_with_a_hole_is_flat_between_its_stretches() -> None:
    """It leaves at the last close before the hole, with cost, while the other goes on."""
    hold = {("AAA", 1): buys(1), ("BBB", 1): buys(1)}
    parts = [stretch("AAA", [FLAT] * 3), stretch("AAA", [FLAT] * 4, start=5)]
    result = play([scripted(hold)], [stretch("BBB", [FLAT] * 9), *parts], COSTLY)
    assert result.symbols == ("BBB", "AAA")
    trades = result.trades[result.trades["symbol"] == 1]
    assert trades["entry_bar"].tolist() == [1, 6], "bars count on the run's clock"
    assert trades["exit_bar"].tolist() == [2, 8]
    assert (trades["slippage"] > 0.0).all()
    assert trades["entry_time"][1] == START + 6 * BAR_MS
    other = result.trades[result.trades["symbol"] == 0]
    assert (other["entry_bar"].tolist(), other["exit_bar"].tolist()) == ([1], [8])
    assert np.isnan(result.closes[3:5, 1]).all()
    assert len(result.equity) == 9


def test_a_strategy_is_asked_only_when_its_own_symbol_has_a_bar() -> None:
    """Before a listing and in a hole nothing of its object runs; extremes are its own candles'."""
    late = [(50.0, 60.0, 45.0, 50.0)] * 4
    cls = scripted({("BBB", 2): buys(1)})
    for engine in ("reference", "bar-by-bar"):
        result = play(
            [cls], [stretch("AAA", [FLAT] * 8), stretch("BBB", late, start=3)], engine=engine
        )
        assert [bar for bar, _ in leg("AAA").seen] == list(range(1, 9))
        assert [bar for bar, _ in leg("BBB").seen] == [1, 2, 3, 4]
        trade = result.trades[0]
        assert (trade["entry_bar"], trade["exit_bar"]) == (5, 6)
        assert (trade["mae"], trade["mfe"]) == (pytest.approx(-0.1), pytest.approx(0.2))


def test_warm_up_bars_of_one_symbol_may_be_the_others_test() -> None:
    """The curve begins with the first bar that anyone may trade; each stretch has its own."""
    cls = scripted({(name, bar): buys(1) for name in ("AAA", "BBB") for bar in (3, 5)})
    result = play(
        [cls], [stretch("AAA", [FLAT] * 8, trade_from=2), stretch("BBB", [FLAT] * 8, trade_from=4)]
    )
    assert len(result.equity) == 6
    assert [bar for bar, _ in leg("AAA").seen] == [3, 4, 5, 6, 7, 8]
    assert [bar for bar, _ in leg("BBB").seen] == [5, 6, 7, 8]


def test_a_stretch_that_is_too_short_is_named() -> None:
    """Fewer bars than an indicator needs: the error says of which symbol."""

    class Slow(bt.Strategy):
        def __init__(self):
            super().__init__()
            self.sma = bt.ind.SMA(period=6)

    with pytest.raises(InputError, match="need 6 bars, but there are 5 of BBB"):
        play([Slow], [stretch("AAA", [FLAT] * 8), stretch("BBB", [FLAT] * 5)])


# --- several strategies ---------------------------------------------------------------------------

TWO = [(Coded, {"code": 1}, 0.5), (Coded, {"code": 2}, 0.5)]


def test_strategies_size_by_their_share() -> None:
    """Half of the account at 2 % risk, 5 % away: 20 coins at 100; a quarter: 10."""
    stretches = [stretch("AAA", [FLAT] * 5, {0: 1}), stretch("BBB", [FLAT] * 5, {0: 2})]
    result = play([(Coded, {"code": 1}, 0.5), (Coded, {"code": 2}, 0.25)], stretches)
    assert result.trades["size"].tolist() == [20.0, 10.0]
    assert result.trades["strategy"].tolist() == [0, 1]


def test_a_symbol_belongs_to_one_strategy_at_a_time() -> None:
    """What another strategy holds or waits for is refused; once it is over the symbol is free."""
    rows = [FLAT, FLAT, FLAT, (100.0, 101.0, 94.0, 100.0), FLAT, FLAT, FLAT]
    result = play(TWO, [stretch("AAA", rows, {0: 1, 2: 2, 3: 2})])
    assert result.refusals["rule"].tolist() == [Refusal.ONE_PER_SYMBOL]
    assert (result.refusals["bar"][0], result.refusals["strategy"][0]) == (2, 1)
    assert result.trades["strategy"].tolist() == [0, 1]
    assert result.trades["entry_bar"].tolist() == [1, 4]
    forced = result.orders[-1]
    assert (forced["strategy"], forced["role"]) == (1, Role.EXIT)


def test_the_first_strategy_decides_first_on_all_its_symbols() -> None:
    """Of the setups at one close the first strategy's come first, by symbol."""
    volumes = {0: 1}
    one = [stretch(name, [FLAT] * 4, volumes) for name in ("AAA", "BBB", "CCC")]
    both = [(Coded, {"code": 1, "stop": 0.05}, 0.5), (Coded, {"code": 1, "stop": 0.1}, 0.5)]
    result = play(both, one, limited(positions=2))
    entered = result.orders[(result.orders["role"] == Role.ENTRY)]
    assert entered["symbol"].tolist() == [0, 1]
    assert entered["strategy"].tolist() == [0, 0]
    refused = [(int(row["strategy"]), int(row["symbol"]), int(row["rule"])) for row in
               result.refusals]  # fmt: skip
    taken, full = Refusal.ONE_PER_SYMBOL, Refusal.POSITIONS
    assert refused == [(0, 2, full), (1, 0, taken), (1, 1, taken), (1, 2, full)]


def test_shares_shrink_in_a_strategys_own_drawdown() -> None:
    """After a loss its next size is that of `drawdown_scale`; the other strategy's is not."""
    fall = (100.0, 101.0, 90.0, 100.0)
    rows = [FLAT, FLAT, fall, FLAT, FLAT, FLAT]
    stretches = [stretch("AAA", rows, {0: 1, 3: 1}), stretch("BBB", [FLAT] * 6, {3: 2})]
    aware = Allocation(drawdown_aware=True, cut_at=0.1, floor=0.25)
    result = play(TWO, stretches, allocation=aware)
    scale = drawdown_scale(4_900.0, 5_000.0, 0.1, 0.25)
    sizes = {(int(t["strategy"]), int(t["entry_bar"])): float(t["size"]) for t in result.trades}
    assert sizes[0, 1] == 20.0
    assert sizes[0, 4] == pytest.approx(0.02 * 9_900 * 0.5 * scale / 5, abs=0.01)
    assert sizes[1, 4] == pytest.approx(0.02 * 9_900 * 0.5 / 5, abs=0.01)
    assert scale == pytest.approx(0.85)


def test_a_users_own_strategy_stands_beside_a_setup_strategy() -> None:
    """Its position is not shown to the other, its orders are, and each is told of its own."""
    own = scripted({("AAA", 1): buys(1), ("AAA", 4): lambda s: s.close(), ("BBB", 2): buys(1)})
    rows = [FLAT] * 9
    stretches = [stretch("AAA", rows, {1: 2, 5: 2}), stretch("BBB", rows, {0: 2})]
    sleeves = [(own, {}, 0.5), (Coded, {"code": 2}, 0.5)]
    results = [play(sleeves, stretches, engine=one) for one in ("reference", "bar-by-bar")]
    same(*results)
    result = results[0]
    rules = [(int(r["strategy"]), int(r["symbol"]), int(r["bar"])) for r in result.refusals]
    assert rules == [(0, 1, 1), (1, 0, 1)]
    assert set(result.refusals["rule"].tolist()) == {Refusal.ONE_PER_SYMBOL}
    assert dict(leg("AAA").seen)[3] == 1.0
    assert set(dict(leg("BBB").seen).values()) == {0.0}, "the position there is the other's"
    assert leg("BBB").told == [(3, "Submitted", 0.0), (3, "Rejected", 0.0)]
    ends = result.trades[["symbol", "strategy", "entry_bar"]].tolist()
    assert sorted(ends) == [(0, 0, 1), (0, 1, 6), (1, 1, 1)]


def test_an_order_for_another_symbol_is_an_error() -> None:
    """A strategy object trades its own data; the error names the strategy and the line."""

    class Astray(bt.Strategy):
        def next(self):
            self.buy(data="BBB", size=1)

    with pytest.raises(StrategyBroken, match=r"Astray: data 'BBB' is not there.*AAA.*py:\d+"):
        play([Coded, Astray], [stretch("AAA", [FLAT] * 3), stretch("BBB", [FLAT] * 3)])


def test_an_error_names_the_strategy_that_made_it() -> None:
    """Of two strategies, the one whose code raised the error."""

    class Fine(bt.Strategy):
        """Does nothing."""

    class Wrong(bt.Strategy):
        def next(self):
            raise ValueError("no")

    class Early(bt.Strategy):
        def __init__(self):
            raise ValueError("no")

    two = [stretch("AAA", [FLAT] * 3), stretch("BBB", [FLAT] * 3)]
    for engine in ("reference", "bar-by-bar"):
        for cls in (Wrong, Early):
            with pytest.raises(StrategyBroken, match=f"strategy {cls.__name__} stopped with Value"):
                play([Fine, cls], two, engine=engine)


def test_any_strategy_may_stop_the_run() -> None:
    """runstop() ends all symbols flat at that close, and every strategy is told of its own exit."""

    def stop(strategy):
        strategy.cerebro.runstop()

    cls = scripted({("AAA", 1): buys(1), ("BBB", 1): buys(2), ("BBB", 4): stop})
    for engine in ("reference", "bar-by-bar"):
        result = play(
            [cls], [stretch("AAA", [FLAT] * 9), stretch("BBB", [FLAT] * 9)], engine=engine
        )
        assert result.trades["exit_bar"].tolist() == [3, 3]
        assert len(result.equity) == 9
        for name, size in (("AAA", -1.0), ("BBB", -2.0)):
            assert leg(name).told[-1][1:] == ("Completed", size)


# --- the same run in several ways -----------------------------------------------------------------


def _random(count: int = 700) -> list[Stretch]:
    """Three symbols, two of them with a hole or a late listing."""
    markets = [market_of(walk(count, seed)) for seed in (1, 2, 3)]
    found = []
    for name, market, cuts in zip(
        ("AAA", "BBB", "CCC"), markets, ([0, count], [150, count], [0, 300, 310, count]),
        strict=True,
    ):  # fmt: skip
        candles = dataclasses.replace(market.candles, symbol=name)
        rules = dataclasses.replace(market.instrument, symbol=name)
        for first, stop in zip(cuts[::2], cuts[1::2], strict=True):
            found.append(Stretch(Market(candles.slice(first, stop), rules)))
    return found


class Crossing(bt.Strategy):
    """A user's strategy with indicators, brackets and notes of what it is told."""

    params = (("fast", 5), ("slow", 20))

    def __init__(self):
        super().__init__()
        self.cross = bt.ind.CrossOver(
            bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        )
        self._addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        self.heard: list[Any] = []
        HEARD.append(self)

    def notify_order(self, order):
        self.heard.append((len(self), order.status, order.executed.size))

    def notify_trade(self, trade):
        self.heard.append((len(self), trade.size, trade.pnlcomm))

    def next(self):
        if self.position or not self.cross[0]:
            return
        close = self.data.close[0]
        enter = self.buy_bracket if self.cross[0] > 0 else self.sell_bracket
        side = 1 if self.cross[0] > 0 else -1
        enter(
            size=60, exectype=bt.Order.Market, stopprice=close * (1 - side * 0.01),
            limitprice=close * (1 + side * 0.02),
        )  # fmt: skip


HEARD: list[Any] = []


@pytest.mark.parametrize("way", ["bar-by-bar", "backtrader's loop", "again"])
def test_several_symbols_and_strategies_are_the_same_in_every_way(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bar by bar, in Backtrader's own loop, or once more: the same bits, and the same is told."""
    sleeves = [Crossing, (Crossing, {"fast": 3, "slow": 12}, 0.5)]
    told = []
    results = []
    for usual in (True, False):
        HEARD.clear()
        if not usual and way == "backtrader's loop":
            monkeypatch.setattr(BarLoop, "_is_simple", lambda *_: False)
        engine = "bar-by-bar" if not usual and way == "bar-by-bar" else "reference"
        settings = dataclasses.replace(COSTLY, limits=limited(total_exposure=0.05).limits)
        results.append(play([sleeves[0], sleeves[1]], _random(), settings, engine))
        told.append([(one.heard, repr(one.analyzers.trades.get_analysis())) for one in HEARD])
    same(*results)
    assert told[0] == told[1]
    assert len(results[0].trades) > 60
    assert set(results[0].trades["strategy"].tolist()) == {0, 1}
    assert set(results[0].trades["symbol"].tolist()) == {0, 1, 2}
    kinds = set(results[0].refusals["rule"].tolist())
    assert kinds >= {Refusal.ONE_PER_SYMBOL, Refusal.TOTAL_EXPOSURE}


def test_setup_strategies_on_several_symbols_bar_by_bar() -> None:
    """Shipped strategies under the default limits: made at once as bar by bar, as live will."""
    markets = sample_market(["BTC", "SOL"], days=14)
    stretches = [
        Stretch(markets["BTC"]),
        Stretch(markets["SOL"].slice(100, 600)),
        Stretch(markets["SOL"].slice(640, len(markets["SOL"].candles))),
    ]
    sleeves = [
        (find_strategy(name).load(), dict(bias="none", min_confidence=0.0), 0.5)
        for name in ("liquidity_sweep", "fvg_fill")
    ]
    settings = dataclasses.replace(FREE, taker_fee=0.0005, limits=limited(positions=1).limits)
    aware = Allocation(drawdown_aware=True, cut_at=0.05)
    one, two = (
        play(sleeves, stretches, settings, engine, aware) for engine in ("reference", "bar-by-bar")
    )
    same(one, two)
    assert len(one.trades) > 20
    assert {Refusal.POSITIONS, Refusal.ONE_PER_SYMBOL} <= set(one.refusals["rule"].tolist())
