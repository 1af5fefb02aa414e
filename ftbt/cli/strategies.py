"""`ftbt strategies`: what there is to run, and with which parameters."""

from __future__ import annotations

from typing import Any

import click


@click.command(epilog="Example: ftbt strategies liquidity_sweep --timeframe 1h")
@click.argument("name", required=False)
@click.option("--timeframe", default="15m", show_default=True, help="Whose presets are shown.")
def strategies(name: str | None, timeframe: str) -> None:
    """List the strategies, or the parameters of one with their ranges.

    NAME is a file in strategies/, a path.py, or a path.py:Class.
    """
    import inspect  # noqa: PLC0415 - help answers without these

    from ftbt.cli.data_common import show_table  # noqa: PLC0415
    from ftbt.data.timeframe import Timeframe  # noqa: PLC0415
    from ftbt.errors import StrategyBroken, StrategyNotFound  # noqa: PLC0415
    from ftbt.strategy.loader import find_strategy, strategy_names  # noqa: PLC0415
    from ftbt.strategy.parameters import ranges_of, resolve, warmup_bars  # noqa: PLC0415

    if name is None:
        rows = []
        for known in strategy_names():
            try:
                cls = find_strategy(known).load()
                module = inspect.getmodule(cls)
                text = (inspect.getdoc(module) or _own_words(cls)).split("\n")[0]
            except StrategyBroken as error:
                text = f"broken: {error}"
            except StrategyNotFound as error:  # which of several is meant: the others are listed
                text = str(error)
            rows.append([known, text])
        show_table(["strategy", "what it does"], rows, right=[])
        return
    found = find_strategy(name)
    cls = found.load()
    frame = Timeframe.parse(timeframe)
    values = resolve(cls, {}, frame.text)
    click.echo(inspect.getdoc(inspect.getmodule(cls)) or _own_words(cls) or found.name)
    click.echo(f"\nparameters on {frame} (warm-up {warmup_bars(cls, frame):,} bars):")
    rows = []
    for key, limits in ranges_of(cls).items():
        rows.append([key, str(values[key]), repr(limits), "searched" if limits.tune else ""])
    show_table(["parameter", "value", "range", ""], rows, right=["value"])


def _own_words(cls: type[Any]) -> str:
    """Return the docstring that *cls* has itself: Backtrader's says nothing of it."""
    import inspect  # noqa: PLC0415 - help answers without it

    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")
