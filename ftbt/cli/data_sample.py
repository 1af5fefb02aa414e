"""`ftbt data sample`: make a synthetic market, into the store or as files."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import click

from ftbt.cli.data_common import open_store, show_table, store_option
from ftbt.data import parquet, sample_facts
from ftbt.data.candles import Candles, Funding
from ftbt.data.market import Market
from ftbt.data.parquet import FUNDING, SeriesInfo
from ftbt.data.sample import DAYS, SEED, START, SYMBOLS, sample_market, source_text
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import MINUTE_MS, Timeframe, parse_time, show_ms
from ftbt.errors import DataError

EXCHANGE = "sample"
# Shorter spans say nothing of tails, and hardly anything of the week.
FACT_DAYS = 90
FACT_MS = 15 * MINUTE_MS
_SHOWN = (
    "daily volatility %",
    "kurtosis of returns",
    "tail index (Hill, 1 %)",
    "return autocorrelation, lag 1",
    "|return| autocorrelation, lag 1",
    "|return| autocorrelation, lag 96",
    "range, US opening / night",
    "log volume - log range corr.",
    "swing taken out, closes back",
    "range at a take-out / before",
    sample_facts.AFTER_SWEEP,
)


@click.command(epilog="Example: ftbt data sample --days 365 --seed 7 --edge 0.5 --symbols BTC,ETH")
@click.option("--days", default=DAYS, show_default=True, help="Length, 1 to 3650 days.")
@click.option("--seed", default=SEED, show_default=True, help="Same seed, same market.")
@click.option(
    "--edge",
    default=0.0,
    show_default=True,
    help="Drift planted after each liquidity sweep, in units of local volatility over 16 bars of"
    " 15m; -2 to 2, 0 for none.",
)
@click.option(
    "--symbols",
    "--symbol",
    "symbols",
    multiple=True,
    help=f"Coins, separated by commas; or repeat the option.  [default: {','.join(SYMBOLS)}]",
)
@click.option("--timeframe", default="15m", show_default=True, help="Length of a bar.")
@click.option(
    "--start", "--from", "start", default=f"{START:%Y-%m-%d}", show_default=True, help="First day."
)
@click.option("--detail", is_flag=True, help="Also the 1m bars that the candles are made of.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write Parquet files into this folder instead of the store.",
)
@click.option("--overwrite", is_flag=True, help="Replace another synthetic market in the store.")
@store_option
def sample(
    days: int,
    seed: int,
    edge: float,
    symbols: tuple[str, ...],
    timeframe: str,
    start: str,
    detail: bool,
    out: Path | None,
    overwrite: bool,
    root: Path | None,
) -> None:
    """Make a synthetic market: a seeded random walk that behaves like one of crypto perpetuals.

    Without an edge no strategy earns anything on it before costs; with one, the truth is known.
    It goes into the store as exchange `sample`; longer DAYS of the same market extend it.
    """
    if out is not None and root is not None:
        raise click.UsageError("--out and --store are two places: give one of them")
    names = [name.strip() for text in symbols or SYMBOLS for name in text.split(",")]
    markets = sample_market(names, timeframe, days, parse_time(start), seed, edge, detail)
    store = None if out is not None else open_store(root)
    if store is not None:
        _make_room(store, markets, overwrite)
    click.echo(f"{source_text(seed, edge)}: {', '.join(names)}, {days} days from {start}")
    if store is not None:
        _into_store(store, markets, overwrite)
    elif out is not None:
        _into_folder(out, markets)
    if days >= FACT_DAYS and Timeframe.parse(timeframe).ms != FACT_MS:
        markets = sample_market(names, "15m", days, parse_time(start), seed, edge)
    _show_facts(markets, days)


def _series(market: Market) -> list[Candles]:
    return [market.candles] + ([market.detail] if market.detail is not None else [])


def _funding_info(funding: Funding) -> SeriesInfo:
    return SeriesInfo(EXCHANGE, funding.symbol, FUNDING, funding.source, synthetic=True)


def _into_folder(folder: Path, markets: Mapping[str, Market]) -> None:
    for market in markets.values():
        stem = market.symbol.replace("/", "-").replace(":", "-")
        for candles in _series(market):
            path = folder / f"{stem}-{candles.timeframe}.parquet"
            parquet.write_candles(path, candles, EXCHANGE)
            click.echo(f"{path}: {len(candles)} bars")
        if market.funding is not None:
            path = folder / f"{stem}-{FUNDING}.parquet"
            info = _funding_info(market.funding)
            parquet.write_funding(path, market.funding.time, market.funding.rate, info)
            click.echo(f"{path}: {len(market.funding)} hourly rates")


def _into_store(store: CandleStore, markets: Mapping[str, Market], overwrite: bool) -> None:
    for market in markets.values():
        for candles in _series(market):
            length, kind = candles.timeframe, candles.source
            added = store.append(
                EXCHANGE, candles.bars, candles.symbol, length, synthetic=True, source=kind,
                overwrite=overwrite,
            )  # fmt: skip
            click.echo(f"{store.path(EXCHANGE, candles.symbol, length)}: {added} new bars")
        _store_funding(store, market.funding, overwrite)


def _store_funding(store: CandleStore, funding: Funding | None, overwrite: bool) -> None:
    if funding is None:
        return
    added = store.append_funding(
        EXCHANGE, funding.symbol, funding.time, funding.rate, synthetic=True,
        source=funding.source, overwrite=overwrite,
    )  # fmt: skip
    click.echo(f"{store.path(EXCHANGE, funding.symbol, FUNDING)}: {added} new hourly rates")


def _make_room(store: CandleStore, markets: Mapping[str, Market], overwrite: bool) -> None:
    """Look at all stored series before any is written: a refusal leaves the store as it was."""
    held: list[Path] = []
    for market in markets.values():
        series: list[Candles | Funding] = [*_series(market)]
        series += [market.funding] if market.funding is not None else []
        held += [path for one in series if (path := _held(store, one, overwrite)) is not None]
    for path in held:
        path.unlink()


def _held(store: CandleStore, series: Candles | Funding, overwrite: bool) -> Path | None:
    """Return the file that must go before *series* is stored, or None; refuse another market."""
    length = series.timeframe if isinstance(series, Candles) else FUNDING
    path = store.path(EXCHANGE, series.symbol, length)
    if not path.exists():
        return None
    info, first = parquet.read_info(path), parquet.read_times(path)[:1]
    if not info.synthetic:
        raise DataError(f"{path} holds real values ({info.source}): give another --store, or --out")
    if overwrite:
        return path
    if info.source != series.source or first[0] != series.time[0]:
        raise DataError(
            f"{path} holds another market, {info.source} from {show_ms(first[0])}:"
            " --overwrite replaces it, --store or --out writes elsewhere"
        )
    return None


def _show_facts(markets: Mapping[str, Market], days: int) -> None:
    """Print the facts of 15m *markets* beside the ranges that real ones lie in."""
    if days < FACT_DAYS:
        click.echo(f"(stylised facts are measured from {FACT_DAYS} days on)")
        return
    measured = [sample_facts.measure(market.candles) for market in markets.values()]
    rows = [
        [
            fact.name,
            f"{fact.low:g} to {fact.high:g}",
            *(f"{one[fact.name]:.3g}" for one in measured),
        ]
        for fact in sample_facts.FACTS
        if fact.name in _SHOWN
    ]
    rates = [
        sample_facts.measure_funding(market.funding)
        for market in markets.values()
        if market.funding is not None
    ]
    name, (low, high) = next(iter(sample_facts.FUNDING_RANGES.items()))
    rows.append([f"funding, {name}", f"{low} to {high}", *(f"{one[name]:.3g}" for one in rates)])
    show_table(("stylised fact, 15m", "real markets", *markets), rows, tuple(markets))
    for one, other in combinations(markets.values(), 2):
        together, _ = sample_facts.measure_pair(one.candles, other.candles)
        click.echo(f"correlation of {one.symbol} and {other.symbol}: {together:.2f}")
