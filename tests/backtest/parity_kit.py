"""Random questions for two engines: markets with gaps and ties, setups of every kind.

A question is made of small whole numbers, so that a counter-example shrinks to a small table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.compiled import compiled
from ftbt.data.candles import Candles, Funding, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS, Timeframe
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.risk.limits import Limits
from ftbt.smc.baselines import AverageTrueRange
from ftbt.strategy import Setup, SetupStrategy, setup_rule
from ftbt.strategy.parameters import ranges_of

START = 473_000 * HOUR_MS

# The digits of a bar's volume say what happens at its close: name -> number of values.
DIGITS = dict(
    side=4, kind=4, entry=13, limit=9, stop=13, target1=9, target2=9, leave=8, confidence=5, odd=24
)
CODES = int(np.prod(list(DIGITS.values()), dtype=np.int64))


def code_of(**digits: int) -> int:
    """Return the volume that means *digits*; all others are zero."""
    code, weight = 0, 1
    for name, base in DIGITS.items():
        code += weight * digits.get(name, 0)
        weight *= base
    return code


@compiled
def spoil(setup, odd, zero):
    """Set what a broken rule may come to."""
    if odd == 1:
        setup.stop = zero / zero
    elif odd == 2:
        setup.entry = -setup.entry
    elif odd == 3:
        setup.limit = zero / zero
    elif odd == 4:
        setup.target1 = 1.0 / zero
    elif odd == 5:
        setup.confidence = zero / zero
    elif odd == 6:
        setup.target2 = -setup.target2
    elif odd == 7:
        setup.stop = 0.0
    elif odd == 8:
        setup.entry = 1.0 / zero
    elif odd == 9:
        setup.limit = -1.0 / zero
    elif odd == 10:
        setup.target1 = 0.0


@setup_rule
def by_code(bar, atr, p, setup):
    """Make the setup that the volume's digits say; distances in `unit` x close."""
    code = int(bar.volume) * p.turn % CODES
    side, code = code % 4, code // 4  # 1 long, 2 short, else nothing
    kind, code = code % 4, code // 4
    entry, code = code % 13, code // 13
    limit, code = code % 9, code // 9
    stop, code = code % 13, code // 13
    target1, code = code % 9, code // 9  # 0: none
    target2, code = code % 9, code // 9
    leave, code = code % 8, code // 8
    confidence, odd = code % 5, code // 5
    setup.exit_long = leave == 1 or leave == 3
    setup.exit_short = leave == 2 or leave == 3
    if side == 0 or side == 3:
        return
    unit = p.unit * bar.close
    sign = 1 if side == 1 else -1
    setup.side = sign
    setup.kind = kind + 1
    setup.entry = bar.close + (entry if entry < 7 else 6 - entry) * unit
    setup.limit = setup.entry + (limit if limit < 5 else 4 - limit) * unit
    base = bar.close if kind == 0 else setup.entry
    setup.stop = base - sign * (stop + 1) * unit
    if target1 > 0:
        setup.target1 = base + sign * target1 * unit
    if target2 > 0:
        setup.target2 = base + sign * (target1 + target2) * unit
    if confidence > 0:
        setup.confidence = (confidence - 1) * 40.0
    setup.reason = odd
    spoil(setup, odd, bar.close - bar.close)


class ByCode(SetupStrategy):
    """A strategy whose setups the volumes decide."""

    params: ClassVar = {
        "unit": 0.01,
        "turn": 1,
        "min_rr": 0.0,
        "max_notional": 50.0,
        "risk_per_trade": 0.05,
    }
    ranges: ClassVar = {
        "unit": Float(0.0001, 0.2),
        "turn": Int(1, 999),  # another number makes other setups of the same volumes
        "min_rr": Float(0.0, 5.0),
        "risk_per_trade": Float(0.0005, 1.0),
    }
    reasons: ClassVar = tuple(f"oddity {number}" for number in range(DIGITS["odd"]))
    warmup_days: ClassVar = 0.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(by_code, AverageTrueRange(self.data))


