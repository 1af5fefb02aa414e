"""The look-ahead audit as a part of every assessment: gate H0, in its cheap form.

Each strategy of the newest window, with the parameters that would be traded next, on the end of the
first symbol's candles. `ftbt audit` makes the thorough one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.errors import FtbtError
from ftbt.robustness.assessment import AuditFacts
from ftbt.robustness.audit import Audit, audit
from ftbt.robustness.rerun import Reruns
from ftbt.walkforward.pieces import Piece

BARS = 1_500  # after the warm-up
PREFIXES = 4
# With fewer orders than this there is hardly anything to compare: all bars are taken then.
FEW_ORDERS = 10

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
    newest = reruns.newest
    piece = next(one.pieces[-1] for one in newest.pieces if one.pieces)
    found = []
    for number, sleeve in enumerate(newest.sleeves):
        try:
            found.append(_audit(sleeve, piece, reruns, seed))
        except FtbtError as error:
            return _not_made(f"the look-ahead audit could not be made: {error}")
        if tick is not None:
            tick(number + 1, len(newest.sleeves))
    guilty = [one for one in found if not one.clean]
    told = guilty or found
    several = len(newest.sleeves) > 1
    return AuditFacts(
        made=True,
        clean=not guilty,
        sentence="; ".join(
            f"{one.strategy}: {one.sentence}" if several else one.sentence for one in told
        ),
        audited=tuple(f"{one.strategy} on {one.symbol}" for one in found),
        orders=sum(one.orders for one in found),
        warnings=tuple(dict.fromkeys(text for one in found for text in one.warnings)),
    )


def _not_made(sentence: str) -> AuditFacts:
    return AuditFacts(False, False, sentence, (), 0, ())


def _audit(sleeve: Sleeve, piece: Piece, reruns: Reruns, seed: int) -> Audit:
    settings = reruns.inputs.settings
    found = _on(sleeve, _end_of(piece), settings, seed)
    if found.clean and found.orders < FEW_ORDERS and piece.bars > BARS:
        return _on(sleeve, piece, settings, seed)
    return found


def _on(sleeve: Sleeve, piece: Piece, settings: Settings, seed: int) -> Audit:
    # Detail bars are left out: the audit alters the candles after a cut.
    return audit(
        sleeve.strategy,
        replace(piece.market, detail=None),
        sleeve.parameters,
        settings,
        prefixes=PREFIXES,
        seed=seed,
        trade_from=piece.trade_from,
    )


def _end_of(piece: Piece) -> Piece:
    """Return the last bars of a piece, its warm-up in front."""
    count = len(piece.market.candles)
    first = max(0, count - piece.trade_from - BARS)
    return Piece(piece.market.slice(first, count), piece.trade_from)
