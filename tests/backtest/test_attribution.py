"""Who earned what: parts that add up to the whole, bar by bar."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.backtest.attribution import Attribution, Part, attribute
from ftbt.backtest.result import FILL, TRADE
from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.errors import IntegrityError

CAPITAL = 10_000.0
STRATEGIES = ("sweep", "gap", "block")
SYMBOLS = ("BTC", "ETH")
FIRST = 50  # bars of warm-up
START = 19_700 * DAY_MS
SUMS = ("trades", "net", "gross", "fees", "funding", "slippage", "open_profit", "risk")
FEE = 0.0005


class Ledger:
    """A second, slower book-keeper: one fill at a time, plain numbers, mean prices.

    It writes the records of a run and the account's equity as an engine would.
    """

    def __init__(self, closes: np.ndarray) -> None:
        self.closes = closes
        self.fills: list[dict] = []
        self.trades: list[dict] = []
        self.held: dict[tuple[int, int], float] = {}
        self.mean: dict[tuple[int, int], float] = {}
        self.open: dict[tuple[int, int], dict] = {}
        self.price = [math.nan] * closes.shape[1]
        self.cash = CAPITAL
        self.equity: list[float] = []
        self.flat: list[bool] = []

    def fill(self, row: int, who: tuple[int, int], signed: float, price: float) -> None:
        """Book a fill; one that goes through zero ends a trade and begins another."""
        held = self.held.get(who, 0.0)
        fee = abs(signed) * price * FEE
        self.fills.append(
            dict(
                bar=row + FIRST, side=math.copysign(1, signed), size=abs(signed), price=price,
                fee=fee, strategy=who[0], symbol=who[1],
            )
        )  # fmt: skip
        self.cash -= fee
        closing = -math.copysign(min(abs(held), abs(signed)), held) if held * signed < 0 else 0.0
        for part in (closing, round(signed - closing, 3)):
            if part:
                self._part(row, who, part, price, fee * part / signed)
        if not math.isfinite(self.price[who[1]]):
            self.price[who[1]] = price

    def _part(self, row: int, who: tuple[int, int], part: float, price: float, fee: float) -> None:
        held = self.held.get(who, 0.0)
        if held * part < 0:
            self.cash -= part * (price - self.mean[who])
        else:
            old = self.mean.get(who, 0.0)
            self.mean[who] = (old * abs(held) + price * abs(part)) / (abs(held) + abs(part))
            side = math.copysign(1, part)
            self.open.setdefault(
                who,
                dict(entry_bar=row + FIRST, side=side, cash=0.0, fees=0.0, funding=0.0, size=0.0,
                     entry_price=price),
            )  # fmt: skip
        self.held[who] = round(held + part, 3)
        trade = self.open[who]
        trade["cash"] -= part * price
        trade["fees"] += fee
        trade["size"] = max(trade["size"], abs(self.held[who]))
        if not self.held[who]:
            self._finish(row, who)

    def _finish(self, row: int, who: tuple[int, int]) -> None:
        trade = self.open.pop(who)
        gross = trade.pop("cash")
        stop = trade["entry_price"] * (1 - 0.02 * trade["side"]) if row % 3 else math.nan
        net = gross - trade["fees"] - trade["funding"]
        r = net / (trade["size"] * abs(trade["entry_price"] - stop))
        self.trades.append(
            dict(**trade, exit_bar=row + FIRST, gross=gross, net=net, stop=stop, r=r,
                 slippage=0.1, strategy=who[0], symbol=who[1])
        )  # fmt: skip

    def pay(self, who: tuple[int, int], amount: float) -> None:
        """Pay funding for an open position, at once."""
        self.cash -= amount
        self.open[who]["funding"] += amount

    def close_bar(self, row: int) -> None:
        """Mark the account."""
        for symbol, close in enumerate(self.closes[row]):
            self.price[symbol] = self.price[symbol] if math.isnan(close) else close
        open_profit = sum(
            size * (self.price[who[1]] - self.mean[who]) for who, size in self.held.items() if size
        )
        self.equity.append(self.cash + open_profit)
        self.flat.append(not any(self.held.values()))

    def records(self, rows: list[dict], layout: np.dtype) -> np.ndarray:
        """The rows as records of *layout*."""
        made = np.zeros(len(rows), layout)
        for k, row in enumerate(rows):
            for name, value in row.items():
                made[k][name] = value
        return made

    def attribute(self) -> Attribution:
        """The attribution of all that was booked."""
        return attribute(
            self.records(self.trades, TRADE), self.records(self.fills, FILL), times(self.closes),
            self.closes, CAPITAL, STRATEGIES, SYMBOLS, FIRST,
        )  # fmt: skip


def times(closes: np.ndarray) -> np.ndarray:
    """Opens of hourly bars."""
    return START + np.arange(len(closes)) * HOUR_MS


def random_run(seed: int, bars: int, *, missing: float = 0.0, ends_flat: bool = True) -> Ledger:
    """Entries, additions, partial exits, reversals and funding at random, and flat now and then."""
    random = np.random.default_rng(seed)
    moves = random.normal(0.0, 0.01, (bars, len(SYMBOLS)))
    closes = np.array([30_000.0, 0.02]) * np.exp(np.cumsum(moves, axis=0))
    shown = closes.copy()
    shown[random.random(closes.shape) < missing] = np.nan
    ledger = Ledger(shown)
    unit = np.array([0.1, 150_000.0])
    for row in range(bars):
        for who, held in list(ledger.held.items()):
            if held and random.random() < 0.3:
                ledger.pay(who, held * closes[row, who[1]] * random.normal(0.0, 1e-4))
            last = row == bars - 1 and ends_flat
            if held and (last or random.random() < 0.25):
                part = held if last else random.choice([held, held / 2, 2 * held])
                price = closes[row, who[1]] * random.uniform(0.99, 1.01)
                ledger.fill(row, who, -round(float(part), 3), float(price))
        if random.random() < 0.15 and row < bars - 1:
            who = (int(random.integers(len(STRATEGIES))), int(random.integers(len(SYMBOLS))))
            size = round(float(unit[who[1]] * random.uniform(-1.0, 1.0)), 3)
            if size and ledger.held.get(who, 0.0) * size >= 0:
                ledger.fill(row, who, size, float(closes[row, who[1]] * random.uniform(0.99, 1.01)))
        ledger.close_bar(row)
    return ledger


def one_trade(side: int = 1, strategy: int = 0) -> Ledger:
    """A position from the second bar to the fifth: 2 units from 100 to 110 without any cost."""
    path = (100.0, 105.0, 95.0, 108.0, 110.0, 120.0)
    ledger = Ledger(np.column_stack((path, np.full(len(path), 50.0))))
    for row in range(len(path)):
        if row in (1, 4):
            ledger.fill(
                row, (strategy, 0), side * (2.0 if row == 1 else -2.0), 100.0 + 10 * (row > 1)
            )
        ledger.close_bar(row)
    return ledger


RUNS = settings(deadline=None, max_examples=60)


@RUNS
@given(seed=st.integers(0, 100_000), bars=st.integers(2, 120), missing=st.floats(0.0, 0.5))
def test_the_sum_of_the_curves_is_the_account(seed: int, bars: int, missing: float) -> None:
    """At every bar that ends flat the curves add up to equity minus capital, to 1e-6."""
    ledger = random_run(seed, bars, missing=missing)
    got = ledger.attribute()
    equity = np.array(ledger.equity)

    assert got.flat.tolist() == ledger.flat
    assert got.flat[-1]
    apart = np.abs(equity - CAPITAL - got.total_curve())[got.flat]
    assert apart.max() < 1e-6
    assert got.largest_gap(equity, CAPITAL) == apart.max()


@RUNS
@given(seed=st.integers(0, 100_000), bars=st.integers(2, 120))
def test_without_funding_the_curves_are_the_account_at_every_bar(seed: int, bars: int) -> None:
    """What remains between flat bars is the funding of open trades, and nothing else."""
    ledger = random_run(seed, bars)
    for trade in ledger.trades:
        trade["funding"] = 0.0
    free = ledger.attribute()
    unpaid = Ledger(ledger.closes)
    for row in range(bars):
        for fill in [one for one in ledger.fills if one["bar"] == row + FIRST]:
            who = (fill["strategy"], fill["symbol"])
            unpaid.fill(row, who, fill["side"] * fill["size"], fill["price"])
        unpaid.close_bar(row)

    np.testing.assert_allclose(free.total_curve() + CAPITAL, unpaid.equity, rtol=0.0, atol=1e-6)


@RUNS
@given(seed=st.integers(0, 100_000), bars=st.integers(2, 120), ends_flat=st.booleans())
def test_parts_add_up_to_the_whole(seed: int, bars: int, ends_flat: bool) -> None:
    """Sums over strategies, over symbols and over pairs are the account's, in every column."""
    ledger = random_run(seed, bars, missing=0.2, ends_flat=ends_flat)
    got = ledger.attribute()
    for cut in (got.by_strategy, got.by_symbol, got.by_pair):
        for name in SUMS:
            total = math.fsum(getattr(part, name) for part in cut)
            assert total == pytest.approx(getattr(got.total, name), abs=1e-6), name
        if math.isfinite(got.total.variance_share):
            assert math.fsum(one.variance_share for one in cut) == pytest.approx(1.0, abs=1e-9)
        assert got.total.bars_held <= sum(part.bars_held for part in cut)
    np.testing.assert_allclose(got.strategy_curves().sum(axis=1), got.total_curve(), atol=1e-6)
    np.testing.assert_allclose(got.symbol_curves().sum(axis=1), got.total_curve(), atol=1e-6)
    assert got.total_curve()[-1] == pytest.approx(got.total.net + got.total.open_profit, abs=1e-6)


