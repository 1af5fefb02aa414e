"""`ftbt walkforward`: optimise on the past, test on what came next, window by window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ftbt.cli.asked import experiment_of, flag
from ftbt.cli.options import (
    allocation_options,
    data_options,
    engine_option,
    limit_options,
    money_options,
    results_option,
    set_option,
    strategy_option,
)
from ftbt.errors import ConfigError

if TYPE_CHECKING:
    from ftbt.config import Experiment
    from ftbt.walkforward.inputs import Inputs
    from ftbt.walkforward.run import Finished

FAILED, PARTLY_FAILED = 2, 3

# What an experiment file leaves to the command line: nothing that changes a result.
FREE = {"experiment", "jobs", "results", "resume", "force", "report", "store"}


@click.command(
    epilog="Example: ftbt walkforward --strategy liquidity_sweep --symbol BTC --trials 100"
)
@strategy_option()
@click.option(
    "--experiment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file that says all of this; only --jobs, --results, --store, --resume, --force"
    " and --no-report go with it.",
)
@data_options(several=True)
@click.option("--train", metavar="SPAN", show_default="90d", help="Length of a training.")
@click.option("--test", metavar="SPAN", show_default="30d", help="Length of a test.")
@click.option("--step", metavar="SPAN", show_default="as --test", help="From one test to the next.")
@click.option(
    "--purge", metavar="SPAN", show_default="0", help="Left out between a training and its test."
)
@click.option(
    "--embargo",
    metavar="SPAN",
    show_default="0",
    help="Left out of later trainings after each test.",
)
@click.option("--anchored", is_flag=True, help="Every training starts with the first one.")
@click.option("--short-last", is_flag=True, help="Keep a last test that the data cut short.")
@click.option("--trials", type=int, show_default="50", help="Parameter sets tried per window.")
@click.option(
    "--objective", metavar="NAME", show_default="sharpe", help="What is maximised in training."
)
@click.option(
    "--min-trades",
    type=int,
    show_default="10",
    help="Fewer trades in training: the worst value there is.",
)
@click.option(
    "--selection",
    type=click.Choice(["best", "plateau"]),
    show_default="best",
    help="Take the best trial, or the middle of the best plateau.",
)
@click.option("--seed", type=int, show_default="1", help="Everything random comes from it.")
@engine_option()
@money_options()
@limit_options()
@allocation_options()
@set_option()
@click.option(
    "--jobs", type=int, show_default="one per core", help="Processes; never changes the result."
)
@results_option()
@click.option("--resume", is_flag=True, help="Continue an unfinished run.")
@click.option("--force", is_flag=True, help="Forget an earlier execution of the same run.")
@click.option(
    "--report/--no-report",
    default=True,
    show_default=True,
    help="Judge the run and write report.html.",
)
@click.pass_context
def walkforward(ctx: click.Context, /, **options: Any) -> int:
    """Search parameters on each training span, test them on the next one, stitch the tests.

    The same question gives the same files, byte for byte, on any number of processes, interrupted
    and resumed or not. With nothing but --strategy it takes a year of a synthetic 15m market: 8
    or 9 windows of 50 trials, a minute or two on two cores, the first time a little more.

    A parameter given by --set is not searched; with several strategies it is called
    strategy.parameter. Several strategies are searched one by one, share one account in the tests,
    and their shares come from the training alone. SPANs are 90d, 36h, 2w or "96 bars".

    Exit codes: 0 done, 2 nothing succeeded or something to mend, 3 some windows failed, 130 Ctrl-C.
    """
    from ftbt.walkforward.inputs import prepare  # noqa: PLC0415 - help answers without these

    given = {
        name for name in options if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    jobs = jobs_of(options["jobs"])
    experiment = _experiment(options, given)
    file = options["experiment"]
    inputs = prepare(
        experiment, store=options["store"], experiment_file=None if file is None else file.name
    )
    finished = _run(inputs, options, jobs)
    return _tell(inputs, finished, options["report"])


def jobs_of(asked: int | None) -> int:
    """Return the number of processes that `--jobs` means.

    Raises:
        ConfigError: out of range.
    """
    import joblib  # noqa: PLC0415 - help answers without it

    if asked is None:
        return int(joblib.cpu_count())
    if not 1 <= asked <= 1024:
        raise ConfigError(f"--jobs must be from 1 to 1024, not {asked}")
    return asked


def _experiment(options: dict[str, Any], given: set[str]) -> Experiment:
    from ftbt.config import load_experiment  # noqa: PLC0415 - help answers without it

    if options["experiment"] is not None:
        extra = sorted(given - FREE)
        if extra:
            raise ConfigError(
                f"{flag(extra[0])} can't be given with --experiment: the file says it all; write"
                " a new one for a new question"
            )
        return load_experiment(options["experiment"])
    if options["strategy"] is None:
        raise ConfigError("give --strategy NAME, or --experiment FILE")
    return experiment_of(options, given)


def _run(inputs: Inputs, options: dict[str, Any], jobs: int) -> Finished:
    from ftbt.cli.walkforward_progress import progress  # noqa: PLC0415
    from ftbt.walkforward.run import walk_forward  # noqa: PLC0415
    from ftbt.walkforward.store import is_complete  # noqa: PLC0415

    results: Path = options["results"]
    try:
        with progress() as listener:
            return walk_forward(
                inputs,
                results,
                jobs=jobs,
                resume=options["resume"],
                force=options["force"],
                listener=listener,
            )
    except KeyboardInterrupt:
        folder = results / inputs.manifest.run_id
        if not is_complete(folder):
            click.echo(
                f"what is done is kept in {folder}; the same command with --resume goes on",
                err=True,
            )
        raise


def _tell(inputs: Inputs, finished: Finished, report: bool) -> int:
    from ftbt.cli.assessing import show_verdict  # noqa: PLC0415
    from ftbt.cli.walkforward_summary import show_run  # noqa: PLC0415
    from ftbt.robustness.assessment_files import has_assessment  # noqa: PLC0415
    from ftbt.walkforward.store import load_run  # noqa: PLC0415

    run = load_run(finished.folder)
    if finished.reused:
        click.echo("this run was complete already and is shown as it is (--force computes it anew)")
    show_run(run, finished.earlier)
    page = finished.folder / "report.html"
    if report and not (finished.reused and page.exists() and has_assessment(finished.folder)):
        page = _report(inputs, finished.folder)
    if report:
        show_verdict(finished.folder)
    click.echo(page if report else finished.folder)
    if run.summary.failed_windows == run.summary.windows:
        return FAILED
    return PARTLY_FAILED if run.summary.failed_windows else 0


def _report(inputs: Inputs, folder: Path) -> Path:
    from ftbt.cli.assessing import assess_run  # noqa: PLC0415
    from ftbt.report.examples import write_examples  # noqa: PLC0415
    from ftbt.report.render import write_report  # noqa: PLC0415

    write_examples(folder, inputs.markets, inputs.ensemble)
    assess_run(folder, inputs)
    return write_report(folder)
