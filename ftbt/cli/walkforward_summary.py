"""What `ftbt walkforward` prints at its end: a short table and what it means."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.data_common import show_table
from ftbt.cli.parts import show_parts
from ftbt.data.timeframe import from_ms
from ftbt.risk.allocation import Allocation

if TYPE_CHECKING:
    from ftbt.walkforward.ledger import Earlier
    from ftbt.walkforward.result import Run

LONGEST_PARAMETERS = 60
SYNTHETIC = "synthetic market"


def show_run(run: Run, earlier: Earlier) -> None:
    """Print the run."""
    manifest = run.manifest
    symbols = "+".join(one.symbol for one in manifest.data)
    first, last = manifest.data[0], manifest.data[-1]
    click.echo(
        f"{manifest.strategy.name} on {symbols} {first.timeframe},"
        f" {from_ms(first.start_ms):%Y-%m-%d} to {from_ms(last.end_ms):%Y-%m-%d}, {first.source}"
    )
    click.echo(manifest.settings_text)
    if len(manifest.strategy.names) > 1:
        plain = manifest.allocation
        click.echo(Allocation(**{**plain, "weights": tuple(plain["weights"])}).describe())
    show_table(*_windows(run))
    for line in _stitched(run):
        click.echo(line)
    show_parts(run.summary.parts)
    for note in run.summary.notes:
        if note != SYNTHETIC:
            click.echo(f"note: {note}")
    click.echo(run.summary.evidence.sentence)
    click.echo(_trials(run, earlier))
    if run.synthetic:
        click.echo(f"{SYNTHETIC}: these candles are made up; this says nothing of a real one")


def _windows(run: Run) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the table of windows; with several strategies their shares, for lack of room."""
    names = run.manifest.strategy.names
    last = "parameters" if len(names) == 1 else f"shares of {' / '.join(names)}"
    heads = ["window", "test from", "to", "trades", "in-sample", "out-of-sample", last]
    rows = []
    for row in run.windows.to_dict("records"):
        span = [f"{row['test_start']:%Y-%m-%d}", f"{row['test_end']:%Y-%m-%d}"]
        if row["state"] == "failed":
            rows.append([str(row["window"]), *span, "", "", "failed", ""])
            continue
        told = (
            _parameters(json.loads(row["parameters"]))
            if len(names) == 1
            else " / ".join(f"{one:.0%}" for one in json.loads(row["weights"]))
        )
        rows.append(
            [
                str(row["window"]),
                *span,
                f"{row['test_trades']:.0f}",
                percent(row["train_total_return"]),
                percent(row["test_total_return"]),
                told,
            ]
        )
    return heads, rows, ["window", "trades", "in-sample", "out-of-sample"]


def _parameters(values: Mapping[str, Any]) -> str:
    text = " ".join(f"{name}={_short(value)}" for name, value in values.items())
    return text if len(text) <= LONGEST_PARAMETERS else text[: LONGEST_PARAMETERS - 3] + "..."


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(fraction: float | None) -> str:
    """Return a fraction as a signed percentage."""
    if fraction is None or not math.isfinite(fraction):
        return "n/a"
    return f"{fraction:+.2%}"


def _stitched(run: Run) -> list[str]:
    summary = run.summary
    figures = summary.out_of_sample
    if not figures:
        return []
    sharpe = figures["sharpe"]
    line = (
        f"out of sample, stitched: {percent(figures['total_return'])}"
        f" ({figures['net_profit']:+,.2f}), Sharpe {'n/a' if sharpe is None else f'{sharpe:.2f}'},"
        f" deepest drawdown {percent(figures['max_drawdown'])}, {figures['trades']} trades;"
        f" buy and hold {percent(summary.buy_and_hold_return)}"
    )
    lines = [line]
    if summary.engine == "compiled":
        lines.append(
            f"compiled engine; on the reference engine {summary.identical_trades:,} of"
            f" {summary.compared_trades:,} out-of-sample trades are identical"
        )
    if summary.refused:
        words = ", ".join(f"{word} {count:,}" for word, count in summary.refused.items())
        lines.append(f"setups and orders not taken, out of sample: {words}")
    return lines


def _trials(run: Run, earlier: Earlier) -> str:
    text = f"{run.summary.trials:,} trials in this run"
    if not earlier.trials:
        return text + "; these data were not asked before"
    return (
        f"{text}; these data have been asked {earlier.trials:,} questions before"
        f" ({earlier.of_strategy:,} of them about {_whom(run)}): the more questions, the likelier"
        " a good answer is luck"
    )


def _whom(run: Run) -> str:
    return "this strategy" if len(run.manifest.strategy.names) == 1 else "one of these strategies"
