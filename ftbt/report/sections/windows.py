"""Windows: what each training chose, what came of it in the test, how the choice moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ftbt.data.timeframe import DAY_MS
from ftbt.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    How,
    HowFold,
    Notice,
    Section,
    Table,
)
from ftbt.report.figures import windows as drawings
from ftbt.report.figures.common import percent_tick
from ftbt.report.format import MISSING, day, known, number, percent, plural, whole
from ftbt.report.sections import walkforward_checks
from ftbt.report.sections.chosen_parameters import FAILED, parameters
from ftbt.report.source import Floats, Source, milliseconds
from ftbt.walkforward.objective import WORST

MONTH_MS = 30 * DAY_MS


def build(source: Source) -> Sequence[Block]:
    """Return failures, the table of windows, bars of in- and out-of-sample, parameters."""
    blocks: list[Block] = list(_failures(source))
    blocks += [_table(source), _how(source)]
    if len(source.done):
        blocks.append(_pairs(source))
    return [*blocks, *parameters(source), *walkforward_checks.blocks(source)]


def _failures(source: Source) -> list[Block]:
    failed = source.failed
    if not len(failed):
        return []
    named = plural(len(failed), "window")
    return [
        Notice(
            f"{named} failed and {'is' if len(failed) == 1 else 'are'} not in the result",
            " ".join(_failure(row) for _, row in failed.iterrows()),
            "loss",
        )
    ]


def _failure(row: pd.Series[Any]) -> str:
    where = f" ({row['where']})" if row["where"] else ""
    return f"Window {row['window']}: {str(row['reason']).rstrip('.')}{where}."


def _cell(value: object, write: object, *, sign: bool = False, why: str = "undefined") -> Cell:
    """Return a figure of a window, n/a with its reason."""
    if not known(value):
        return Cell(MISSING, "muted", why)
    number_ = float(value)  # type: ignore[arg-type]
    tone = "" if not sign else "gain" if number_ > 0 else "loss" if number_ < 0 else ""
    return Cell(write(number_), tone)  # type: ignore[operator]


def _score(value: float, failed: bool) -> Cell:
    if not failed and known(value) and value <= WORST:
        return Cell("too few trades", "muted", "fewer trades in training than the search asks for")
    return _cell(value, number, why=FAILED if failed else "undefined")


def _table(source: Source) -> Table:
    frame = source.windows
    starts = milliseconds(frame["test_start"])
    search = source.run.manifest.search
    # The score of the best trial by Sharpe ratio is that ratio; several strategies have no common
    # one.
    alone = len(source.strategies) == 1
    scored = alone and (search.objective, search.selection) != ("sharpe", "best")
    rows: list[list[Cell | str]] = []
    for (_, row), start in zip(frame.iterrows(), starts, strict=True):
        failed = row["state"] != "done"
        why = FAILED if failed else "undefined: no trade, or no variation"

        def signed(value: float) -> str:
            return percent(value, sign=True)

        rows.append(
            [
                str(row["window"]),
                day(int(start)),
                *([_score(row["score"], failed)] if scored else []),
                _cell(row["train_sharpe"], number, why=why),
                _cell(row["test_sharpe"], number, why=why),
                _cell(row["test_total_return"], signed, sign=True, why=why),
                _cell(row["buy_and_hold"], signed, why=why),
                _cell(row["test_max_drawdown"], percent, why=why),
                _cell(row["test_profit_factor"], number, why=_why_factor(row)),
                _cell(row["test_trades"], whole, why=why),
                _cell(row["end_equity"], lambda value: number(value, 0), why=why),
            ]
        )
    objective = search.objective.replace("_", " ")
    heads = ["Test from", *([f"Score in training ({objective})"] if scored else [])]
    heads += ["Sharpe in training"]
    heads += ["Sharpe in test", "Return in test", "Buy and hold", "Drawdown", "Profit factor"]
    heads += ["Trades", "Equity after"]
    return Table("Windows", [Column("Window"), *map(Column, heads)], rows, note=_plan(source))


def _why_factor(row: pd.Series[Any]) -> str:
    if row["state"] != "done":
        return FAILED
    return "no trade was made" if row["test_trades"] == 0 else "no losing trade: no limit"


def _plan(source: Source) -> str:
    plan, search = source.run.manifest.plan, source.run.manifest.search
    kind = "anchored" if plan.anchored else "rolling"
    gaps = [f"{name} {value}" for name, value in (("purge", plan.purge), ("embargo", plan.embargo))]
    gaps = [text for text in gaps if not text.endswith((" 0 bars", " 0"))]
    left = (
        f" {plural(plan.untested_bars, 'bar')} after the last window untested."
        if (plan.untested_bars)
        else ""
    )
    return (
        f"{kind.capitalize()} windows: train {plan.train}, test {plan.test}, step {plan.step}"
        f"{''.join(', ' + text for text in gaps)}; {plural(plan.warmup_bars, 'warm-up bar')}"
        f" before each. {plural(search.trials, 'trial')} per window{_split(source)};"
        f" {'best trial' if search.selection == 'best' else 'best plateau'} chosen.{left}"
    )


def _split(source: Source) -> str:
    count = len(source.strategies)
    return f", of {count} strategies together" if count > 1 else ""


def _how(source: Source) -> Block:
    search = source.run.manifest.search
    chosen = (
        "the trial with the best objective"
        if search.selection == "best"
        else "the trial whose neighbourhood (similar parameters) has the best median objective"
    )
    return HowFold(
        How(
            f"In each training window {plural(search.trials, 'trial')} of parameters are made and"
            f" valued by: {search.objective_text}; fewer than {plural(search.min_trades, 'trade')}"
            f" counts as the worst value. Chosen is {chosen}. It then runs once on the test bars."
            f"{_search(source)}",
            f"Sampler: {search.sampler}; seed {search.seed}. Lines are warmed up on the bars before"
            " each window; every test starts and ends without a position.",
            "Pardo, The Evaluation and Optimization of Trading Strategies (2008), chapter 11;"
            " windows.parquet and trials.parquet in the run folder.",
        )
    )


def _search(source: Source) -> str:
    if len(source.strategies) == 1:
        return ""
    return (
        " Each strategy is searched for itself, alone on the whole account; in the test all run"
        " together, each by its share, and the figures of the training are those of the same"
        " together."
    )


def _monthly(total: Floats, start: Floats, end: Floats) -> Floats:
    """Return total returns as growth per 30 days, so that long and short spans compare."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(1.0 + total, 0.0) ** (MONTH_MS / (end - start)) - 1.0)


