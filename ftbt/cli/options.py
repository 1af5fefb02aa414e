"""Options that several commands share; what they mean is in `ftbt.cli.asked`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ftbt.errors import ConfigError

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
        metavar="NAME[,NAME]",
        help="A name in strategies/, a path.py, or a path.py:Class; several share one account.",
        **more,
    )


def results_option() -> Callable[[F], F]:
    """Add `--results`, passed on as `results`."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder of all runs.",
    )


def _coins(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols of `--symbol A --symbol B` and of `--symbols A,B` alike."""
    del ctx
    coins = [coin.strip() for text in given for coin in text.split(",")]
    if not all(coins):
        raise ConfigError(f"{option.opts[0]} has an empty name: write BTC,ETH,SOL")
    twice = [coin for coin in coins if coins.count(coin) > 1]
    if twice:
        raise ConfigError(f"{option.opts[0]} {twice[0]} is given twice")
    return tuple(coins)


def limit_options() -> Callable[[F], F]:
    """Add the limits on risk, passed on as `limits` (texts) and `no_limits`."""
    return _stack(
        [
            click.option(
                "--limit",
                "limits",
                multiple=True,
                metavar="NAME=VALUE",
                help="Set a limit on risk, for example total_exposure=0.3. Repeat for more.",
            ),
            click.option("--no-limits", is_flag=True, help="No limits but the account's margin."),
        ]
    )


def allocation_options() -> Callable[[F], F]:
    """Add how strategies share the account, passed on as `allocation`, `weights`, and so on."""
    return _stack(
        [
            click.option(
                "--allocation",
                metavar="METHOD",
                show_default="equal",
                help="Between strategies: equal, inverse-volatility, equal-risk, or fixed.",
            ),
            click.option(
                "--weights", metavar="W,W", help="Shares of --allocation fixed, one per strategy."
            ),
            click.option(
                "--drawdown-aware",
                is_flag=True,
                help="A strategy in a drawdown of its own trades with less.",
            ),
        ]
    )


def symbol_option(*, several: bool) -> Callable[[F], F]:
    """Add `--symbol`, passed on as `symbols` (a tuple), or `symbol` unless *several*."""
    return click.option(
        "--symbol",
        *(["--symbols", "symbols"] if several else []),
        multiple=several,
        callback=_coins if several else None,
        metavar="COIN[,COIN]" if several else "COIN",
        show_default="BTC",
        help="What is traded." + (" Several: one account and one parameter set for all." * several),
    )


def timeframe_option() -> Callable[[F], F]:
    """Add `--timeframe`; None when not given."""
    return click.option(
        "--timeframe", metavar="LENGTH", show_default="15m", help="Length of a bar."
    )


def store_option() -> Callable[[F], F]:
    """Add `--store`; None when not given."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        show_default="$FTBT_STORE, else data",
        help="Folder of the candle store.",
    )


def data_options(*, several: bool) -> Callable[[F], F]:
    """Add what names the candles.

    They arrive as `data`, `symbols` (a tuple; `symbol` unless *several*), `timeframe`, `start`,
    `end`, `holes`, `detail`, `store`; None, or an empty tuple, when not given.
    """
    return _stack(
        [
            click.option(
                "--data",
                metavar="SOURCE",
                show_default="sample",
                help="sample (a synthetic market), a candle file, or an exchange in the store.",
            ),
            symbol_option(several=several),
            timeframe_option(),
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
            store_option(),
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


def set_option(*more: str) -> Callable[[F], F]:
    """Add `--set NAME=VALUE` (and *more* names of it), passed on as `sets`."""
    return click.option(
        "--set",
        *more,
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