@RUNS
@given(seed=st.integers(0, 100_000), bars=st.integers(30, 120))
def test_each_part_is_what_it_would_be_alone(seed: int, bars: int) -> None:
    """A strategy's row and curve don't change when the others' records are taken away."""
    ledger = random_run(seed, bars, missing=0.1, ends_flat=False)
    whole = ledger.attribute()
    ledger.trades = [one for one in ledger.trades if one["strategy"] == 1]
    ledger.fills = [one for one in ledger.fills if one["strategy"] == 1]
    alone = ledger.attribute()

    np.testing.assert_array_equal(alone.total_curve(), whole.strategy_curves()[:, 1])
    for item in dataclasses.fields(Part):
        if item.name not in ("strategy", "variance_share"):
            mine, other = (getattr(one, item.name) for one in (whole.by_strategy[1], alone.total))
            assert mine == pytest.approx(other, abs=1e-9, nan_ok=True) or mine == other, item.name


@RUNS
@given(seed=st.integers(0, 100_000), bars=st.integers(2, 100))
def test_frames_agree_with_the_trades(seed: int, bars: int) -> None:
    """Counts, sums and rates of every pair are those of pandas over the trades."""
    ledger = random_run(seed, bars)
    trades = pd.DataFrame(ledger.records(ledger.trades, TRADE))
    table = ledger.attribute().frame()

    assert table["level"].tolist() == ["total"] + ["strategy"] * 3 + ["symbol"] * 2 + ["pair"] * 6
    pairs = table[table["level"] == "pair"].reset_index(drop=True)
    for k, row in pairs.iterrows():
        strategy, symbol = divmod(k, len(SYMBOLS))
        assert (row["strategy"], row["symbol"]) == (STRATEGIES[strategy], SYMBOLS[symbol])
        mine = trades[(trades["strategy"] == strategy) & (trades["symbol"] == symbol)]
        risk = (mine["size"] * (mine["entry_price"] - mine["stop"]).abs()).dropna()
        want = dict(
            trades=len(mine), net=mine["net"].sum(), fees=mine["fees"].sum(),
            funding=mine["funding"].sum(), win_rate=(mine["net"] > 0).mean(),
            mean_r=mine["r"].mean(), risk=risk.sum(), mean_risk=risk.mean(),
        )  # fmt: skip
        for name, value in want.items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_a_single_trade_by_hand() -> None:
    """Two units from 100 to 110: a curve of 0, 10, -10, 16, 20, 20 and its figures."""
    got = one_trade().attribute()
    fees = 2 * 100 * FEE, 2 * 110 * FEE
    curve = got.strategy_curves()[:, 0]

    first, both = fees[0], sum(fees)
    want = [0, 10 - first, -10 - first, 16 - first, 20 - both, 20 - both]
    np.testing.assert_allclose(curve, want, atol=1e-12)
    part = got.by_pair[0]
    assert repr(part) == repr(dataclasses.replace(got.total, strategy="sweep", symbol="BTC"))
    assert part.trades == 1
    assert part.win_rate == 1.0
    assert part.net == pytest.approx(20 - both)
    assert part.risk == part.mean_risk == pytest.approx(2 * 2.0)
    assert part.mean_r == pytest.approx((20 - both) / 4)
    assert part.bars_held == 4
    assert part.drawdown == pytest.approx(-20.0)
    assert part.drawdown_of_capital == pytest.approx(-0.002)
    assert got.flat.tolist() == [True, False, False, False, True, True]


