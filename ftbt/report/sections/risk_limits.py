"""The limits on risk as a table: their values, and how often each of them refused a setup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ftbt.report.blocks import Cell, Column, Table
from ftbt.report.format import percent, plural, whole
from ftbt.report.source import Source
from ftbt.risk.limits import Limits
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

Write = Callable[[Limits], str]


def _fraction(name: str) -> Write:
    return lambda limits: percent(getattr(limits, name))


def _count(name: str) -> Write:
    return lambda limits: whole(getattr(limits, name))


# In the order in which they are asked; see `ftbt.risk.limits.look`.
VALUES: Mapping[Refusal, Write] = {
    Refusal.ONE_PER_SYMBOL: lambda _: "1",
    Refusal.DRAWDOWN: lambda limits: (
        f"{percent(limits.drawdown)} for {plural(limits.breaker_days, 'day')}"
    ),
    Refusal.WEEKLY_LOSS: _fraction("weekly_loss"),
    Refusal.DAILY_LOSS: _fraction("daily_loss"),
    Refusal.TRADES_PER_DAY: _count("trades_per_day"),
    Refusal.POSITIONS: _count("positions"),
    Refusal.TOTAL_EXPOSURE: _fraction("total_exposure"),
    Refusal.GROUP_EXPOSURE: _fraction("group_exposure"),
    Refusal.RISK_PER_TRADE: _fraction("risk_per_trade"),
}
_NONE = Limits.none()


def limit_of(word: str, limits: Limits) -> str:
    """Return the value of the limit that refuses by *word*, empty when that is no limit."""
    for refusal, write in VALUES.items():
        if REFUSAL_WORDS[refusal] == word:
            name = refusal.name.lower()
            unlimited = getattr(_NONE, name, None)
            return "none" if getattr(limits, name, ...) == unlimited else write(limits)
    return ""


def limits_table(source: Source) -> Table:
    """Return every limit with its value and how many setups it refused out of sample."""
    refused, limits = source.run.summary.refused, source.settings.limits
    rows: list[list[Cell | str]] = []
    for refusal in VALUES:
        word = REFUSAL_WORDS[refusal]
        count = refused.get(word, 0)
        times = whole(count) if count else Cell("0", "muted")
        rows.append([word[:1].upper() + word[1:], limit_of(word, limits), times])
    group = (
        f" Symbols are a group when their returns correlate from {limits.correlation:g} on, over"
        f" {limits.correlation_days} days."
    )
    return Table(
        "What the limits on risk held back",
        [Column("Limit", numeric=False), Column("Set to"), Column("Setups refused")],
        rows,
        note="Fractions are of the equity; exposure is initial margin. An entry that is too large"
        f" for the exposure is made smaller; only what would be left with less than"
        f" {percent(limits.smallest_share, 0)} of its size is refused.{group}",
    )
