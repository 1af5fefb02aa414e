"""Portfolio: who earned what, who had which share of the account, what the limits held back."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ftbt.backtest.attribution import Part
from ftbt.report.blocks import Block, Cell, Column, Fold, How, HowFold, Section, Table
from ftbt.report.format import MISSING, day, money, number, percent, whole
from ftbt.report.sections.profit_figures import profit_figure
from ftbt.report.sections.risk_limits import limits_table
from ftbt.report.source import Source, milliseconds
from ftbt.risk.allocation import EQUAL_RISK, INVERSE_VOLATILITY


def build(source: Source) -> Sequence[Block]:
    """Return parts, shares and limits; nothing when one strategy trades one symbol."""
    if not source.is_portfolio:
        return []
    return [*_earned(source), *_shares(source), limits_table(source)]


def _earned(source: Source) -> list[Block]:
    """Return who earned what, in tables and over time."""
    names = {"strategy": source.strategies, "symbol": source.symbols}
    levels = [level for level, known in names.items() if len(known) > 1]
    blocks: list[Block] = [_table(source, level, [level.capitalize()]) for level in levels]
    if len(levels) > 1:
        pairs = _table(source, "pair", ["Strategy", "Symbol"])
        blocks.append(Fold("Each strategy on each symbol", [pairs]))
    blocks.append(_how())
    if len(source.trades):
        blocks += [profit_figure(source, level, names[level]) for level in levels]
    return blocks


def _table(source: Source, level: str, heads: Sequence[str]) -> Table:
    (account,) = source.parts("all")
    share = "Share of loss" if account.net < 0 else "Share of profit"
    # Two names leave no room for the win rate.
    columns = ["Trades", *(["Win rate"] if level != "pair" else []), "Mean R", "Net profit", share]
    columns += ["Fees", "Slippage", "Funding", "Deepest fall", "Share of variance"]
    rows = [_row(one, account, source, level) for one in [*source.parts(level), account]]
    return Table(
        "By strategy and symbol" if level == "pair" else f"By {level}",
        [*(Column(head, numeric=False) for head in heads), *map(Column, columns)],
        rows,
    )


def _row(one: Part, account: Part, source: Source, level: str) -> list[Cell | str]:
    names = {
        "strategy": [one.strategy], "symbol": [one.symbol], "pair": [one.strategy, one.symbol],
    }[level]  # fmt: skip
    share = one.net / account.net if account.net else math.nan
    modelled = source.run.summary.funding_modelled
    return [
        *(name or "all" for name in names),
        whole(one.trades),
        *([_known(percent(one.win_rate), "no trade was made")] if level != "pair" else []),
        _known(number(one.mean_r, sign=True), "no stop" if one.trades else "no trade was made"),
        Cell(money(one.net, sign=True), "gain" if one.net > 0 else "loss" if one.net < 0 else ""),
        _known(percent(share, 0), "there is nothing to share"),
        money(one.fees),
        money(one.slippage),
        money(one.funding) if modelled else Cell(MISSING, "muted", "funding: not modelled"),
        money(one.drawdown),
        _known(percent(one.variance_share, 0), "the account's daily profit did not vary"),
    ]


def _known(text: str, why: str) -> Cell:
    return Cell(MISSING, "muted", why) if text == MISSING else Cell(text)


def _how() -> Block:
    return HowFold(
        How(
            "Net = gross − fees − funding of the closed trades; slippage is inside gross. Share:"
            " net / net of all; negative for what went against the sign of the whole. Deepest fall:"
            " of the part's own profit, marked to market at each close, below its highest value so"
            " far. Share of variance: covariance of the part's daily profit with the account's /"
            " variance of the account's; negative for a part that hedges the rest.",
            "All out-of-sample trades and fills, in the money of the stitched curve. Each row is a"
            " part of one account, so the rows add up to it, deepest falls excepted.",
            "summary.json in the run folder, `parts`; definitions in ftbt/backtest/attribution.py.",
        )
    )


def _shares(source: Source) -> list[Block]:
    """Return the share of the account that each strategy had in each window."""
    if len(source.strategies) == 1:
        return []
    frame = source.windows
    cash = any(math.fsum(weights) < 1.0 - 1e-9 for weights in source.done["weights"])
    columns = zip(
        frame["window"], milliseconds(frame["test_start"]).tolist(), frame["weights"], strict=True
    )
    rows: list[list[Cell | str]] = [
        [str(window), day(start), *_window(weights, source, cash)]
        for window, start, weights in columns
    ]
    heads = ["Test from", *source.strategies, *(["in cash"] if cash else [])]
    return [
        Table(
            "Shares of the account, by window",
            [Column("Window"), *map(Column, heads)],
            rows,
            note=_shares_note(source),
        )
    ]


def _window(weights: Sequence[float], source: Source, cash: bool) -> list[Cell]:
    """Return the cells of one window; *cash*: with what nobody has."""
    if not weights:
        count = len(source.strategies) + cash
        return [Cell(MISSING, "muted", "the window failed")] * count
    cells = [
        Cell(percent(weight, 0)) if weight > 0.0 else Cell("stays out", "muted")
        for weight in weights
    ]
    left = max(0.0, 1.0 - math.fsum(weights))
    return [*cells, Cell(percent(left, 0))] if cash else cells


def _shares_note(source: Source) -> str:
    text = source.allocation.describe()
    by_risk = source.allocation.method in (INVERSE_VOLATILITY, EQUAL_RISK)
    measured = (
        ", measured on the daily returns of each strategy's chosen parameters in training, run for"
        " itself on the whole account"
    )
    return (
        f"{text[:1].upper()}{text[1:]}{measured if by_risk else ''}. A strategy without an"
        " acceptable trial in training stays out of the test; the notes of the run say why."
    )


SECTION = Section(
    "portfolio",
    "Portfolio",
    build,
    "Who earned what on the one account, and what the limits on risk held back.",
)