def test_long_and_short_mirror_each_other() -> None:
    """The same trade on the other side has the opposite gross profit and the same costs."""
    long, short = one_trade(1).attribute(), one_trade(-1).attribute()

    assert short.total.gross == -long.total.gross
    assert short.total.fees == long.total.fees
    assert short.total.bars_held == long.total.bars_held
    np.testing.assert_allclose(long.total_curve() + short.total_curve(), [
        0.0, *[-2 * long.total.fees * 100 / 210] * 3, *[-2 * long.total.fees] * 2,
    ], atol=1e-12)  # fmt: skip


def test_the_fall_from_the_start_counts() -> None:
    """A part that loses from its first bar on has a drawdown, although it never had a gain."""
    ledger = Ledger(np.array([[90.0, 1.0], [80.0, 1.0], [90.0, 1.0]]))
    for row in range(3):
        if row == 0:
            ledger.fill(row, (0, 0), 2.0, 100.0)
        ledger.close_bar(row)

    assert ledger.attribute().total.drawdown == pytest.approx(-40.0 - 200 * FEE)


def test_names_follow_the_indices() -> None:
    """The same records under another strategy are that strategy's, all else being equal."""
    first, last = one_trade(strategy=0).attribute(), one_trade(strategy=2).attribute()

    # Their representations: a share that is undefined equals nothing, itself included.
    block = dataclasses.replace(first.by_strategy[0], strategy="block")
    sweep = dataclasses.replace(first.by_strategy[2], strategy="sweep")
    assert repr(last.by_strategy[2]) == repr(block)
    assert repr(last.by_strategy[0]) == repr(sweep)
    assert repr(last.total) == repr(first.total)


