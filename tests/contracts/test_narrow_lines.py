"""A line of which some fields are asked for is the line, whatever it leaves out to get there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from line_contract import BASE_MS, must_equal
from smc_markets import market, names

from ftbt.data.timeframe import Timeframe
from ftbt.smc import ATR, CONFIDENCE, FVG, ORDER_BLOCKS, STRUCTURE, SWEEPS, Concept
from ftbt.smc.base import CACHE, Records, kept_line, run_line
from ftbt.smc.structure import BREAKS

GAPS = ("created", "bull_top", "bull_bottom", "bear_top", "bear_bottom")
# What strategies and other lines read; what they don't, where it is left out then.
ASKED: tuple[tuple[Concept, tuple[str, ...]], ...] = (
    (ATR, ("atr",)),
    (STRUCTURE, BREAKS),
    (STRUCTURE, ("choch",)),
    (STRUCTURE, ("weak", "trend")),
    (SWEEPS, ("sweep", "swept_strength", "swept_kind", "swept_extreme", "above", "below")),
    (SWEEPS, ("run",)),
    (FVG, GAPS),
    (FVG, ("retested", "bear_count")),
    (ORDER_BLOCKS, GAPS),
    (ORDER_BLOCKS, ("breaker_bull_swept",)),
    (CONFIDENCE, ("long", "short")),
)
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "structure": ({"choch_level": "protected", "break_mode": "wick"}, {"penetration": 0.2}),
    "sweeps": ({"reclaim": 0, "session_levels": "all", "left": 2, "right": 2},),
    "fair_value_gaps": (
        {"min_size_atr": 0.4, "open_until": "touch", "show": "nearest"},
        {"mitigation": "close", "max_age": 20, "capacity": 3},
    ),
    "order_blocks": ({"breaks": "choch", "max_age": 30}, {"require_sweep": True, "capacity": 2}),
}


def _picked(full: Records, fields: tuple[str, ...]) -> Records:
    made = np.zeros(len(full), np.dtype([(name, "f8") for name in fields]))
    for name in fields:
        made[name] = full[name]
    return made


@pytest.mark.parametrize(
    ("concept", "fields"), ASKED, ids=[f"{one.name}-{fields[0]}" for one, fields in ASKED]
)
def test_the_fields_asked_for_are_those_of_the_whole_line(
    concept: Concept, fields: tuple[str, ...]
) -> None:
    """To the last bit, under any parameters and on any timeframe, whatever is kept already."""
    for place in names():
        for values in ({}, *VARIANTS.get(concept.name, ())):
            parameters, bars = concept.pack(values), market(place)
            for frame in (None, Timeframe.parse("1h")):
                whole = run_line(concept, bars, BASE_MS, parameters, frame)
                expected = _picked(whole, fields)
                given = (BASE_MS, parameters, frame)
                must_equal(run_line(concept, bars, *given, fields), expected, "alone")
                CACHE.clear()
                must_equal(kept_line(concept, bars, place, *given, fields), expected, "kept")
                must_equal(kept_line(concept, bars, place, *given), whole, "kept after some")
                CACHE.clear()
                kept_line(concept, bars, place, *given)
                must_equal(kept_line(concept, bars, place, *given, fields), expected, "of all")


def test_what_others_read_of_a_line_serves_who_reads_less() -> None:
    """The structure under the confidence is not made again for a strategy that reads its CHoCH."""
    bars, parameters = market(names()[0]), STRUCTURE.pack({})
    CACHE.clear()
    kept_line(CONFIDENCE, bars, "some", BASE_MS, CONFIDENCE.pack({}), None, ("long", "short"))
    known = CACHE.known(("structure", parameters.tobytes(), 0, BASE_MS, "some", BREAKS))
    choch = kept_line(STRUCTURE, bars, "some", BASE_MS, parameters, None, ("choch",))
    np.testing.assert_array_equal(choch["choch"], known["choch"])
    assert CACHE.known(("structure", parameters.tobytes(), 0, BASE_MS, "some", ())) is None
