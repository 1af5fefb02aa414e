"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ftbt.errors import ParameterError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


def _stack(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Return one decorator that adds *options*; help lists them in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def strategy_option(**more: Any) -> Callable[[F], F]:
    """Add `--strategy`, passed on as `strategy`."""
    return click.option(
        "--strategy",
        metavar="NAME",
        help="A name in strategies/, a path.py, or a path.py:Class.",
        **more,
    )


def data_options(*, several: bool) -> Callable[[F], F]:
    """Add what names the candles.

    They arrive as `data`, `symbols` (a tuple; `symbol` unless *several*), `timeframe`, `start`,
    `end`, `holes`, `detail`, `store`; None, or an empty tuple, when not given.
    """
    symbol = click.option(
        "--symbol",
        *(["symbols"] if several else []),
        multiple=several,
        metavar="COIN",
        show_default="BTC",
        help="What is traded." + (" Repeat for more: one parameter set for all." * several),
    )
    return _stack(
        [
            click.option(
                "--data",
                metavar="SOURCE",
                show_default="sample",
                help="sample (a synthetic market), a candle file, or an exchange in the store.",
            ),
            symbol,
            click.option(
                "--timeframe", metavar="LENGTH", show_default="15m", help="Length of a bar."
            ),
            click.option("--from", "start", metavar="TIME", help="First day or time, UTC."),
            click.option("--to", "end", metavar="TIME", help="Last day or time, UTC."),
            click.option(
                "--holes",
                type=click.Choice(["refuse", "split"]),
                show_default="refuse",
                help="Missing bars: refuse the data, or split there; nothing crosses a hole.",
            ),
            click.option(
                "--detail",
                metavar="LENGTH",
                help="Shorter bars that tell the path inside a bar, for example 1m.",
            ),
            click.option(
                "--store",
                type=click.Path(path_type=Path, file_okay=False),
                show_default="$FTBT_STORE, else data",
                help="Folder of the candle store.",
            ),
        ]
    )


def money_options() -> Callable[[F], F]:
    """Add capital and costs by the names of `Settings`; None when not given."""
    texts = {
        "capital": ("10000", "Equity at the start, quote currency."),
        "leverage": ("10", "Account leverage."),
        "taker_fee": ("0.00045", "Fee of market and stop fills, fraction of the notional."),
        "maker_fee": ("0.00015", "Fee of resting limit fills."),
        "half_spread": ("0.0001", "Least slippage of market and stop fills, fraction."),
        "slippage_atr": ("0.02", "Slippage as a multiple of ATR(14), if that is more."),
    }
    return _stack(
        [
            click.option(
                f"--{name.replace('_', '-')}",
                name,
                type=float,
                metavar="NUMBER",
                show_default=default,
                help=text,
            )
            for name, (default, text) in texts.items()
        ]
    )


def set_option() -> Callable[[F], F]:
    """Add `--set NAME=VALUE`, passed on as `sets`."""
    return click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter of the strategy. Repeat for more.",
    )


def engine_option() -> Callable[[F], F]:
    """Add `--engine`; None when not given."""
    return click.option(
        "--engine",
        metavar="NAME",
        show_default="auto",
        help="auto, compiled, reference (Backtrader with the project's broker), or bar-by-bar.",
    )


def parameters_of(cls: type[Any], sets: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--set` options, typed and checked by the ranges of strategy *cls*.

    Raises:
        ParameterError: not of the form name=value, an unknown name, or a value out of its range.
    """
    from ftbt.strategy.parameters import defaults_of, ranges_of  # noqa: PLC0415 - help needs none

    ranges, defaults = ranges_of(cls), defaults_of(cls)
    found: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ParameterError(f"--set {text}: write name=value, for example --set swing=5")
        if name not in defaults:
            hint = did_you_mean(name, ranges) or f"; it has: {', '.join(ranges)}"
            raise ParameterError(f"{cls.__name__} has no parameter {name!r}{hint}")
        if name in found:
            raise ParameterError(f"--set {name} is given twice")
        found[name] = value.strip()
        if name in ranges:
            found[name] = ranges[name].parse(f"{cls.__name__}: {name}", found[name])
    return found