@dataclass(frozen=True)
class Question:
    """What both engines are asked, in small numbers.

    Attributes:
        rows: (gap, body, up, down) in ticks and the volume, one row for each bar of *fine* minutes.
        fine: minutes of a row; below 15 the rows are detail bars, and make up the candles.
        missing: rows of the detail that are not there.
        tick, level: price of a tick and of the first open in ticks.
        funding: (offset in minutes, rate) and ms by which the stamps are late; empty: none.
        start: bars after the common beginning at which this symbol's candles begin.
    """

    rows: Sequence[tuple[int, int, int, int, int]]
    fine: int = 15
    missing: frozenset[int] = frozenset()
    tick: float = 1.0
    level: int = 100
    funding: Sequence[tuple[int, float]] = ()
    late: int = 0
    symbol: str = "TEST"
    start: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trade_from: int = 0

    def market(self) -> Market:
        """Return the market."""
        fine = self._bars()
        per = 15 // self.fine
        detail = None
        if per > 1:
            kept = [i for i in range(len(fine)) if i not in self.missing]
            detail = Candles(self.symbol, Timeframe.of_ms(self.fine * MINUTE_MS), fine[kept])
        whole = fine.reshape(-1, per)
        bars = make_bars(
            whole["time"][:, 0], whole["open"][:, 0], whole["high"].max(axis=1),
            whole["low"].min(axis=1), whole["close"][:, -1], whole["volume"][:, 0],
        )  # fmt: skip
        candles = Candles.checked(self.symbol, "15m", bars)
        rules = Instrument(self.symbol, **self.rules)
        return Market(candles, rules, self._funding(), detail)

    def _bars(self) -> Any:
        close, columns = self.level, []
        for gap, body, up, down, _ in self.rows:
            opened = max(2, close + gap)
            close = max(2, opened + body)
            high, low = max(opened, close) + up, max(1, min(opened, close) - down)
            columns.append((opened, high, low, close))
        prices = np.array(columns, float).T * self.tick
        begin = START + 15 * MINUTE_MS * self.start
        time = begin + self.fine * MINUTE_MS * np.arange(len(self.rows))
        return make_bars(time, *prices, [row[-1] for row in self.rows])

    def _funding(self) -> Funding | None:
        if not self.funding:
            return None
        minutes, rates = np.array(sorted(dict(self.funding).items()), float).T
        return Funding(self.symbol, START + minutes.astype(np.int64) * MINUTE_MS + self.late, rates)

    def ask(self, engine: str, strategy: type[Any] = ByCode) -> Result:
        """Return the answer of *engine*."""
        settings = Settings(**{"limits": Limits.none(), **self.settings})
        return run_backtest(
            strategy, self.market(), dict(self.parameters), settings,
            trade_from=self.trade_from, engine=engine,
        )  # fmt: skip


def values_of(limits: Range) -> st.SearchStrategy[Any]:
    """Return any value that a parameter accepts, its bounds often."""
    if isinstance(limits, Bool):
        return st.booleans()
    if isinstance(limits, Choice):
        return st.sampled_from(limits.words)
    bounds = st.sampled_from((limits.low, limits.high))
    if isinstance(limits, Int):
        return bounds | st.integers(limits.low, min(limits.high, limits.low + 20))
    return bounds | st.floats(limits.low, limits.high)


def sometimes(*values: Any) -> st.SearchStrategy[Any]:
    """Return one of *values*; counter-examples shrink to the first."""
    return st.sampled_from(values)


CODE = st.just(0) | st.builds(
    lambda digits: code_of(**dict(zip(DIGITS, digits, strict=True))),
    st.tuples(*(st.integers(0, base - 1) for base in DIGITS.values())),
)
SMALL = st.integers(-3, 3)
ROW = st.tuples(
    sometimes(0, 0, 0, 1, -1, 2, -2, 6, -6, 25, -25), SMALL, st.integers(0, 4), st.integers(0, 4),
    CODE,
)  # fmt: skip
# Small and common values: what binds often.
LIMITS = st.just(Limits.none()) | st.builds(
    Limits,
    risk_per_trade=sometimes(0.02, 0.0005, 0.2, 1.0),
    total_exposure=sometimes(0.2, 0.01, 0.5, 10.0),
    group_exposure=sometimes(0.3, 0.05, 10.0),
    correlation=sometimes(0.7, 0.0, 1.0),
    correlation_days=sometimes(2, 30),
    positions=sometimes(3, 1, 2, 100),
    trades_per_day=sometimes(50, 1, 2, 5),
    daily_loss=sometimes(0.05, 0.001, 0.01, 1.0),
    weekly_loss=sometimes(0.1, 0.002, 0.03, 1.0),
    drawdown=sometimes(0.2, 0.01, 0.05, 1.0),
    breaker_days=sometimes(30, 1, 2),
    smallest_share=sometimes(0.1, 0.0, 0.5, 1.0),
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional=dict(
        capital=sometimes(10_000.0, 1.0, 9.0, 11.0, 50.0, 1e9),
        leverage=sometimes(10.0, 1.0, 50.0, 3.0),
        taker_fee=sometimes(0.0, 0.00045, 0.01, 0.05),
        maker_fee=sometimes(0.0, 0.00015, -0.001, 0.05),
        half_spread=sometimes(0.0, 0.0001, 0.01, 0.05),
        slippage_atr=sometimes(0.0, 0.02, 1.0, 5.0),
        limits=LIMITS,
    ),
)
RULES = st.fixed_dictionaries(
    {},
    optional=dict(
        size_decimals=sometimes(2, 0, 1, 3, 4, 5, 6),
        max_leverage=sometimes(20.0, 1.0, 3.0, 50.0),
        min_notional=sometimes(10.0, 0.0, 300.0),
    ),
)


