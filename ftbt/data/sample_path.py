"""The price path of the synthetic market: 15-second steps, made into one-minute candles.

Each step multiplies the price by `1 + s * z + drift`: `s` is known before the step, `z` is a
standard normal number, `drift` is zero unless an edge is planted. So the price is a martingale,
step by step and therefore on every bar, whatever `s` depends on. And `s` depends on

* the season of the week and the news (`ftbt.data.sample_volatility`);
* the echo of recent moves: large ones are followed by large ones (Engle 1982, Econometrica 50);
* the hunt for stops. They rest beyond swing highs and lows: beyond such a level steps are larger,
  and once it was taken out they are larger for a while on both sides. A martingale that is faster
  on one side of a level is more often found on the slow side, while its excursions beyond are
  the deeper ones ("oscillating Brownian motion", Keilson and Wellner 1978, Journal of Applied
  Probability 15). So wicks through a level with a close back inside are frequent, cascades are
  rare and large, and the mean stays zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ftbt.compiled import compiled
from ftbt.data.candles import BAR, Bars, Floats
from ftbt.data.precision import round_price, tick_size
from ftbt.data.sample_sweep import HORIZON, LOOKBACK, live_levels, local_volatility, swept_side

STEPS = 4  # per minute
SWING_MINUTES = 15  # swings, sweeps and the planted edge live on 15m bars
HUNT_MINUTES = 30
# Two or more levels within this distance are equal highs or lows.
EQUAL_DISTANCE = 0.001
# For each unit of stops behind a level: how much larger steps are beyond it, and how much larger
# on both sides just after it was taken out (this part fades).
BEYOND = 0.12
RUSH = 0.55
FADE = 0.95  # per minute
# How much of the variance follows recent moves rather than news, and over how many minutes.
ECHO = 0.4
ECHO_MINUTES = 90.0

# Where the path stands between two minutes.
WALK = np.dtype(
    [
        ("price", "f8"),
        ("swings", "i8"),  # completed 15m bars
        ("low_edge", "f8"),  # stops rest below it
        ("low_stops", "f8"),  # 1, or 2 where more stops rest
        ("low_left", "i8"),  # minutes of hunting left, -1 = not yet taken out
        ("high_edge", "f8"),
        ("high_stops", "f8"),
        ("high_left", "i8"),
        ("rush", "f8"),  # speed above normal since the last take-out
        ("echo", "f8"),  # recent variance relative to the season's
        ("drift", "f8"),  # per step
        ("drift_left", "i8"),  # 15m bars
    ]
)


def start_walk(price: float) -> Any:
    """Return the state of a path that stands at *price*, a WALK record array of length 1."""
    state = np.zeros(1, WALK)
    state["price"] = price
    state["echo"] = 1.0
    state["high_edge"] = np.inf
    state["low_left"] = state["high_left"] = -1
    return state


@compiled
def find_stops(price: Floats, t: int, sign: float, levels: Floats) -> tuple[float, float]:
    """Return the level that the nearest stops rest beyond as bar *t* begins, and how many: 1 or 2.

    The most extreme level, and levels that lie close together, have double stops. Without a
    live level the edge is 0 (lows) or infinite (highs), where no price goes.
    """
    count = live_levels(price, t, sign, levels)
    if count == 0:
        return (0.0 if sign > 0 else np.inf), 1.0
    last = 0
    while last + 1 < count and abs(levels[last + 1] / levels[0] - 1.0) <= EQUAL_DISTANCE:
        last += 1
    return levels[last], (2.0 if last > 0 or last == count - 1 else 1.0)


@compiled
def count_down(state: Any, low: float, high: float, rush: float) -> None:
    """Start a hunt where this minute took out a level; let running hunts and the rush fade."""
    state.rush *= FADE
    if state.low_left > 0:
        state.low_left -= 1
    elif state.low_left < 0 and low < state.low_edge:
        state.low_left = HUNT_MINUTES
        state.rush = max(state.rush, rush * state.low_stops)
    if state.high_left > 0:
        state.high_left -= 1
    elif state.high_left < 0 and high > state.high_edge:
        state.high_left = HUNT_MINUTES
        state.rush = max(state.rush, rush * state.high_stops)


@compiled
def close_swing_bar(state: Any, swings: Floats, edge: float, levels: Floats) -> None:
    """Do what is due at the close of a 15m bar: drift after a sweep, stops of the next bar."""
    high, low, close = swings[0], swings[1], swings[2]
    t = state.swings
    state.drift_left -= 1
    if state.drift_left <= 0:
        side = swept_side(high, low, close, t, levels) if edge != 0.0 else 0
        # HORIZON bars of drift sum to `edge` standard deviations of such a stretch.
        per_bar = side * edge * local_volatility(close, t) * np.sqrt(HORIZON) / HORIZON
        state.drift = per_bar / (SWING_MINUTES * STEPS)
        state.drift_left = HORIZON if state.drift != 0.0 else 0
    state.swings = t + 1
    if state.low_left <= 0:
        state.low_edge, state.low_stops = find_stops(low, t + 1, 1.0, levels)
        state.low_left = -1
    if state.high_left <= 0:
        state.high_edge, state.high_stops = find_stops(high, t + 1, -1.0, levels)
        state.high_left = -1


@compiled
def bridge(start: float, end: float, deviation: float, draw: float) -> float:
    """Return the extreme of a Brownian bridge from *start* to *end*.

    The highest with a positive standard *deviation* of the step, the lowest with a negative one;
    *draw* is a standard exponential number. So a bar's high and low are those of a continuous
    path: a stop at a level was really traded at that level (Glasserman 2004, "Monte Carlo Methods
    in Financial Engineering", section 6.4).
    """
    reach = np.sqrt((end - start) * (end - start) + 2.0 * deviation * deviation * draw)
    return float(0.5 * (start + end + (reach if deviation > 0.0 else -reach)))


@compiled
def walk_minute(
    state: Any, scale: float, hunting: float, shock: Floats, between: Floats
) -> tuple[float, float, float, float]:
    """Move the price through one minute of steps with standard deviation *scale*.

    Returns:
        Highest and lowest price, sum of the moves' sizes and of their squares (fractions).
    """
    high = low = price = state.price
    walked = squared = 0.0
    beyond = hunting * BEYOND
    for k in range(STEPS):
        step = scale * (1.0 + state.rush)
        if price < state.low_edge and state.low_left != 0:
            step *= 1.0 + beyond * state.low_stops
        elif price > state.high_edge and state.high_left != 0:
            step *= 1.0 + beyond * state.high_stops
        move = step * shock[k]
        walked += abs(move)
        squared += move * move
        last = price
        price *= 1.0 + move + state.drift
        high = max(high, bridge(last, price, step * last, between[k, 0]))
        low = min(low, bridge(last, price, -step * last, between[k, 1]))
    state.price = price
    return high, low, walked, squared


@compiled
def note_swing_bar(swings: Floats, t: int, first: bool, bar: Any) -> None:
    """Add one minute to the 15m bar *t* in the making."""
    if first:
        swings[0, t] = bar.high
        swings[1, t] = bar.low
    else:
        swings[0, t] = max(swings[0, t], bar.high)
        swings[1, t] = min(swings[1, t], bar.low)
    swings[2, t] = bar.close


@compiled
def walk(
    states: Any,
    size_decimals: int,
    edge: float,
    hunting: float,
    scale: Floats,
    variance: Floats,
    shock: Floats,
    between: Floats,
    bounce: Floats,
    swings: Floats,
    activity: Floats,
    bars: Bars,
) -> None:
    """Walk one minute for each row of *bars* and fill in its prices.

    Args:
        states: WALK record array of length 1, updated in place.
        size_decimals: the venue's rule for ticks.
        edge: see `ftbt.data.sample.sample_market`.
        hunting: strength of the hunt for stops; 1 as in `BEYOND` and `RUSH`, 0 for none.
        scale: standard deviation of one step in each minute by the season alone, shape (n,);
            replaced by that which the minute really began with.
        variance: of the news, relative to the season's, shape (n,).
        shock: standard normal numbers, shape (n, STEPS).
        between: standard exponential numbers, shape (n, STEPS, 2), for the extremes in each step.
        bounce: -1, 0 or 1 ticks between a minute's first trade and the last close, shape (n,).
        swings: highs, lows and closes of the completed 15m bars, shape (3, all bars), filled here.
        activity: how busy each minute was relative to `scale`, shape (n,), filled here.
        bars: BAR array, shape (n,), a multiple of SWING_MINUTES; its times are set by the
            caller, volume is left alone.
    """
    state = states[0]
    levels = np.empty(LOOKBACK)
    for i in range(len(bars)):
        usual = scale[i]
        scale[i] = usual * np.sqrt((1.0 - ECHO) * variance[i] + ECHO * state.echo)
        tick = tick_size(state.price, size_decimals)
        first = round_price(state.price + bounce[i] * tick, size_decimals)
        high, low, walked, squared = walk_minute(state, scale[i], hunting, shock[i], between[i])
        state.echo += (squared / (STEPS * usual * usual) - state.echo) / ECHO_MINUTES
        # Stop orders that go off trade more than the distance alone would say.
        activity[i] = walked / scale[i] * (1.0 + state.rush) * (1.0 + state.rush)
        count_down(state, low, high, hunting * RUSH)
        bar = bars[i]
        bar.open = first
        bar.high = max(first, round_price(high, size_decimals))
        bar.low = min(first, round_price(low, size_decimals))
        bar.close = round_price(state.price, size_decimals)
        note_swing_bar(swings, state.swings, i % SWING_MINUTES == 0, bar)
        if i % SWING_MINUTES == SWING_MINUTES - 1:
            close_swing_bar(state, swings, edge, levels)


@compiled
def aggregate(minutes: Bars, per_bar: int, lots_per_unit: float) -> Bars:
    """Return bars of *per_bar* minutes each; an incomplete last bar is left out.

    Volumes are added as whole lots, so the sum is exact.
    """
    count = len(minutes) // per_bar
    bars = np.zeros(count, BAR)
    for b in range(count):
        first = b * per_bar
        bar = bars[b]
        bar.time = minutes[first].time
        bar.open = minutes[first].open
        bar.high = minutes[first].high
        bar.low = minutes[first].low
        lots = 0.0
        for i in range(first, first + per_bar):
            bar.high = max(bar.high, minutes[i].high)
            bar.low = min(bar.low, minutes[i].low)
            lots += np.floor(minutes[i].volume * lots_per_unit + 0.5)
        bar.close = minutes[first + per_bar - 1].close
        bar.volume = lots / lots_per_unit
    return bars