def test_strategies_in_another_order_keep_their_parts() -> None:
    """Renumbering strategies and symbols moves rows and changes no figure."""
    ledger = random_run(5, 120, missing=0.1)
    whole = ledger.attribute()
    for record in ledger.trades + ledger.fills:
        record["strategy"] = 2 - record["strategy"]
        record["symbol"] = 1 - record["symbol"]
    turned = attribute(
        ledger.records(ledger.trades, TRADE), ledger.records(ledger.fills, FILL),
        times(ledger.closes), ledger.closes[:, ::-1], CAPITAL, STRATEGIES[::-1], SYMBOLS[::-1],
        FIRST,
    )  # fmt: skip

    np.testing.assert_array_equal(turned.curves[:, ::-1], whole.curves)
    for mine, other in zip(turned.by_pair[::-1], whole.by_pair, strict=True):
        assert dataclasses.astuple(mine) == pytest.approx(dataclasses.astuple(other), nan_ok=True)


def test_a_hedge_has_a_negative_share_of_the_variance() -> None:
    """A strategy that offsets half of another one has -1 of the variance, the other one +2."""
    random = np.random.default_rng(3)
    closes = np.column_stack((100 * np.exp(np.cumsum(random.normal(0, 0.01, 240))), np.ones(240)))
    ledger = Ledger(closes)
    for row in range(240):
        if row == 0:
            ledger.fill(row, (0, 0), 2.0, closes[0, 0])
            ledger.fill(row, (1, 0), -1.0, closes[0, 0])
        ledger.close_bar(row)
    main, hedge, idle = ledger.attribute().by_strategy

    assert main.variance_share == pytest.approx(2.0, abs=0.01)
    assert hedge.variance_share == pytest.approx(-1.0, abs=0.01)
    assert idle.variance_share == 0.0


def test_the_variance_is_that_of_days() -> None:
    """Shares are numpy's covariance of the daily profits, a day ending with its last bar."""
    ledger = random_run(11, 120, ends_flat=False)
    got = ledger.attribute()
    daily = np.diff(got.strategy_curves()[23::24], axis=0, prepend=0.0)
    covariance = np.cov(daily.T).sum(axis=1)

    shares = [part.variance_share for part in got.by_strategy]
    np.testing.assert_allclose(shares, covariance / covariance.sum(), rtol=1e-9)


