"""`ftbt rehearse`: the live process over known candles, beside the back-test on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.options import (
    data_options,
    limit_options,
    money_options,
    set_option,
    strategy_option,
)

if TYPE_CHECKING:
    from ftbt.rehearsal.plan import Plan
    from ftbt.rehearsal.run import Rehearsed

NONE = "none"


@click.command(epilog="Example: ftbt rehearse --strategy liquidity_sweep --symbols BTC,ETH,SOL")
@strategy_option(required=True)
@data_options(several=True)
@click.option("--begin", metavar="TIME", show_default="the last days of the candles",
              help="First bar that is traded; those before it warm the lines up.")  # fmt: skip
@click.option("--days", type=float, default=7.0, show_default=True,
              help="How long is rehearsed.")  # fmt: skip
@money_options()
@limit_options()
@set_option()
@click.option("--faults", metavar="SEED[:COUNT]|FILE",
              help="Let things go wrong: drawn from a seed, or told by a TOML file.")  # fmt: skip
@click.option("--state", type=click.Path(path_type=Path, file_okay=False),
              show_default="results/rehearsals/...",
              help="Folder of the session: journal, status, log, drift.json.")  # fmt: skip
@click.option("--patience", type=float, default=60.0, show_default=True, metavar="SECONDS",
              help="How long the live process may take for one bar.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the drift as JSON.")
def rehearse(**options: Any) -> int:
    """Trade candles on a local exchange with the live process, and compare with the back-test.

    Starts the local exchange and `ftbt live` as processes of their own, lets the market go as
    fast as the live process follows, and says for each trade whether it came out as in the
    back-test, and if not, why. Detail bars are used when there are any; --detail none leaves them
    out. Exit code 3: it ended early, or something is unexplained.
    """
    from ftbt.cli.drift_text import as_json, show_drift  # noqa: PLC0415 - help without these
    from ftbt.cli.rehearse_progress import progress  # noqa: PLC0415
    from ftbt.data.files import atomic_write  # noqa: PLC0415
    from ftbt.rehearsal.faults import planned  # noqa: PLC0415
    from ftbt.rehearsal.run import rehearse as run  # noqa: PLC0415

    plan = _plan(options)
    faults = planned(options["faults"], plan.bars) if options["faults"] else ()
    state = options["state"] or _usual_state(plan, options)
    with progress() as tell:
        found = run(
            plan, state, _words(options), faults=faults, tell=tell, patience_s=options["patience"]
        )
    if found.drift is not None:
        atomic_write(state / "drift.json", as_json(found.drift) + "\n")
        if options["as_json"]:
            click.echo(as_json(found.drift))
        else:
            show_drift(found.drift)
            click.echo(_timing(plan, found))
            click.echo(state)
    return _code(found)


def _plan(options: dict[str, Any]) -> Plan:
    from ftbt.backtest.portfolio import Sleeve  # noqa: PLC0415 - help answers without these
    from ftbt.cli.backtest_run import ask  # noqa: PLC0415
    from ftbt.data.timeframe import parse_time, to_ms  # noqa: PLC0415
    from ftbt.rehearsal.plan import make_plan  # noqa: PLC0415

    more = {"allocation": None, "weights": None, "drawdown_aware": False, "in_sample": None}
    question = ask({**options, **more, "engine": None, "detail": _detail(options)})
    members = question.ensemble.members
    begin = options["begin"]
    return make_plan(
        [Sleeve(one.strategy, one.space.fixed, 1.0 / len(members)) for one in members],
        question.segments, question.warmup, question.settings, question.ensemble.allocation,
        begin_ms=None if begin is None else to_ms(parse_time(begin)), days=options["days"],
    )  # fmt: skip


def _detail(options: dict[str, Any]) -> str | None:
    """Return the bars that tell the path: those asked for, else the shortest that all have."""
    from ftbt.data.resolve import finest_detail  # noqa: PLC0415 - help answers without it

    if options["detail"] is not None:
        return None if options["detail"] == NONE else str(options["detail"])
    timeframe = options["timeframe"] or "15m"
    symbols = options["symbols"] or ("BTC",)
    found = [
        finest_detail(options["data"], symbol, timeframe, options["store"]) for symbol in symbols
    ]
    lengths = [one for one in found if one is not None]
    return max(lengths).text if len(lengths) == len(found) else None


def _words(options: dict[str, Any]) -> list[str]:
    """Return what of the user's words the live process must know as well."""
    from ftbt.backtest.settings import Settings  # noqa: PLC0415 - help answers without it

    words = ["--strategy", options["strategy"]]
    money = [name for name in Settings.__dataclass_fields__ if name not in ("capital", "limits")]
    for name in money:
        if options[name] is not None:
            words += [f"--{name.replace('_', '-')}", repr(options[name])]
    for text in options["limits"]:
        words += ["--limit", text]
    for text in options["sets"]:
        words += ["--param", text]
    return words + (["--no-limits"] if options["no_limits"] else [])


def _usual_state(plan: Plan, options: dict[str, Any]) -> Path:
    """Return a folder that no session has used."""
    from ftbt.data.timeframe import from_ms  # noqa: PLC0415 - help answers without it

    names = "+".join(Path(one).stem for one in options["strategy"].split(","))
    parts = [names, *plan.symbols, plan.timeframe.text, f"{from_ms(plan.begin_ms):%Y%m%dT%H%M}"]
    base = Path("results") / "rehearsals" / "-".join(parts)
    number = 1
    while (found := base if number == 1 else Path(f"{base}-{number}")).exists():
        number += 1
    return found


def _timing(plan: Plan, found: Rehearsed) -> str:
    paced = found.paced
    faults = f", {len(paced.struck)} faults queued" if paced.struck else ""
    return (
        f"{plan.bars:,} bars in {found.seconds:.0f} s: market {paced.moved_s:.0f} s, live process"
        f" {paced.waited_s:.0f} s at {paced.stops:,} stops{faults}"
    )


def _code(found: Rehearsed) -> int:
    """Return the exit code, after saying why it ended early."""
    if isinstance(found.failure, KeyboardInterrupt):
        click.echo("stopped by Ctrl-C", err=True)
        return 130
    if found.failure is not None:
        if found.drift is None:
            raise found.failure
        click.echo(f"error: {found.failure}", err=True)
        return 3
    return 3 if found.drift is not None and found.drift.unexplained else 0
