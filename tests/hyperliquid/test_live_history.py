"""The bars before the first live one, and the clock that tells which of them are closed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from bars_kit import QUARTER

from ftbt.data.candles import Candles
from ftbt.errors import ConfigError, DataError
from ftbt.hyperliquid.clock import VenueClock
from ftbt.hyperliquid.history import load_history


def test_a_history_beyond_what_the_exchange_keeps_is_refused(patient, net):
    """The message says where it begins and what to do."""
    now = net.market_time()
    with pytest.raises(DataError, match="ftbt data fetch"):
        load_history(patient.rest, "BTC", QUARTER, now - 400 * 86_400_000, now)


def test_stored_candles_lengthen_the_history(patient, net, research):
    """What the exchange no longer has comes from the store; the seam is checked."""
    now = net.market_time()
    candles = research["BTC"]
    first = int(candles.time[0]) - 100 * QUARTER.ms
    early = candles.bars[:150].copy()
    early["time"] -= 100 * QUARTER.ms
    early[100:] = candles.bars[:50]
    stored = Candles("BTC", QUARTER, early)
    found = load_history(patient.rest, "BTC", QUARTER, first, now, stored)
    opens = np.array([bar.opened for bar in found.bars])
    assert opens[0] == first
    assert (np.diff(opens) == QUARTER.ms).all()

    other = early.copy()
    for name in ("open", "high", "low", "close"):
        other[name] *= 2
    with pytest.raises(DataError, match="different markets"):
        load_history(patient.rest, "BTC", QUARTER, first, now, Candles("BTC", QUARTER, other))


def test_the_forming_candle_is_no_history(patient, net):
    """The last bar had closed when the history was read."""
    net.run_until(net.market_time() + 7 * 60_000)
    now = net.market_time()
    last = load_history(patient.rest, "BTC", QUARTER, now - 86_400_000, now).bars[-1]
    assert last.opened + QUARTER.ms <= now


def test_a_row_that_is_missing_at_the_end_is_left_to_be_asked_for(patient, net):
    """One in the middle is a bar without trades; the newest may only be late."""
    now = net.market_time()
    last = QUARTER.floor(now) - QUARTER.ms
    for opened, count in ((last - 5 * QUARTER.ms, 96), (last, 95)):
        net.fault("candle_missing", match={"coin": "BTC"}, time=opened)
        found = load_history(patient.rest, "BTC", QUARTER, last - 95 * QUARTER.ms, now)
        assert len(found.bars) == count
        assert found.flat == (1 if count == 96 else 0)


def test_the_venues_clock_is_followed(patient):
    """It is this machine's on a local exchange, and never steps back."""
    clock = VenueClock(patient.rest)
    clock.synchronise()
    assert abs(clock.skew_ms) < 2_000
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time() * 1000) < 2_000


def test_a_wall_clock_that_is_set_moves_nothing_and_is_noticed(patient):
    """The venue's time goes on as before; the next refresh tells how far ours is off."""
    ahead = [0.0]
    clock = VenueClock(patient.rest, wall=lambda: time.time() + ahead[0])
    clock.synchronise()
    ahead[0] = 86_400.0
    assert abs(clock.wall() - time.time() * 1000) < 2_000
    with pytest.raises(ConfigError, match=r"\+86400\.\d s off"):
        clock.refresh()
    assert abs(clock.now() - time.time() * 1000) < 2_000
    assert abs(clock.skew_ms - 86_400_000) < 2_000


def test_a_machine_that_slept_asks_for_the_time(patient):
    """Its monotonic clock stood still meanwhile."""
    slept = [0.0]
    clock = VenueClock(patient.rest, monotonic=lambda: time.monotonic() - slept[0])
    clock.synchronise()
    slept[0] = 3_600.0
    assert clock.now() < time.time() * 1000 - 3_000_000
    clock.refresh()
    assert abs(clock.now() - time.time() * 1000) < 2_000


def test_a_venue_whose_clock_was_set_is_asked_when_it_is_doubted(patient, net):
    """Nonces and expiries follow it both ways; the market's time never steps back."""
    clock = VenueClock(patient.rest)
    clock.synchronise()
    newest = 0
    try:
        for offset in (20_000, -20_000):
            net.control("/clock", {"wall_offset_ms": offset})
            clock.doubt()
            assert abs(clock.wall() - time.time() * 1000 - offset) < 2_000
            newest = max(newest, clock.now())
        assert newest > time.time() * 1000 + 15_000
        assert clock.now() >= newest
    finally:
        net.control("/clock", {"wall_offset_ms": 0})