def test_open_positions_are_told_apart() -> None:
    """What a run holds at its end is marked in the curve, and is no trade yet."""
    ledger = Ledger(np.array([[100.0, 1.0], [103.0, 1.0]]))
    ledger.fill(0, (1, 0), 3.0, 100.0)
    ledger.close_bar(0)
    ledger.close_bar(1)
    part = ledger.attribute().by_strategy[1]

    assert (part.trades, part.net) == (0, 0.0)
    assert part.open_profit == pytest.approx(9.0 - 300 * FEE)
    assert part.bars_held == 2
    assert math.isnan(part.win_rate)


def test_lots_that_do_not_add_up_in_binary_are_flat() -> None:
    """0.3 bought and 0.1 and 0.2 sold leave nothing."""
    ledger = Ledger(np.full((4, 2), 100.0))
    for row, size in enumerate((0.3, -0.1, -0.2, 0.0)):
        if size:
            ledger.fill(row, (0, 0), size, 100.0)
        ledger.close_bar(row)
    got = ledger.attribute()

    assert got.flat.tolist() == [False, False, True, True]
    assert got.total.open_profit == 0.0


def test_a_fill_before_the_first_close_is_marked_at_its_price() -> None:
    """A symbol without a close yet shows the fee and no profit, until a close is known."""
    closes = np.array([[1.0, np.nan], [1.0, np.nan], [1.0, 52.0], [1.0, np.nan]])
    ledger = Ledger(closes)
    for row in range(4):
        if row == 0:
            ledger.fill(row, (0, 1), 1.0, 50.0)
        ledger.close_bar(row)
    curve = ledger.attribute().symbol_curves()[:, 1]

    np.testing.assert_allclose(curve + 50 * FEE, [0.0, 0.0, 2.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(curve + CAPITAL, ledger.equity, atol=1e-9)


def test_nothing_traded() -> None:
    """A run without a fill has zeros, undefined rates, and is flat throughout."""
    got = Ledger(np.full((48, 2), 100.0)).attribute()

    assert got.flat.all()
    assert not got.curves.any()
    assert got.largest_gap(np.full(48, CAPITAL), CAPITAL) == 0.0
    for part in (got.total, *got.by_strategy, *got.by_symbol, *got.by_pair):
        assert (part.trades, part.net, part.bars_held, part.drawdown) == (0, 0.0, 0, 0.0)
        assert math.isnan(part.win_rate)
        assert math.isnan(part.variance_share)
    assert len(got.frame()) == 1 + 3 + 2 + 6


def test_a_run_without_bars() -> None:
    """No bars are no error: all is zero or undefined."""
    got = Ledger(np.zeros((0, 2))).attribute()

    assert got.total.trades == 0
    assert got.curves.shape == (0, 6)
    assert got.largest_gap(np.zeros(0), CAPITAL) == 0.0
    assert got.curves_frame().empty


def test_curves_as_a_frame() -> None:
    """The frame has one row per bar and pair, with aware times in milliseconds."""
    got = one_trade(strategy=1).attribute()
    frame = got.curves_frame()

    assert len(frame) == 6 * 6
    assert str(frame["time"].dtype) == "datetime64[ms, UTC]"
    mine = frame[(frame["strategy"] == "gap") & (frame["symbol"] == "BTC")]
    np.testing.assert_array_equal(mine["profit"], got.strategy_curves()[:, 1])
    assert mine["time"].tolist() == [
        pd.Timestamp(START + k * HOUR_MS, unit="ms", tz="UTC") for k in range(6)
    ]


@pytest.mark.parametrize(
    ("rows", "name", "value", "words"),
    [
        ("fills", "bar", FIRST - 1, "fill 1 has bar 49, but the run has 50 to 55"),
        ("fills", "symbol", 2, "fill 1 has symbol 2, but the run has 0 to 1"),
        ("trades", "strategy", -1, "trade 0 has strategy -1, but the run has 0 to 2"),
        ("trades", "exit_bar", FIRST + 6, "trade 0 has exit_bar 56"),
    ],
)
def test_records_of_another_run_are_refused(rows: str, name: str, value: int, words: str) -> None:
    """A record that can't belong to the run is one line, not a wrong figure."""
    ledger = one_trade()
    getattr(ledger, rows)[-1][name] = value
    with pytest.raises(IntegrityError, match=words):
        ledger.attribute()
