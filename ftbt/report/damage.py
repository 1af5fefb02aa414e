"""The single most damaging number of a run.

The checks stand in the order in which they would stop a careful trader; the first that applies is
shown. Thresholds carry their source; none of them makes a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ftbt.report.format import known, money, number, percent, plural, probability
from ftbt.report.source import Source

FEW_TRADES = 100  # QuantConnect's LEAN report asks for more than 100
PSR_WANTED = 0.95  # the usual 5 % test; Bailey and Lopez de Prado 2012
WINDOW_SHARE = 0.5  # TradeStation's walk-forward: no window with half of the profit
EFFICIENCY = 0.5  # Pardo 1992's rule of thumb; information only
FEW_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class Damage:
    """A number and the sentence that says why it hurts."""

    value: str
    text: str


def most_damaging(source: Source) -> Damage:
    """Return the first finding of `CHECKS` that applies; the last always does."""
    for check in CHECKS:
        found = check(source)
        if found is not None:
            return found
    return _tries(source)


def _nothing_finished(source: Source) -> Damage | None:
    if len(source.done):
        return None
    windows = len(source.windows)
    return Damage(f"0 of {windows} windows", "Every window failed, so nothing was tested.")


def _no_trades(source: Source) -> Damage | None:
    if len(source.trades):
        return None
    return Damage("0 trades", "The chosen parameters never traded out of sample.")


def _ruin(source: Source) -> Damage | None:
    if not source.ruined:
        return None
    return Damage(percent(source.out("max_drawdown")), "The account was ruined out of sample.")


def _net_loss(source: Source) -> Damage | None:
    total = source.out("total_return")
    if not known(total) or total > 0:
        return None
    before = source.costs["before"]
    if before > 0:
        return Damage(
            percent(total, sign=True),
            f"Out of sample it earned {money(before)} before costs and paid"
            f" {money(source.costs['total'])}: costs ate all of it.",
        )
    return Damage(
        percent(total, sign=True),
        f"Out of sample it lost money, and {money(-before)} of the loss came before any cost.",
    )


def _could_be_luck(source: Source) -> Damage | None:
    psr = source.run.summary.evidence.psr
    if not known(psr):
        days = source.run.summary.evidence.days
        return Damage(
            plural(days, "day"), "Too few days, or days too equal, to tell skill from luck."
        )
    if psr >= PSR_WANTED:
        return None
    return Damage(
        probability(psr),
        "The probability that the true Sharpe ratio is above zero; the usual least is"
        f" {percent(PSR_WANTED, 0)}. A result like this is common without any edge.",
    )


def _few_trades(source: Source) -> Damage | None:
    count = len(source.trades)
    if count >= FEW_TRADES:
        return None
    return Damage(
        plural(count, "trade"),
        f"Out of sample it made {plural(count, 'trade')}; fewer than {FEW_TRADES} say little.",
    )


def _few_windows(source: Source) -> Damage | None:
    count = len(source.done)
    if count >= FEW_WINDOWS:
        return None
    return Damage(
        plural(count, "window"),
        "So few test windows can't show whether choosing parameters anew keeps working.",
    )


def _failed_windows(source: Source) -> Damage | None:
    count = len(source.failed)
    if not count:
        return None
    return Damage(
        f"{count} of {len(source.windows)} windows failed",
        "The stitched result has holes; what would have happened there is not known.",
    )


def _losing_windows(source: Source) -> Damage | None:
    good, windows = source.run.summary.profitable_windows, len(source.done)
    if good >= WINDOW_SHARE * windows:
        return None
    return Damage(f"{good} of {windows} windows", "Fewer than half of the windows made a profit.")


def _one_window(source: Source) -> Damage | None:
    earned = (source.done["end_equity"] - source.done["start_equity"]).to_numpy(np.float64)
    total = float(earned.sum())
    share = float(earned.max()) / total if total > 0 else 0.0
    if share < WINDOW_SHARE or len(earned) < 2:
        return None
    number_ = int(source.done["window"].to_numpy()[int(earned.argmax())])
    return Damage(
        percent(share, 0),
        f"So much of the whole profit came from window {number_} alone.",
    )


def _worse_than_holding(source: Source) -> Damage | None:
    held, total = source.run.summary.buy_and_hold_return, source.out("total_return")
    if held is None or not known(total) or total >= held:
        return None
    return Damage(
        percent(total - held, sign=True),
        f"Buying and holding made {percent(held, sign=True)} over the same bars, the strategy"
        f" {percent(total, sign=True)}.",
    )


def _inefficient(source: Source) -> Damage | None:
    efficiency = source.run.summary.walk_forward_efficiency
    if efficiency is None or efficiency >= EFFICIENCY:
        return None
    return Damage(
        percent(efficiency, 0),
        "Walk-forward efficiency: what was left, out of sample, of the in-sample growth per year."
        f" Less than {percent(EFFICIENCY, 0)} points to parameters fitted to the past.",
    )


def _tries(source: Source) -> Damage:
    tried = source.run.summary.trials + source.run.timing.earlier_trials
    return Damage(
        plural(tried, "try", "tries"),
        f"{number(tried, 0)} parameter sets were tried on these data. The best of many looks good"
        " by luck alone, and none of these figures allows for that.",
    )


CHECKS: tuple[Callable[[Source], Damage | None], ...] = (
    _nothing_finished,
    _no_trades,
    _ruin,
    _net_loss,
    _could_be_luck,
    _few_trades,
    _few_windows,
    _failed_windows,
    _losing_windows,
    _one_window,
    _worse_than_holding,
    _inefficient,
)
