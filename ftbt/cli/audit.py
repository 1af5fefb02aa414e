"""`ftbt audit`: does a strategy know the future, and how much history does it need."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.options import data_options, money_options, set_option

if TYPE_CHECKING:
    from ftbt.data.market import Market
    from ftbt.robustness.audit import Audit
    from ftbt.strategy.loader import StrategyRef

_MONEY = ("capital", "leverage", "taker_fee", "maker_fee", "half_spread", "slippage_atr")
NOT_CLEAN = 1
BARS = 9000
PREFIXES, PREFIXES_COMPILED = 16, 48


@click.command(epilog="Example: ftbt audit liquidity_sweep --symbol ETH --set min_rr=1.5")
@click.argument("strategy")
@data_options(several=False)
@money_options()
@set_option()
@click.option(
    "--bars",
    type=int,
    default=BARS,
    show_default=True,
    metavar="NUMBER",
    help="Take the newest bars only, warm-up included; 0: all.",
)
@click.option(
    "--prefixes",
    type=int,
    show_default=f"{PREFIXES}, or {PREFIXES_COMPILED} where the compiled engine runs it",
    metavar="NUMBER",
    help="At how many places the bars are cut.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of places and futures.")
@click.option(
    "--quick",
    is_flag=True,
    help="No measurement of the warm-up, and only the usual engine; an ordinary strategy also runs"
    " bar by bar.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def audit(strategy: str, **options: Any) -> int:
    """Find out whether a strategy looks ahead.

    STRATEGY is a name in strategies/, a path.py, or a path.py:Class.

    It runs on all bars, then on the first ones alone, and on the same first ones with other bars
    after them, cut at many places. What it decided up to a cut must be the same. The first order
    that changes is shown with its bar, the line that sent it and the value behind it. Then it runs
    with more and less history in front: how much does it need?

    Exit codes: 0 clean, 1 look-ahead found (or it can't be ruled out), 2 something to mend.
    """
    from ftbt.backtest.compiled_engine import why_not  # noqa: PLC0415 - help answers without these
    from ftbt.backtest.settings import Settings  # noqa: PLC0415
    from ftbt.cli.asked import parameters_of  # noqa: PLC0415
    from ftbt.cli.audit_text import show_audit  # noqa: PLC0415
    from ftbt.robustness.audit import audit as look  # noqa: PLC0415
    from ftbt.strategy.loader import find_strategy  # noqa: PLC0415

    found = find_strategy(strategy)
    parameters = parameters_of(strategy, options["sets"])
    usual = PREFIXES if why_not(found.load()) else PREFIXES_COMPILED
    money = {name: options[name] for name in _MONEY if options[name] is not None}
    settings = Settings(**money)
    market = _market(options)
    with _Progress() as tell:
        verdict = look(
            found,
            market,
            parameters,
            settings,
            prefixes=usual if options["prefixes"] is None else options["prefixes"],
            seed=options["seed"],
            thorough=not options["quick"],
            progress=tell,
        )
    if options["as_json"]:
        click.echo(_as_json(found, market, parameters, verdict))
    else:
        show_audit(verdict, market)
    return 0 if verdict.clean else NOT_CLEAN


def _market(options: dict[str, Any]) -> Market:
    """Return the bars that the options name: of several stretches without a hole the longest."""
    from ftbt.data.resolve import load_markets  # noqa: PLC0415 - help answers without these
    from ftbt.data.timeframe import parse_time  # noqa: PLC0415
    from ftbt.errors import ConfigError  # noqa: PLC0415

    count = options["bars"]
    if count < 0:
        raise ConfigError(f"--bars must be 0 (all) or more, not {count}")
    segments = load_markets(
        options["data"],
        options["symbol"] or "BTC",
        options["timeframe"] or "15m",
        start=parse_time(options["start"]) if options["start"] else None,
        end=parse_time(options["end"]) if options["end"] else None,
        holes=options["holes"] or "refuse",
        detail=options["detail"],
        store_root=options["store"],
    )
    market = max(segments, key=lambda one: len(one.candles))
    bars = len(market.candles)
    return market.slice(max(0, bars - (count or bars)), bars)


def _as_json(
    strategy: StrategyRef, market: Market, parameters: dict[str, Any], verdict: Audit
) -> str:
    from ftbt.strategy.parameters import written  # noqa: PLC0415 - help answers without it

    plain = {
        **verdict.as_dict(),
        "strategy_sha256": strategy.sha256,
        "parameters": written(parameters),
        "data": market.candles.fingerprint,
        "source": market.candles.source,
        "synthetic": market.candles.synthetic,
        "from": f"{market.candles.start:%Y-%m-%d %H:%M UTC}",
        "to": f"{market.candles.end:%Y-%m-%d %H:%M UTC}",
    }
    return json.dumps(plain, indent=2, sort_keys=True, allow_nan=False, default=float)


class _Progress:
    """Shows the runs done on a terminal; nothing elsewhere."""

    def __enter__(self) -> Any:
        return self._tell if sys.stderr.isatty() else None

    @staticmethod
    def _tell(done: int, runs: int) -> None:
        click.echo(f"\r{done:,} of about {runs:,} runs", nl=False, err=True)

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty():
            click.echo("\r" + " " * 40 + "\r", nl=False, err=True)
