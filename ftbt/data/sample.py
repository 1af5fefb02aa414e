"""The embedded synthetic market: seeded, offline, with a known edge or none at all.

It exists so that everything runs without a download, and so that statistics can be calibrated on
a market whose truth is known. `ftbt.data.sample_facts` measures how like a market it is.

**No edge** (`edge=0`): each 15-second price step has mean zero given all that came before
(`ftbt.data.sample_path`), so the price is a martingale and no strategy has an expected gross
profit, long or short, before costs and funding. (Funding is a cost or income of its own: on
average longs pay about 0.002 % an hour, as on the venue.)

**An edge**: after a liquidity sweep on 15m bars, as `ftbt.data.sample_sweep` defines it, the price
drifts for the next 16 bars. `edge` is the expected sum of that drift in units of the local
volatility, the root mean square 15m return of the last 96 bars times sqrt(16): `edge=0.5` lifts
the price by half a standard deviation after a swept low and lowers it as much after a swept high.
The drift begins with the bar after the sweep's close. One drift runs at a time; sweeps during it
plant nothing. A negative edge is continuation instead of reversal. Prices of any other timeframe
are the same path, so the sweeps of a 1h chart are other ones, with a weaker edge.

How much that is worth: a year has about 400 such sweeps for each symbol, and the 16-bar move
after one has a standard deviation near 1.35 units (volatility is higher after a sweep than it was
before). Who takes each with the same risk has an expected annual Sharpe ratio before costs of
about `edge / 1.35 * sqrt(400)`, that is 15 times the edge, for one symbol; several symbols are
correlated and add less than the square root of their number. A round trip of 0.1 % costs BTC
about 0.1 units, SOL about 0.05. `tests/data/test_sample_edge.py` measures these numbers.

**Deterministic**: each quantity of each symbol has its own PCG64 stream, seeded by
`SeedSequence(seed, spawn_key=sha256(name))`, drawn in order of time through
`Generator.standard_normal`, `standard_exponential` and `random`. So other symbols change nothing,
and a longer market begins with the shorter one. Everything else is + - * / and square roots,
which IEEE 754 fixes; the tails of numpy's normal and exponential numbers call the C library's
exp and log, whose last bit may differ between machines and would be lost in the rounding of
prices to ticks but for rare cases.

**Bars**: the path is made into one-minute bars and those into the timeframe, so detail bars and
candles agree exactly. A minute opens at the last close or, half of the time, one tick beside it,
as exchanges show it. Prices are on the venue's tick, volumes on its lot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import numpy as np

from ftbt.data.candles import Bars, Candles, Funding
from ftbt.data.market import Market, instrument_for
from ftbt.data.sample_funding import funding_rates
from ftbt.data.sample_minutes import generator, make_minutes, streams
from ftbt.data.sample_path import aggregate
from ftbt.data.sample_profile import Profile, profile_of
from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Timeframe, to_ms
from ftbt.errors import InputError

SYMBOLS = ("BTC", "ETH", "SOL")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 365
SEED = 7
MAX_DAYS = 3650
MAX_EDGE = 2.0

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9/:_-]{0,29}")


def sample_market(
    symbols: Sequence[str] = SYMBOLS,
    timeframe: str | Timeframe = "15m",
    days: int = DAYS,
    start: datetime = START,
    seed: int = SEED,
    edge: float = 0.0,
    detail: bool = False,
) -> dict[str, Market]:
    """Return a synthetic market for each of *symbols*, in their order.

    Args:
        symbols: names of coins; BTC, ETH and SOL resemble themselves, others a small coin.
        timeframe: bar length in whole minutes up to the length of the market.
        days: length, 1 to 3650; an incomplete last bar is left out.
        start: first open, midnight UTC.
        seed: 0 or more; the same seed gives the same market.
        edge: drift after a liquidity sweep in units of local volatility, -2 to 2; 0 for none.
        detail: also give the one-minute bars as `Market.detail`.

    Raises:
        InputError: a value outside of its range.
    """
    frame = Timeframe.parse(timeframe)
    start_ms = _check(symbols, frame, days, start, seed, edge)
    if detail and frame.ms == MINUTE_MS:
        raise InputError("detail bars are 1m bars: choose a longer timeframe than 1m with detail")
    return {one: _one(one, frame, days, start_ms, seed, edge, detail) for one in symbols}


def default_sample() -> dict[str, Market]:
    """Return the market that `ftbt walkforward` uses when no data are given.

    One year of 15m bars of BTC, ETH and SOL without an edge, made once per process.
    """
    return dict(_default())


def source_text(seed: int, edge: float) -> str:
    """Return the source that everything made from such a market carries."""
    planted = f"edge {edge:g}" if edge else "no edge"
    return f"synthetic market (seed {seed}, {planted})"


@cache
def _default() -> dict[str, Market]:
    return sample_market()


def _one(
    symbol: str, frame: Timeframe, days: int, start_ms: int, seed: int, edge: float, detail: bool
) -> Market:
    instrument = instrument_for(symbol)
    profile = profile_of(symbol)
    minutes = make_minutes(symbol, profile, instrument.size_decimals, start_ms, days, seed, edge)
    source = source_text(seed, edge)
    bars = aggregate(minutes, frame.ms // MINUTE_MS, 10.0**instrument.size_decimals)
    fine = None
    if detail:
        fine = Candles(symbol, Timeframe.parse("1m"), minutes, source, synthetic=True)
    return Market(
        Candles(symbol, frame, bars, source, synthetic=True),
        instrument,
        _funding(symbol, profile, minutes, seed, source),
        fine,
    )


def _funding(symbol: str, profile: Profile, minutes: Bars, seed: int, source: str) -> Funding:
    close = np.concatenate(([profile.price], minutes["close"][59::60]))
    hourly = profile.daily_volatility / np.sqrt(24)
    draws = generator(streams(seed, f"{symbol} funding", 1)[0])
    rate = funding_rates(close, hourly, draws.standard_normal((len(close) - 1, 2)))
    due = minutes["time"][0] + HOUR_MS * np.arange(1, len(close), dtype=np.int64)
    return Funding(symbol, due, rate, source)


def _check(
    symbols: Sequence[str], frame: Timeframe, days: int, start: datetime, seed: int, edge: float
) -> int:
    """Return the start in ms after checking every value."""
    _check_symbols(symbols)
    if not 1 <= days <= MAX_DAYS:
        raise InputError(f"days must be a whole number from 1 to {MAX_DAYS}, not {days}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}")
    if not abs(edge) <= MAX_EDGE:
        raise InputError(
            f"edge must be a number from -{MAX_EDGE:g} to {MAX_EDGE:g} (units of local"
            f" volatility over 16 bars), not {edge}"
        )
    start_ms = to_ms(start)
    if start_ms % DAY_MS:
        raise InputError(f"start must be midnight UTC, not {start.isoformat()}")
    if frame.ms % MINUTE_MS or frame.ms > days * DAY_MS:
        raise InputError(f"timeframe {frame} does not fit into {days} days: give more days")
    if frame.floor(start_ms) != start_ms:
        raise InputError(f"start {start:%Y-%m-%d} is not the open of a {frame} bar: choose another")
    return start_ms


def _check_symbols(symbols: Sequence[str]) -> None:
    if isinstance(symbols, str) or not symbols:
        raise InputError(f"symbols must be a list of at least one name, not {symbols!r}")
    for name in symbols:
        if not _SYMBOL.fullmatch(name):
            raise InputError(
                f"symbol {name!r} is not a name: use letters and digits, for example BTC"
            )
    twice = {name for name in symbols if list(symbols).count(name) > 1}
    if twice:
        raise InputError(f"symbol {min(twice)} is named twice: name each symbol once")
