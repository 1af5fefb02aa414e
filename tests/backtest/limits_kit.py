"""Random accounts for the limits on risk: symbols that crash together, strategies that compete.

A question is made of small whole numbers, so that a counter-example shrinks to a small table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from hypothesis import strategies as st

from ftbt.backtest.engine import run_portfolio
from ftbt.backtest.portfolio import Sleeve, Stretch
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import HOUR_MS, Timeframe
from ftbt.ranges import Float, Int
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.smc.baselines import AverageTrueRange
from ftbt.strategy import Setup, SetupStrategy, setup_rule

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
STRATEGIES = 2
# Sunday 2024-01-07 12:00 UTC: a week soon begins.
START = 1_704_628_800_000
TICK = 0.1
LEVEL = 1000  # first price, ticks
FLOOR = 20

# What a strategy says at a bar's close: name -> number of values.
DIGITS = dict(side=3, kind=4, entry=5, limit=3, stop=9, target=5, leave=4, confidence=6)
CODES = int(np.prod(list(DIGITS.values())))


def code_of(**digits: int) -> int:
    """Return the number that means *digits*; all others are zero."""
    code, weight = 0, 1
    for name, base in DIGITS.items():
        code += weight * digits.get(name, 0)
        weight *= base
    return code


@setup_rule
def chosen(bar, atr, p, setup):
    """Make the setup that the volume says for strategy number `p.part`; distances in `unit`."""
    code = int(bar.volume)
    if p.part == 1:
        code //= CODES
    code %= CODES
    side, code = code % 3, code // 3  # 1 long, 2 short
    kind, code = code % 4, code // 4
    entry, code = code % 5 - 2, code // 5
    limit, code = code % 3 - 1, code // 3
    stop, code = code % 9, code // 9  # 0: none, which is a broken setup
    target, code = code % 5, code // 5  # 0: none
    leave, confidence = code % 4, code // 4
    setup.exit_long = leave == 1 or leave == 3
    setup.exit_short = leave == 2 or leave == 3
    if side == 0:
        return
    unit = p.unit * bar.close
    sign = 1 if side == 1 else -1
    setup.side = sign
    setup.kind = kind + 1
    setup.entry = bar.close + entry * unit
    setup.limit = setup.entry + limit * unit
    base = bar.close if kind == 0 else setup.entry
    if stop > 0:
        setup.stop = base - sign * (stop + 1) * unit
    if target > 0:
        setup.target1 = base + sign * 2 * target * unit
    setup.confidence = confidence * 20.0


class Chosen(SetupStrategy):
    """A strategy whose setups the volumes decide."""

    params: ClassVar = {
        "part": 0,
        "unit": 0.01,
        "min_rr": 0.0,
        "max_notional": 50.0,
        "risk_per_trade": 0.05,
    }
    ranges: ClassVar = {
        "part": Int(0, STRATEGIES - 1),
        "unit": Float(0.0001, 0.1),
        "min_rr": Float(0.0, 5.0),
        "risk_per_trade": Float(0.0005, 1.0),
    }
    warmup_days: ClassVar = 0.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(chosen, AverageTrueRange(self.data))


class Row(NamedTuple):
    """A bar of one symbol in ticks, and what each strategy says at its close."""

    gap: int
    body: int
    up: int
    down: int
    says: tuple[int, ...]  # a code per strategy


@dataclass(frozen=True)
class Question:
    """Several symbols and strategies on one account.

    Attributes:
        shocks: move at each bar's open that all symbols share, ticks.
        rows: bars of each symbol, all of the same times.
        spans: first bar and the one after the last of the stretches that each symbol has.
        hours: length of a bar.
        limits, settings, rules: by their own names; *rules* one for each symbol.
        sleeves: parameters and share of each strategy.
        trade_from: bars of each stretch that only warm up.
        allocation: whether shares shrink.
    """

    shocks: Sequence[int]
    rows: Sequence[Sequence[Row]]
    spans: Sequence[Sequence[tuple[int, int]]]
    hours: int = 6
    limits: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    rules: Sequence[Mapping[str, Any]] = ({}, {}, {}, {})
    sleeves: Sequence[tuple[Mapping[str, Any], float]] = (({}, 1.0),)
    trade_from: int = 0
    allocation: Allocation = field(default_factory=Allocation)

    @property
    def step(self) -> int:
        """Length of a bar, ms."""
        return self.hours * HOUR_MS

    @property
    def account(self) -> Settings:
        """Money, costs and limits."""
        return Settings(**{**self.settings, "limits": Limits(**self.limits)})

    @cached_property
    def times(self) -> Any:
        """Opens of all bars, also of those that no symbol has, shape (bars,)."""
        return START + self.step * np.arange(len(self.shocks))

    @cached_property
    def present(self) -> Any:
        """Whether a symbol has a bar, shape (bars, symbols)."""
        found = np.zeros((len(self.shocks), len(self.rows)), bool)
        for symbol, spans in enumerate(self.spans):
            for first, stop in spans:
                found[first:stop, symbol] = True
        return found

    @cached_property
    def kept(self) -> Any:
        """Numbers of the bars that any symbol has: the run's clock."""
        return np.flatnonzero(self.present.any(axis=1))

    @cached_property
    def prices(self) -> Any:
        """Opens, highs, lows and closes, shape (symbols, bars, 4)."""
        found = np.zeros((len(self.rows), len(self.shocks), 4))
        for symbol, rows in enumerate(self.rows):
            close = LEVEL
            for i, (shock, row) in enumerate(zip(self.shocks, rows, strict=True)):
                opened = max(FLOOR, close + shock + row.gap)
                close = max(FLOOR, opened + row.body)
                high, low = max(opened, close) + row.up, max(1, min(opened, close) - row.down)
                found[symbol, i] = opened, high, low, close
        return found * TICK

    @cached_property
    def closes(self) -> Any:
        """Closing prices on the clock, NaN where a symbol has no bar, shape (n, symbols)."""
        return np.where(self.present, self.prices[:, :, 3].T, np.nan)[self.kept]

    def stretches(self) -> list[Stretch]:
        """Return the candles."""
        found = []
        for symbol, spans in enumerate(self.spans):
            volume = [sum(c * CODES**n for n, c in enumerate(r.says)) for r in self.rows[symbol]]
            bars = make_bars(self.times, *self.prices[symbol].T, volume)
            rules = Instrument(SYMBOLS[symbol], **self.rules[symbol])
            frame = Timeframe.of_ms(self.step)
            for first, stop in spans:
                candles = Candles.checked(SYMBOLS[symbol], frame, bars[first:stop])
                found.append(Stretch(Market(candles, rules), self.trade_from))
        return found

    def ask(self, engine: str, **limits: Any) -> Result:
        """Return the answer of *engine*, under other *limits* where given."""
        account = self.account
        return run_portfolio(
            [
                Sleeve(Chosen, {**values, "part": n}, share)
                for n, (values, share) in enumerate(self.sleeves)
            ],
            self.stretches(),
            replace(account, limits=replace(account.limits, **limits)),
            allocation=self.allocation,
            engine=engine,
        )

    def setups(self) -> list[tuple[int, int, int]]:
        """Return (number on the clock, symbol, strategy) of all setups that meet a decision."""
        number = {int(i): n for n, i in enumerate(self.kept)}
        return [
            (number[i], symbol, strategy)
            for symbol, spans in enumerate(self.spans)
            for first, stop in spans
            for i in range(first + self.trade_from, stop - 1)
            for strategy in range(len(self.sleeves))
            if self.rows[symbol][i].says[strategy] % 3 != 0
        ]