def _spans(frame: pd.DataFrame, part: str) -> tuple[Floats, Floats]:
    start, end = milliseconds(frame[f"{part}_start"]), milliseconds(frame[f"{part}_end"])
    return start.astype(np.float64), end.astype(np.float64)


def _pairs(source: Source) -> Figure:
    frame = source.windows
    train = _monthly(frame["train_total_return"].to_numpy(np.float64), *_spans(frame, "train"))
    test = _monthly(frame["test_total_return"].to_numpy(np.float64), *_spans(frame, "test"))
    labels = [str(number_) for number_ in frame["window"]]
    worse = int(np.sum(test < train))
    both = int(np.sum(~np.isnan(test) & ~np.isnan(train)))
    return Figure(
        anchor="window-pairs",
        title="Training against test, window by window",
        description=f"Out of sample was worse than in-sample in {worse} of {both} windows."
        " Both as growth per 30 days, after costs.",
        draw=lambda layout: drawings.pairs(
            layout, labels, train, test, "Growth per 30 days", percent_tick
        ),
        table=Table(
            "Growth per 30 days",
            [Column("Window"), Column("In-sample"), Column("Out-of-sample")],
            [
                [
                    label,
                    _cell(a, lambda v: percent(v, sign=True), why=FAILED),
                    _cell(b, lambda v: percent(v, sign=True), why=FAILED),
                ]
                for label, a, b in zip(labels, train.tolist(), test.tolist(), strict=True)
            ],
        ),
        how=How(
            "(1 + total return) ^ (30 days / length of the span) − 1.",
            "The chosen parameters on their own training bars, and on the test bars that follow.",
            "windows.parquet in the run folder.",
        ),
        note=_efficiency(source),
    )


def _efficiency(source: Source) -> str:
    value = source.run.summary.walk_forward_efficiency
    if value is None:
        return "Walk-forward efficiency: n/a, in-sample growth is not above zero."
    return (
        f"Walk-forward efficiency: {percent(value, 0)} of the annual in-sample growth was left out"
        " of sample (Pardo 1992; information, not a test)."
    )


SECTION = Section(
    "windows",
    "Walk-forward",
    build,
    "Parameters are chosen on the training bars and then run, once, on bars never seen.",
)
