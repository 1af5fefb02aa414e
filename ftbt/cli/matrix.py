"""`ftbt matrix`: the same walk-forward with several lengths of training and test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ftbt.cli.asked import experiment_of
from ftbt.cli.walkforward import FAILED, PARTLY_FAILED, jobs_of, walkforward
from ftbt.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ftbt.robustness.matrix import Matrix
    from ftbt.walkforward.inputs import Inputs
    from ftbt.walkforward.result import Run

MOST_CELLS = 64
# What a matrix varies by itself, or has no use for.
OWN = {"experiment", "train", "test", "step", "resume", "force", "report", "strategy"}


@click.command(
    epilog="Example: ftbt matrix --strategy liquidity_sweep --train 60d,90d,180d --test 15d,30d"
)
@click.option("--strategy", required=True, metavar="NAME[,NAME]", help="As for `ftbt walkforward`.")
@click.option("--train", required=True, metavar="SPAN,SPAN", help="Lengths of training, the rows.")
@click.option("--test", required=True, metavar="SPAN,SPAN", help="Lengths of test, the columns.")
@click.pass_context
def matrix(ctx: click.Context, /, **options: Any) -> int:
    """Walk forward with every pair of a length of training and a length of test.

    Each cell is a whole walk-forward of its own, in its own run folder: what is finished is not
    computed again, and an interrupted matrix goes on where it stopped. Cells are judged by
    TradeStation's five criteria; what counts is a contiguous area of good cells, not the best one.

    Each cell is one more look at the same market. All their trials are in the ledger, and every
    later run on these data is judged against them.

    Exit codes: 0 done, 2 nothing succeeded or something to mend, 3 some windows failed, 130 Ctrl-C.
    """
    trains, tests = _lengths("--train", options["train"]), _lengths("--test", options["test"])
    _check_size(len(trains), len(tests))
    given = {
        name for name in options if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    jobs = jobs_of(options["jobs"])
    cells = _prepared(options, given, trains, tests)
    runs = [
        _run(one, options["results"], jobs, number, len(cells)) for number, one in enumerate(cells)
    ]
    return _tell(runs, trains, tests, options["results"])


matrix.params += [one for one in walkforward.params if one.name not in OWN]


def _lengths(flag: str, text: str) -> list[str]:
    from ftbt.config import Duration  # noqa: PLC0415 - help answers without it

    parts = [part.strip() for part in text.split(",")]
    made = []
    for part in parts:
        try:
            made.append(str(Duration.parse(part)))
        except ValueError as error:
            raise ConfigError(f"{flag} must be {error}, with commas, not {part!r}") from None
    twice = [one for one in made if made.count(one) > 1]
    if twice:
        raise ConfigError(f"{flag} has {twice[0]} twice")
    return made


def _check_size(rows: int, columns: int) -> None:
    cells = rows * columns
    if not 2 <= cells <= MOST_CELLS:
        raise ConfigError(
            f"a matrix has from 2 to {MOST_CELLS} cells, not {rows} x {columns} = {cells}: give"
            " --train and --test lists such as 60d,90d,180d and 15d,30d"
        )


def _prepared(
    options: dict[str, Any], given: set[str], trains: Sequence[str], tests: Sequence[str]
) -> list[Inputs]:
    """Return the inputs of all cells, every one checked before anything is computed."""
    from ftbt.walkforward.inputs import prepare  # noqa: PLC0415 - help answers without it

    made = []
    for train in trains:
        for test in tests:
            experiment = experiment_of({**options, "train": train, "test": test}, given)
            try:
                made.append(prepare(experiment, store=options["store"]))
            except DataError as error:
                raise DataError(f"cell --train {train} --test {test}: {error}") from error
    return made


def _run(inputs: Inputs, results: Path, jobs: int, number: int, cells: int) -> Run:
    from ftbt.cli.walkforward_progress import progress  # noqa: PLC0415
    from ftbt.walkforward.run import walk_forward  # noqa: PLC0415
    from ftbt.walkforward.store import is_started, load_run  # noqa: PLC0415

    plan, run_id = inputs.manifest.plan, inputs.manifest.run_id
    click.echo(f"cell {number + 1}/{cells}: train {plan.train}, test {plan.test}: {run_id}")
    try:
        with progress() as listener:
            finished = walk_forward(
                inputs,
                results,
                jobs=jobs,
                resume=is_started(results / run_id),
                listener=listener,
            )
    except KeyboardInterrupt:
        click.echo("what is done is kept; the same command goes on", err=True)
        raise
    return load_run(finished.folder)


def _tell(runs: Sequence[Run], trains: Sequence[str], tests: Sequence[str], results: Path) -> int:
    from ftbt.report.matrix_page import write_matrix_page  # noqa: PLC0415 - needs matplotlib
    from ftbt.robustness.matrix import matrix_of  # noqa: PLC0415
    from ftbt.robustness.plain_files import MATRIX, write_plain  # noqa: PLC0415

    found = matrix_of(runs, trains, tests)
    # Each run keeps a copy: its report is made from its folder alone.
    for run in runs:
        write_plain(run.folder / MATRIX, found)
    folder = results / _name(runs, found)
    write_plain(folder / MATRIX, found)
    _show(found)
    click.echo(write_matrix_page(folder))
    windows, failed = (
        sum(one.windows for one in found.cells),
        sum(one.failed for one in found.cells),
    )
    return FAILED if failed == windows else PARTLY_FAILED if failed else 0


def _name(runs: Sequence[Run], found: Matrix) -> str:
    digest = hashlib.sha256("|".join(one.run_id for one in found.cells).encode()).hexdigest()[:8]
    return f"matrix-{runs[0].manifest.run_id.rpartition('-')[0]}-{digest}"


def _show(found: Matrix) -> None:
    from ftbt.cli.data_common import show_table  # noqa: PLC0415

    heads = ["train", "test", "windows", "trades", "return", "Sharpe", "PSR", "efficiency",
             "profitable", "criteria met", ""]  # fmt: skip
    rows = [
        [
            one.train, one.test, f"{one.windows}", f"{one.trades}", f"{one.total_return:+.2%}",
            _number(one.sharpe), _number(one.psr), _percent(one.efficiency),
            _percent(one.share_profitable), f"{sum(one.met)} of {len(one.met)}",
            "pass" if one.passed else "",
        ]
        for one in found.cells
    ]  # fmt: skip
    show_table(heads, rows, right=heads[2:-1])
    click.echo(found.sentence)
    click.echo(found.looks)
    if found.synthetic:
        click.echo("synthetic market: these candles are made up; this says nothing of a real one")


def _number(value: float) -> str:
    return "n/a" if value != value else f"{value:.2f}"


def _percent(value: float) -> str:
    return "n/a" if value != value else f"{value:.0%}"