# --- small tables --------------------------------------------------------------------------------


def sometimes(*values: Any) -> st.SearchStrategy[Any]:
    """Return one of *values*; counter-examples shrink to the first."""
    return st.sampled_from(values)


CODE = st.just(0) | st.builds(
    lambda digits: code_of(**dict(zip(DIGITS, digits, strict=True))),
    st.tuples(*(st.integers(0, base - 1) for base in DIGITS.values())),
)
SMALL = st.integers(-15, 15)
WICK = st.integers(0, 15)
ROW = st.builds(Row, sometimes(0, 0, 5, -5, 60, -60), SMALL, WICK, WICK, st.tuples(CODE, CODE))
SHOCK = sometimes(0, 0, 0, 0, 10, -10, 30, -30, -200, 200, -500)
CHOICES: dict[str, tuple[Any, ...]] = dict(
    risk_per_trade=(0.02, 0.0005, 0.005, 1.0),
    total_exposure=(0.20, 0.01, 0.05, 0.6, 10.0),
    group_exposure=(0.30, 0.02, 0.1, 10.0),
    correlation=(0.7, 0.0, 0.4, 1.0),
    correlation_days=(3, 2, 30),
    positions=(3, 1, 2, 1000),
    trades_per_day=(50, 1, 2, 3),
    daily_loss=(0.05, 0.001, 0.01, 1.0),
    weekly_loss=(0.10, 0.002, 0.02, 1.0),
    drawdown=(0.20, 0.01, 0.05, 1.0),
    breaker_days=(1, 2, 5, 30),
    smallest_share=(0.10, 0.0, 0.5, 1.0),
)
MONEY: dict[str, tuple[Any, ...]] = dict(
    capital=(10_000.0, 100.0, 1e6),
    leverage=(10.0, 1.0, 3.0, 50.0),
    taker_fee=(0.00045, 0.0, 0.005),
    half_spread=(0.0001, 0.0, 0.005),
    slippage_atr=(0.02, 0.0, 0.5),
)
RULES: dict[str, tuple[Any, ...]] = dict(
    size_decimals=(3, 0, 2), max_leverage=(20.0, 2.0, 50.0), min_notional=(10.0, 0.0)
)
OWN: dict[str, tuple[Any, ...]] = dict(
    unit=(0.01, 0.001, 0.003, 0.03),
    risk_per_trade=(0.05, 0.02, 0.3),
    confidence_sizing=(0.5, 0.0, 1.0),
    valid_bars=(8, 1, 2),
    max_bars=(96, 1, 5),
    max_notional=(50.0, 0.5),
)
SHARES = ((0.5, 0.5), (1.0,), (0.7, 0.3), (0.6, 0.2))


