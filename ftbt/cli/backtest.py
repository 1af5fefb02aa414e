"""`ftbt backtest`: strategies with one set of parameters each, one span."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.options import (
    allocation_options,
    data_options,
    engine_option,
    limit_options,
    money_options,
    set_option,
    strategy_option,
)

if TYPE_CHECKING:
    from ftbt.walkforward.evaluate import Evaluation


@click.command(epilog="Example: ftbt backtest --strategy fvg_fill --symbol BTC --set depth=0.3")
@strategy_option(required=True)
@data_options(several=True)
@engine_option()
@money_options()
@limit_options()
@allocation_options()
@click.option(
    "--in-sample",
    metavar="SPAN",
    help="First part of the data, used for --allocation only, for example 90d.",
)
@set_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for trades, equity and metrics.  [default: results/backtest-...]",
)
def backtest(**options: Any) -> int:
    """Run strategies with one set of parameters each and print what came of it.

    A single back-test tells little: the parameters were chosen by someone who knew the data. See
    `ftbt walkforward` for an honest test. Writes trades.parquet, equity.parquet and summary.json.
    """
    from ftbt.backtest.compiled_engine import why_not  # noqa: PLC0415 - help answers without these
    from ftbt.cli.backtest_run import ask, run  # noqa: PLC0415

    _refuse_run_folder(options["out"])
    question = ask(options)
    with _progress() as tell:
        found = run(question, tell)
    folder = _write(options["out"], question.head, found)
    _show(question.head, question.settings.describe(), found)
    click.echo(folder)
    for strategy in (one.strategy for one in question.ensemble.members):
        # Where a setup rule decides, there are no later bars to look at.
        if why_not(strategy.load()):
            click.echo(
                f"whether {strategy.name} looks at bars to come is not checked here:"
                f" ftbt audit {os.path.relpath(strategy.path)}:{strategy.class_name}"
            )
    return 0


class _progress:  # noqa: N801 - a context manager that reads as a verb
    """Shows the bars done on a terminal; nothing elsewhere: a back-test takes seconds."""

    def __enter__(self) -> Any:
        return self._tell if sys.stderr.isatty() else None

    @staticmethod
    def _tell(done: int, bars: int) -> None:
        click.echo(f"\r{done:,} of {bars:,} bars", nl=False, err=True)

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty():
            click.echo("\r" + " " * 40 + "\r", nl=False, err=True)


def _refuse_run_folder(out: Path | None) -> None:
    """Refuse to write into the folder of a walk-forward: its figures would be overwritten."""
    from ftbt.errors import ConfigError  # noqa: PLC0415 - help answers without it

    if out is not None and (out / "manifest.json").exists():
        raise ConfigError(
            f"--out {out} is the folder of a walk-forward run, whose files would be overwritten:"
            " name another folder"
        )


def _write(out: Path | None, head: dict[str, Any], found: Evaluation) -> Path:
    """Write the result folder; its name follows from everything that decides the result."""
    import hashlib  # noqa: PLC0415 - help answers without these

    import pandas as pd  # noqa: PLC0415

    from ftbt.backtest.result import trades_frame  # noqa: PLC0415
    from ftbt.data.files import atomic_with, atomic_write  # noqa: PLC0415
    from ftbt.strategy.parameters import written  # noqa: PLC0415

    head = written(head)
    plain = json.dumps(head, sort_keys=True)
    name = "-".join(["backtest", head["strategy"], *head["symbols"], head["timeframe"]])
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    folder = out or Path("results") / f"{name.replace('/', '_').replace(':', '_')}-{digest}"
    trades = trades_frame(
        found.trades, found.symbols, found.strategies, found.entry_reasons
    ).sort_values(["exit_time", "symbol"], ignore_index=True, kind="stable")
    equity = pd.DataFrame(
        {
            "time": pd.to_datetime(found.time, unit="ms", utc=True).as_unit("ms"),
            "equity": found.equity,
            "hold": found.hold,
        }
    )
    summary = {
        **head,
        "metrics": {key: _number(value) for key, value in found.metrics.as_dict().items()},
        "refused": dict(found.refused),
        "notes": list(found.notes),
        "engine": found.engine,
        "attribution": _parts(found),
    }
    atomic_with(folder / "trades.parquet", lambda path: trades.to_parquet(path, index=False))
    atomic_with(folder / "equity.parquet", lambda path: equity.to_parquet(path, index=False))
    text = json.dumps(summary, indent=2, sort_keys=True, allow_nan=False, default=float)
    atomic_write(folder / "summary.json", text + "\n")
    return folder


def _parts(found: Evaluation) -> list[dict[str, Any]]:
    """Return who earned what, in plain values: all, each strategy, each symbol, each pair."""
    from dataclasses import asdict  # noqa: PLC0415 - help answers without these

    parts = () if found.attribution is None else found.attribution.parts
    return [
        {name: _number(value) if isinstance(value, float) else value for name, value in one.items()}
        for one in map(asdict, parts)
    ]


def _number(value: Any) -> Any:
    """Return what JSON can hold: what is not a number becomes null."""
    return value if isinstance(value, int) or abs(value) < float("inf") else None


_ROWS = (
    ("net profit", "net_profit", "{:,.2f}"),
    ("total return", "total_return", "{:.2%}"),
    ("CAGR", "cagr", "{:.2%}"),
    ("Sharpe (annual, daily returns)", "sharpe", "{:.2f}"),
    ("Sortino", "sortino", "{:.2f}"),
    ("max drawdown", "max_drawdown", "{:.2%}"),
    ("days under water", "days_under_water", "{:,.0f}"),
    ("trades", "trades", "{:,}"),
    ("win rate", "win_rate", "{:.1%}"),
    ("profit factor", "profit_factor", "{:.2f}"),
    ("mean R per trade", "expectancy_r", "{:+.3f}"),
    ("exposure", "exposure", "{:.1%}"),
    ("longs / shorts", None, ""),
    ("fees paid", "fees", "{:,.2f}"),
    ("slippage paid", "slippage", "{:,.2f}"),
    ("funding paid", "funding", "{:,.2f}"),
)


def _show(head: dict[str, Any], costs: str, found: Evaluation) -> None:
    from ftbt.cli.data_common import show_table  # noqa: PLC0415 - help answers without these
    from ftbt.cli.parts import show_parts  # noqa: PLC0415

    for note in found.notes:
        click.echo(click.style(note, fg="yellow") if sys.stdout.isatty() else note)
    click.echo(f"{head['strategy']} on {', '.join(head['symbols'])} {head['timeframe']}: {costs}")
    if len(head["weights"]) > 1:
        shares = zip(head["strategy"].split("+"), head["weights"], strict=True)
        words = ", ".join(f"{name} {share:.1%}" for name, share in shares)
        click.echo(f"shares of the account ({head['allocation']['method']}): {words}")
    figures = found.metrics
    hold = found.hold[-1] / found.capital - 1.0
    rows = []
    for title, name, form in _ROWS:
        if name is None:
            rows.append([title, f"{figures.long_trades:,} / {figures.short_trades:,}"])
            continue
        value = getattr(figures, name)
        rows.append([title, "n/a" if value != value else form.format(value)])
    rows.append(["buy and hold", f"{hold:.2%}"])
    show_table(["figure", "value"], rows, right=["value"])
    if found.attribution is not None:
        show_parts(found.attribution.parts)
    if found.refused:
        words = ", ".join(f"{word} {count:,}" for word, count in found.refused.items())
        click.echo(f"setups and orders not taken: {words}")