def parameters(ranges: Mapping[str, Range]) -> st.SearchStrategy[dict[str, Any]]:
    """Return any subset of parameters with any values that *ranges* accept."""
    return st.fixed_dictionaries({}, optional={name: values_of(ranges[name]) for name in ranges})


# Stops beyond the price of liquidation.
RECKLESS = dict(risk_per_trade=1.0, max_notional=50.0, confidence_sizing=0.0)


def long_question(seed: int, bars: int) -> Question:
    """Return a random question on a long market: what small tables are too short for."""
    random = np.random.default_rng(seed)

    def one(*values: Any) -> Any:
        return values[random.integers(len(values))]

    fine = one(15, 15, 5, 1)
    count = bars * (15 // fine)
    wild = one(1, 3, 10)
    gaps = random.choice([0, 0, 0, 0, 0, 0, 1, -1, 3, -3], count) * wild
    bodies = random.integers(-wild, wild + 1, count)
    wicks = random.integers(0, wild + 1, (2, count))
    busy = random.random(count) < one(0.05, 0.3, 1.0)
    digits = {name: random.integers(0, base, count) for name, base in DIGITS.items()}
    digits["odd"] *= random.random(count) < 0.1
    digits["leave"] *= random.random(count) < one(0.05, 1.0)
    codes = np.zeros(count, np.int64)
    for name in reversed(DIGITS):
        codes = codes * DIGITS[name] + digits[name]
    rows = np.column_stack((gaps, bodies, *wicks, codes * busy)).tolist()
    payments = range(0, 15 * bars, one(60, 480))
    ranges = {**ranges_of(ByCode), "max_bars": Int(1, one(5, 50, 500))}
    reckless = random.random() < 0.3
    chosen = {name: _any_value(random, ranges[name]) for name in ranges if random.random() < 0.3}
    return Question(
        rows=[tuple(row) for row in rows],
        fine=fine,
        missing=frozenset(random.integers(0, count, one(0, 3, count // 20)).tolist()),
        tick=one(1.0, 0.01, 250.0, 1e-4),
        level=one(100, 1000, 5000),
        funding=[(m, random.normal(0.0, 1e-3)) for m in payments] if random.random() < 0.7 else (),
        late=one(0, 40, 59_999),
        settings=dict(
            capital=one(10_000.0, 100.0, 1e9, 1e6),
            leverage=50.0 if reckless else one(10.0, 1.0, 50.0, 3.0),
            taker_fee=one(0.00045, 0.0, 0.001, 0.05),
            maker_fee=one(0.00015, 0.0, -0.001),
            half_spread=one(0.0001, 0.0, 0.01),
            slippage_atr=one(0.02, 0.0, 1.0),
            limits=any_limits(random),
        ),
        rules=dict(
            size_decimals=one(2, 0, 1, 3, 4, 5),
            max_leverage=50.0 if reckless else one(20.0, 1.0, 3.0, 50.0),
            min_notional=one(10.0, 0.0, 300.0),
        ),
        parameters={
            "unit": one(0.001, 0.003, 0.01, 0.03),
            **chosen,
            **(RECKLESS if reckless else {}),
        },
        trade_from=int(one(0, random.integers(0, bars))),
    )


def any_limits(random: np.random.Generator, none: float = 0.5) -> Limits:
    """Return limits of which some bind often; *none*: how likely there are none at all."""

    def one(*values: Any) -> Any:
        return values[random.integers(len(values))]

    if random.random() < none:
        return Limits.none()
    return Limits(
        risk_per_trade=one(0.02, 0.2, 1.0),
        total_exposure=one(0.2, 0.05, 0.5, 10.0),
        group_exposure=one(0.3, 0.1, 10.0),
        correlation=one(0.7, 0.0, 1.0),
        correlation_days=one(2, 5, 30),
        positions=one(3, 1, 2, 100),
        trades_per_day=one(50, 1, 3, 10),
        daily_loss=one(0.05, 0.3, 1.0),
        weekly_loss=one(0.1, 0.5, 1.0),
        drawdown=one(0.2, 0.7, 1.0),
        breaker_days=one(30, 1, 2),
        smallest_share=one(0.1, 0.0, 0.7),
    )


def _any_value(random: np.random.Generator, limits: Range) -> Any:
    if isinstance(limits, Bool):
        return bool(random.integers(2))
    if isinstance(limits, Choice):
        return limits.words[random.integers(len(limits.words))]
    if isinstance(limits, Int):
        return int(random.integers(limits.low, limits.high + 1))
    share = random.random() ** 2
    return float(limits.low + share * (limits.high - limits.low))
