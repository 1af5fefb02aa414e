"""`ftbt compare`: runs side by side, with what their number does to the evidence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.options import results_option
from ftbt.cli.report import find_run

if TYPE_CHECKING:
    from ftbt.robustness.compare_runs import RunComparison

JSON = "comparison.json"


@click.command(
    epilog="Example: ftbt compare liquidity_sweep-BTC-15m-2bbfa8ef fvg_fill-BTC-15m-8e7afeed"
)
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
@results_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="compare-<hash> in --results",
    help="Folder to write into.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the bootstrap.")
def compare(runs: tuple[str, ...], results: Path, out: Path | None, seed: int) -> None:
    """Lay finished RUNs side by side and say which differences are more than luck.

    Of their stitched out-of-sample records the days are taken that all have. The runs keep the
    order in which they are named: nothing is ranked. Their number is allowed for everywhere, and
    what they share (data, windows, a look at each other's results) is said.

    The same numbers are in comparison.json and on a page of its own.
    """
    from ftbt.report.comparison import write_comparison_page  # noqa: PLC0415 - needs matplotlib
    from ftbt.robustness.checks import whole  # noqa: PLC0415 - help answers without these
    from ftbt.robustness.compare_runs import compare_runs  # noqa: PLC0415
    from ftbt.robustness.plain_files import write_plain  # noqa: PLC0415
    from ftbt.walkforward.ledger import Ledger  # noqa: PLC0415
    from ftbt.walkforward.store import load_run  # noqa: PLC0415

    whole(seed, "--seed", 0)
    folders = [find_run(one, results) for one in runs]
    found = compare_runs([load_run(one) for one in folders], Ledger(results), seed)
    folder = out or results / _name(found)
    write_plain(folder / JSON, found)
    _show(found)
    click.echo(write_comparison_page(folder, found))


def _name(found: RunComparison) -> str:
    text = "|".join([*(one.run_id for one in found.sides), str(found.seed)])
    return f"compare-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _show(found: RunComparison) -> None:
    from ftbt.cli.data_common import show_table  # noqa: PLC0415
    from ftbt.data.timeframe import from_ms  # noqa: PLC0415

    click.echo(
        f"{found.result.days} common out-of-sample days, {from_ms(found.start_ms):%Y-%m-%d} to"
        f" {from_ms(found.end_ms - 1):%Y-%m-%d}; in the order asked for, no ranking"
    )
    heads = ["", "run", "verdict", "trades", "return", "Sharpe", "95 % interval", "PSR", "p, Holm",
             "p, BHY", "p, StepM", "deflated", "strict"]  # fmt: skip
    rows = [
        [
            side.letter, side.run_id, side.verdict, f"{side.trades}", f"{one.total_return:+.2%}",
            _figure(one.sharpe), _interval(one.low, one.high), _figure(one.psr),
            *(_p(value) for value in (one.p_holm, one.p_bhy, one.p_step_m)),
            _figure(one.deflated), _figure(one.deflated_strict),
        ]
        for side, one in zip(found.sides, found.result.runs, strict=True)
    ]  # fmt: skip
    show_table(heads, rows, right=heads[3:])
    letters = [one.letter for one in found.sides]
    pairs = [
        [
            f"{letters[one.first]} - {letters[one.second]}", f"{one.difference:+.2f}",
            _interval(one.low, one.high), _figure(one.correlation),
            "more than luck" if one.apart else "not told apart",
        ]
        for one in found.result.pairs
    ]  # fmt: skip
    show_table(["pair", "Sharpe difference", f"{found.result.pair_level:.2%} interval",
                "correlation", ""], pairs, right=["Sharpe difference"])  # fmt: skip
    for line in found.conclusions:
        click.echo(line)
    for line in found.warnings:
        click.echo(f"warning: {line}")


def _figure(value: float) -> str:
    return "n/a" if value != value else f"{value:.2f}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    return "n/a" if low != low else f"{low:.2f} to {high:.2f}"