def _some(choices: Mapping[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={n: sometimes(*v) for n, v in choices.items()})


@st.composite
def questions(draw, most=16):
    """Return random questions of small tables."""
    symbols, bars = draw(sometimes(2, 3, 1)), draw(st.integers(3, most))
    cuts = [draw(sometimes((), (), (), (bars // 2,))) for _ in range(symbols)]
    late = [draw(sometimes(0, 0, 1)) for _ in range(symbols)]
    return Question(
        shocks=draw(st.lists(SHOCK, min_size=bars, max_size=bars)),
        rows=[draw(st.lists(ROW, min_size=bars, max_size=bars)) for _ in range(symbols)],
        spans=[_spans(first, bars, cut) for first, cut in zip(late, cuts, strict=True)],
        hours=draw(sometimes(6, 4, 12)),
        limits=draw(_some(CHOICES)),
        settings=draw(_some(MONEY)),
        rules=[draw(_some(RULES)) for _ in range(symbols)],
        sleeves=[(draw(_some(OWN)), share) for share in draw(sometimes(*SHARES))],
        allocation=Allocation(drawdown_aware=draw(st.booleans()), cut_at=0.05),
    )


def _spans(first: int, bars: int, cut: Sequence[int]) -> list[tuple[int, int]]:
    """Return stretches from *first* to the end, one bar left out before each *cut*."""
    bounds = [first, *(c for c in cut if c > first + 1), bars + 1]
    return [(low, high - 1) for low, high in pairwise(bounds)]


# --- long markets --------------------------------------------------------------------------------


def long_question(seed: int, bars: int = 120) -> Question:
    """Return a random question on long markets: what small tables are too short for."""
    random = np.random.default_rng(seed)
    symbols = int(random.integers(2, 5))
    together, apart = [(25, 4), (4, 25), (10, 10)][random.integers(3)]
    shocks = random.integers(-together, together + 1, bars)
    crashes = random.random(bars) < 0.03
    shocks[crashes] += random.choice([-120, -300, 250], int(crashes.sum()))
    busy = float(random.choice([0.15, 0.5, 1.0]))
    moves = random.integers(-apart, apart + 1, (symbols, bars, 2)).tolist()
    wicks = random.integers(0, 15, (symbols, bars, 2)).tolist()
    codes = _codes(random, busy, (symbols, bars, STRATEGIES)).tolist()
    rows = [
        [Row(*moves[symbol][i], *wicks[symbol][i], tuple(codes[symbol][i])) for i in range(bars)]
        for symbol in range(symbols)
    ]
    return Question(
        shocks=shocks.tolist(),
        rows=rows,
        spans=[
            _spans(int(random.choice([0, 0, bars // 3])), bars, _cut(random, bars))
            for _ in range(symbols)
        ],
        hours=int(random.choice([2, 4, 6])),
        limits=_any(random, CHOICES, 0.5),
        settings=_any(random, MONEY, 0.3),
        rules=[_any(random, RULES, 0.3) for _ in range(symbols)],
        sleeves=[(_any(random, OWN, 0.4), share) for share in SHARES[random.integers(len(SHARES))]],
        trade_from=int(random.choice([0, 0, 7])),
        allocation=Allocation(drawdown_aware=bool(random.random() < 0.3), cut_at=0.05),
    )


def _codes(random: np.random.Generator, busy: float, shape: tuple[int, ...]) -> Any:
    digits = {name: random.integers(0, base, shape) for name, base in DIGITS.items()}
    digits["leave"] *= random.random(shape) < 0.2
    digits["stop"] = np.maximum(digits["stop"], random.random(shape) < 0.95)
    codes = np.zeros(shape, np.int64)
    for name in reversed(DIGITS):
        codes = codes * DIGITS[name] + digits[name]
    return codes * (random.random(shape) < busy)


def _cut(random: np.random.Generator, bars: int) -> list[int]:
    return [2 * bars // 3] if random.random() < 0.3 else []


def _any(
    random: np.random.Generator, choices: Mapping[str, tuple[Any, ...]], often: float
) -> dict[str, Any]:
    return {
        name: values[random.integers(len(values))]
        for name, values in choices.items()
        if random.random() < often
    }
