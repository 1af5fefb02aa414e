"""Markets that could have been: candles with their bars in another order, or with noise on top.

The caller runs the strategy again on each variant. Every variant is an array of the same record
type with the same times; open, high, low and close stay consistent, positive and on the tick of the
original prices (found from the data; prices that are on no decimal grid are left unrounded).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import PRICE_FIELDS, Bars
from ftbt.errors import InputError
from ftbt.robustness.checks import in_range, whole
from ftbt.robustness.panel import Floats, Ints

_MOST_DECIMALS = 10
_EXACT_WHOLE = 2.0**53

# Build Alpha's example: which share of opens, highs, lows and closes is disturbed.
NOISE_SHARES = (0.40, 0.60, 0.50, 0.75)
NOISE_SIZE = 0.33


@dataclass(frozen=True, slots=True)
class Tick:
    """Smallest price step, as the fraction `units / 10**decimals`; `units` 0: none was found."""

    units: int
    decimals: int

    @property
    def size(self) -> float:
        """The step in price, 0 when there is none."""
        return self.units / 10.0**self.decimals

    def round(self, prices: Floats) -> Floats:
        """Return *prices* on the nearest tick, at least one tick."""
        if not self.units:
            return prices
        scale = 10.0**self.decimals
        steps = np.maximum(np.rint(prices * scale / self.units), 1.0)
        return np.asarray(steps * self.units / scale)


def tick_of(bars: Bars) -> Tick:
    """Return the largest step that all prices of *bars* are multiples of.

    Args:
        bars: BAR array, shape (n,).
    """
    prices = np.concatenate([bars[name] for name in PRICE_FIELDS])
    for decimals in range(_MOST_DECIMALS + 1):
        steps = np.rint(prices * 10.0**decimals)
        if len(steps) == 0 or steps.max() >= _EXACT_WHOLE:
            break
        # A price read from decimal text is the double nearest to it, and so is this quotient.
        if np.array_equal(steps / 10.0**decimals, prices):
            return Tick(int(np.gcd.reduce(steps.astype(np.int64))), decimals)
    return Tick(0, 0)


def permuted_bars(bars: Bars, *, seed: int, keep: int = 1, together: int = 1) -> Bars:
    """Return the market with its bars in random order: same moves, no memory.

    Masters' permutation: each bar is taken apart into the gap from the last close to its open and
    its body (high, low and close against its open), all as logarithms. Gaps and bodies are
    shuffled separately and put together again, from the last kept close on. So the first and, but
    for rounding to the tick, the last price stay, and with them the trend of the whole; any order
    in between is gone, and with it every edge, but also the clustering of volatility.

    The same seed and length give the same order: use one seed for aligned markets of several
    symbols and their correlation at the same time stays.

    Source: Masters, Permutation and Randomization Tests for Trading System Development (2020).

    Args:
        bars: BAR array without holes, shape (n,).
        seed: of the random order.
        keep: first bars that stay as they are (warm-up), at least 1.
        together: bars that move as one piece, gaps included; one day (96 bars of 15m) keeps the
            rhythm of the day. Pieces are counted from *keep* on, an unfinished last one stays.

    Raises:
        InputError: too few bars to change anything, values out of range.
    """
    whole(keep, "keep", 1)
    whole(together, "together", 1)
    pieces = (len(bars) - keep) // together
    if pieces < 2:
        raise InputError(
            f"{len(bars)} bars with keep={keep} and together={together} leave"
            f" {max(0, pieces)} pieces; at least 2 are needed to change their order"
        )
    rng = np.random.default_rng(seed)
    bodies = _order(rng, len(bars), keep, together, pieces)
    gaps = _order(rng, len(bars), keep, together, pieces) if together == 1 else bodies
    return _rebuild(bars, keep, gaps, bodies)


def _order(rng: np.random.Generator, n: int, keep: int, together: int, pieces: int) -> Ints:
    """Return for each place the bar that comes there, shape (n,)."""
    place = np.arange(n)
    stop = keep + pieces * together
    moved = place[keep:stop].reshape(pieces, together)
    place[keep:stop] = rng.permutation(moved).ravel()
    return place


def _rebuild(bars: Bars, keep: int, gaps: Ints, bodies: Ints) -> Bars:
    prices = {name: np.log(bars[name]) for name in PRICE_FIELDS}
    gap = np.zeros(len(bars))
    gap[1:] = prices["open"][1:] - prices["close"][:-1]
    body = {name: (prices[name] - prices["open"])[bodies] for name in ("high", "low", "close")}
    gap = gap[gaps]
    step = (gap + body["close"])[keep:]
    close = np.concatenate(([0.0], np.cumsum(step))) + prices["close"][keep - 1]
    opened = close[:-1] + gap[keep:]
    made = bars.copy()
    made["volume"] = bars["volume"][bodies]
    fresh = {name: np.exp(opened + body[name][keep:]) for name in ("high", "low", "close")}
    fresh["open"] = np.exp(opened)
    _write(made, fresh, slice(keep, None), tick_of(bars))
    return made


def noisy_bars(
    bars: Bars,
    *,
    seed: int,
    shares: tuple[float, float, float, float] = NOISE_SHARES,
    size: float = NOISE_SIZE,
    length: int = 14,
) -> Bars:
    """Return the market with random errors on some of its prices.

    A price is disturbed with the probability of its kind, by a uniform amount within plus or minus
    *size* average true ranges of its bar. The highest and lowest of the four are then the bar's
    high and low. Volume stays.

    Supporting evidence only: an outside check on 167 strategies found that the test hardly tells
    good ones from bad ones.

    Source: Build Alpha, "Noise Test" (its example settings are the defaults).

    Args:
        bars: BAR array, shape (n,).
        seed: of the random numbers.
        shares: of opens, highs, lows and closes that are disturbed, 0 to 1 each.
        size: largest error, in average true ranges.
        length: bars in the plain mean of true ranges; at the start those that there are.

    Raises:
        InputError: no bars or values out of range.
    """
    if len(bars) == 0:
        raise InputError("noise: there are no bars")
    if len(shares) != 4:
        raise InputError(f"shares must be four numbers (open, high, low, close), not {shares}")
    whole(length, "length", 1)
    in_range(size, "size", 0.0, 10.0)
    rng = np.random.default_rng(seed)
    reach = size * average_true_range(bars, length)
    fresh = {}
    for name, share in zip(PRICE_FIELDS, shares, strict=True):
        in_range(share, f"share of disturbed {name}s", 0.0, 1.0)
        hit = rng.random(len(bars)) < share
        error = rng.uniform(-1.0, 1.0, len(bars)) * reach
        # A tenth of the price is left whatever the noise: prices stay above 0.
        fresh[name] = np.maximum(bars[name] + np.where(hit, error, 0.0), 0.1 * bars[name])
    made = bars.copy()
    _write(made, fresh, slice(None), tick_of(bars))
    return made


def average_true_range(bars: Bars, length: int) -> Floats:
    """Return the plain mean of the last *length* true ranges (fewer at the start), shape (n,)."""
    previous = np.concatenate((bars["open"][:1], bars["close"][:-1]))
    ranges = np.maximum(bars["high"], previous) - np.minimum(bars["low"], previous)
    total = np.concatenate(([0.0], np.cumsum(ranges)))
    last = np.arange(1, len(bars) + 1)
    first = np.maximum(last - length, 0)
    return np.asarray((total[last] - total[first]) / (last - first))


def _write(made: Bars, fresh: dict[str, Floats], place: slice, tick: Tick) -> None:
    """Put *fresh* prices on the tick and into *made*, highs and lows around all four."""
    rounded: dict[str, NDArray[np.float64]] = {
        name: tick.round(values) for name, values in fresh.items()
    }
    every = np.stack([rounded[name] for name in PRICE_FIELDS])
    made["open"][place], made["close"][place] = rounded["open"], rounded["close"]
    made["high"][place], made["low"][place] = every.max(axis=0), every.min(axis=0)
