"""`ftbt backtest`: one strategy, one set of parameters, one span."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.options import (
    data_options,
    engine_option,
    money_options,
    parameters_of,
    set_option,
    strategy_option,
)
from ftbt.errors import ConfigError

if TYPE_CHECKING:
    from ftbt.walkforward.evaluate import Evaluation

_MONEY = ("capital", "leverage", "taker_fee", "maker_fee", "half_spread", "slippage_atr")


@click.command(epilog="Example: ftbt backtest --strategy fvg_fill --symbol BTC --set depth=0.3")
@strategy_option(required=True)
@data_options(several=True)
@engine_option()
@money_options()
@set_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for trades, equity and metrics.  [default: results/backtest-...]",
)
def backtest(**options: Any) -> int:
    """Run one strategy with one set of parameters and print what came of it.

    A single back-test tells little: the parameters were chosen by someone who knew the data. See
    `ftbt walkforward` for an honest test. Writes trades.parquet, equity.parquet and summary.json.
    """
    from ftbt.backtest.settings import Settings  # noqa: PLC0415 - help answers without these
    from ftbt.data.resolve import load_markets  # noqa: PLC0415
    from ftbt.data.timeframe import parse_time  # noqa: PLC0415
    from ftbt.strategy.loader import find_strategy  # noqa: PLC0415
    from ftbt.strategy.parameters import resolve, warmup_bars  # noqa: PLC0415
    from ftbt.walkforward.evaluate import evaluate  # noqa: PLC0415
    from ftbt.walkforward.pieces import clock_of, cut  # noqa: PLC0415
    from ftbt.walkforward.windows import Span  # noqa: PLC0415

    strategy = find_strategy(options["strategy"])
    cls = strategy.load()
    given = parameters_of(cls, options["sets"])
    settings = Settings(**{n: options[n] for n in _MONEY if options[n] is not None})
    segments = [
        load_markets(
            options["data"],
            symbol,
            options["timeframe"] or "15m",
            start=parse_time(options["start"]) if options["start"] else None,
            end=parse_time(options["end"]) if options["end"] else None,
            holes=options["holes"] or "refuse",
            detail=options["detail"],
            store_root=options["store"],
        )
        for symbol in options["symbols"] or ("BTC",)
    ]
    clock = clock_of(segments)
    warmup = warmup_bars(cls, clock.timeframe)
    parameters = resolve(cls, given, clock.timeframe.text)
    pieces = [cut(one, [Span(0, clock.bars)], clock, warmup) for one in segments]
    if not any(one.pieces for one in pieces):
        raise ConfigError(
            f"{strategy.name} needs {warmup} bars of {clock.timeframe} to warm up, and the span has"
            f" {clock.bars}: give an earlier --from, or more data"
        )
    with _progress() as tell:
        found = evaluate(cls, pieces, parameters, settings, options["engine"] or "auto", tell)
    head = {
        "strategy": strategy.name,
        "strategy_sha256": strategy.sha256,
        "parameters": parameters,
        "symbols": [one.symbol for one in pieces],
        "timeframe": clock.timeframe.text,
        "data": [market.candles.fingerprint for one in segments for market in one],
        "settings": settings.as_dict(),
        "warmup_bars": warmup,
    }
    folder = _write(options["out"], head, found)
    _show(head, settings.describe(), found)
    click.echo(folder)
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


def _write(out: Path | None, head: dict[str, Any], found: Evaluation) -> Path:
    """Write the result folder; its name follows from everything that decides the result."""
    import hashlib  # noqa: PLC0415 - help answers without these

    import pandas as pd  # noqa: PLC0415

    from ftbt.backtest.result import trades_frame  # noqa: PLC0415
    from ftbt.data.files import atomic_with, atomic_write  # noqa: PLC0415

    plain = json.dumps(head, sort_keys=True, default=float)
    name = "-".join(["backtest", head["strategy"], *head["symbols"], head["timeframe"]])
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    folder = out or Path("results") / f"{name.replace('/', '_').replace(':', '_')}-{digest}"
    trades = pd.concat(
        [trades_frame(one.trades, one.symbol, one.reasons) for one in found.trades]
    ).sort_values(["exit_time", "symbol"], ignore_index=True)
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
    }
    atomic_with(folder / "trades.parquet", lambda path: trades.to_parquet(path, index=False))
    atomic_with(folder / "equity.parquet", lambda path: equity.to_parquet(path, index=False))
    text = json.dumps(summary, indent=2, sort_keys=True, allow_nan=False, default=float)
    atomic_write(folder / "summary.json", text + "\n")
    return folder


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

    for note in found.notes:
        click.echo(click.style(note, fg="yellow") if sys.stdout.isatty() else note)
    click.echo(f"{head['strategy']} on {', '.join(head['symbols'])} {head['timeframe']}: {costs}")
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
    if found.refused:
        words = ", ".join(f"{word} {count:,}" for word, count in found.refused.items())
        click.echo(f"setups and orders not taken: {words}")
