"""The look-ahead audit as a part of every assessment: gate H0, in its cheap form.

Each strategy of the newest window, with the parameters that would be traded next, on the end of the
first symbol's candles. `ftbt audit` makes the thorough one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ftbt.data.market import Market
from ftbt.errors import FtbtError
from ftbt.robustness.assessment import AuditFacts
from ftbt.robustness.rerun import Reruns, WindowTest

MODULE = "ftbt.robustness.audit"
BARS = 1_500  # after the warm-up
PREFIXES = 4

Tick = Callable[[int, int], None]


def audit_section(reruns: Reruns | None, seed: int, tick: Tick | None = None) -> AuditFacts:
    """Return what the audit found, or why it was not made.

    Args:
        reruns: windows with their strategies and candles; None: no candles at hand.
        seed: of the places where candles are cut.
        tick: told (strategies done, all).
    """
    if reruns is None:
        return _not_made("the look-ahead audit was not made: no candles were at hand")
    if not reruns.tests:
        return _not_made("the look-ahead audit was not made: no window finished")
    if find_spec(MODULE) is None:
        return _not_made("the look-ahead audit was not made: this version has none")
    newest = reruns.newest
    names, found = [], []
    market = _market(newest)
    for number, sleeve in enumerate(newest.sleeves):
        name = getattr(sleeve.strategy, "name", str(sleeve.strategy))
        try:
            found.append(_audit(sleeve.strategy, market, sleeve.parameters, reruns, seed))
        except FtbtError as error:
            return _not_made(f"the look-ahead audit of {name} could not be made: {error}")
        names.append(f"{name} on {market.symbol}")
        if tick is not None:
            tick(number + 1, len(newest.sleeves))
    guilty = [name for name, one in zip(names, found, strict=True) if not one.clean]
    sentence = (
        "no order changed when the future was cut off or altered"
        if not guilty
        else f"{' and '.join(guilty)} decided differently without the future: it looks ahead"
    )
    return AuditFacts(True, not guilty, sentence, tuple(names))


def _not_made(sentence: str) -> AuditFacts:
    return AuditFacts(made=False, clean=False, sentence=sentence, audited=())


def _audit(strategy: Any, market: Market, parameters: Any, reruns: Reruns, seed: int) -> Any:
    # By name, so that robustness can be used without the audit's own needs.
    audit = import_module(MODULE).audit
    return audit(
        strategy,
        market,
        parameters,
        reruns.inputs.settings,
        prefixes=PREFIXES,
        seed=seed,
        progress=None,
    )


def _market(test: WindowTest) -> Market:
    """Return the last bars of the first symbol that has any, its warm-up in front."""
    piece = next(one.pieces[-1] for one in test.pieces if one.pieces)
    count = len(piece.market.candles)
    first = max(0, count - piece.trade_from - BARS)
    return replace(piece.market.slice(first, count), detail=None)
