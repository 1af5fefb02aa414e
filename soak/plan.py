"""What goes wrong in a soak, and at which bar; which market, and what is traded: from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.sample import SYMBOLS, sample_market
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.errors import ConfigError, did_you_mean
from ftbt.rehearsal.plan import Plan, make_plan
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy
from soak.catalogue import DEATHS, KINDS, Blow

TIMEFRAME = Timeframe.parse("15m")
CAPITAL = 10_000.0
# All that comes with ftbt at once, asked to trade as often as they can: with usual parameters a
# week has half the trades.
_ALWAYS: Mapping[str, Any] = {"min_confidence": 0, "bias": "none", "max_bars": 12, "target_r": 1}
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "liquidity_sweep": {**_ALWAYS, "swing": 3},
    "fvg_fill": {**_ALWAYS, "valid_bars": 8, "min_size_atr": 0.3},
    "bos_orderblock": {**_ALWAYS, "valid_bars": 8, "swing": 3},
}
# Narrow enough to be reached on some days: a limit that is never reached shows nothing.
LIMITS = Limits(
    risk_per_trade=0.005, total_exposure=0.15, daily_loss=0.015, trades_per_day=26, positions=3
)
# Shorter than a trader would have it: each start walks through it, and there are many.
WARMUP_DAYS = 8
# So many faults are drawn for each day; some find nothing to strike before the end.
FAULTS_A_DAY = 36.0
_DEATHS_A_DAY = 2.6
_RESTARTS = 0.2  # of the deaths
MOST_DAYS, LEAST_DAYS = 30.0, 0.2
# What strikes late may find nothing to strike any more.
_BEFORE = 0.6
_CALM_BARS = 4
# A life without a death, long enough for its memory to be looked at after its first day.
_LONG_LIFE_DAYS, _LONG_FROM = 4.0, 6.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """One thing that goes wrong, and when.

    Attributes:
        number: from 1, in order of time.
        bar: before this bar opens, or from then on; the first that is traded is 0.
        name: of its class.
        blow: what.
    """

    number: int
    bar: int
    name: str
    blow: Blow


@dataclass(frozen=True, slots=True)
class Asked:
    """What is soaked.

    Attributes:
        seed: of market, faults and deaths.
        days: simulated, without the warm-up.
        symbols: of the synthetic market.
    """

    seed: int
    days: float = 7.0
    symbols: tuple[str, ...] = SYMBOLS

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"--seed must be 0 or more, not {self.seed}")
        if not LEAST_DAYS <= self.days <= MOST_DAYS:
            raise ConfigError(
                f"--days must be from {LEAST_DAYS:g} to {MOST_DAYS:g}, not {self.days:g}"
            )
        for symbol in self.symbols:
            if symbol not in SYMBOLS:
                hint = did_you_mean(symbol, SYMBOLS)
                raise ConfigError(f"--symbols: {symbol!r} is none of {', '.join(SYMBOLS)}{hint}")
        if len(set(self.symbols)) != len(self.symbols):
            raise ConfigError("--symbols names one of them twice")

    @property
    def bars(self) -> int:
        """How many bars are traded."""
        return round(self.days * DAY_MS / TIMEFRAME.ms)


def market_plan(asked: Asked) -> Plan:
    """Return the bars that are traded, of a market of their own for each seed."""
    days = WARMUP_DAYS + int(np.ceil(asked.days)) + 1
    made = sample_market(asked.symbols, TIMEFRAME, days=days, seed=asked.seed, detail=True)
    share = 1.0 / len(STRATEGIES)
    sleeves = [Sleeve(find_strategy(name), dict(values), share)
               for name, values in STRATEGIES.items()]  # fmt: skip
    return make_plan(
        sleeves, [[market] for market in made.values()], WARMUP_DAYS * DAY_MS // TIMEFRAME.ms,
        Settings(capital=CAPITAL, limits=LIMITS), Allocation(), days=asked.days,
    )  # fmt: skip


def trading_words() -> list[str]:
    """Return strategies, parameters and limits as `ftbt live` takes them."""
    words = ["--strategy", ",".join(STRATEGIES)]
    for strategy, values in STRATEGIES.items():
        for name, value in values.items():
            words += ["--param", f"{strategy}.{name}={value}"]
    usual = Limits().as_dict()
    for name, value in LIMITS.as_dict().items():
        if value != usual[name]:
            words += ["--limit", f"{name}={value}"]
    return words


def drawn(asked: Asked) -> tuple[Stroke, ...]:
    """Return what goes wrong: every class once, early enough to strike, then as drawn."""
    random = np.random.Generator(np.random.PCG64(asked.seed))
    bars = asked.bars
    last = max(2, bars - 2 * _CALM_BARS)
    rows = [(int(random.integers(1, max(2, int(last * _BEFORE)))), name) for name in KINDS]
    names, odds = list(KINDS), np.array([kind.often for kind in KINDS.values()])
    count = round(FAULTS_A_DAY * asked.days)
    if count < len(rows):  # a short soak has some of them
        rows = [rows[at] for at in random.permutation(len(rows))[:count]]
    for at in random.choice(len(names), count - len(rows), p=odds / odds.sum()):
        rows.append((int(random.integers(1, last)), names[at]))
    rows += _deaths(random, asked, last)
    rows.sort()
    every = {**KINDS, **DEATHS}
    return tuple(
        Stroke(number, bar, name, every[name].make(random))
        for number, (bar, name) in enumerate(rows, start=1)
    )


def _deaths(random: np.random.Generator, asked: Asked, last: int) -> list[tuple[int, str]]:
    """Return kills and restarts, none of them in the long life."""
    day = DAY_MS // TIMEFRAME.ms
    begin = end = 0
    if asked.days >= _LONG_FROM:
        begin = int(random.integers(day // 2, last - int((_LONG_LIFE_DAYS + 0.5) * day)))
        end = begin + int(_LONG_LIFE_DAYS * day)
    free = [bar for bar in range(2, last) if not begin <= bar < end]
    count = max(1, round(_DEATHS_A_DAY * asked.days))
    at = random.choice(np.array(free), min(count, len(free)), replace=False)
    names = ["kill -9" if n >= round(_RESTARTS * count) else "stopped and started"
             for n in range(len(at))]  # fmt: skip
    return [(int(bar), name) for bar, name in zip(at, names, strict=True)]
