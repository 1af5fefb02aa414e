"""`ftbt data fetch`: download candles and funding into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ftbt.data.download import Outcome

PARTLY_FAILED = 3


@click.command(
    epilog="Example: ftbt data fetch --exchange binance --symbol BTC --symbol ETH --timeframe 15m"
    " --timeframe 1h --from 2024-01-01"
)
@click.option("--exchange", required=True, help="binance, bybit or hyperliquid.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    required=True,
    help="A coin (BTC: its linear perpetual), or a full symbol such as BTC/USDT (spot)"
    " or BTC/USDC:USDC. Repeat for more.",
)
@click.option(
    "--timeframe",
    "timeframes",
    multiple=True,
    default=("15m",),
    show_default="15m",
    help="Length of a bar: 1m, 15m, 1h, 4h, 1d, ... Repeat for more.",
)
@click.option(
    "--from",
    "start",
    help="Open of the first bar, UTC: 2024-01-31 or ISO 8601."
    "  [default: where the store starts, else a year before --to]",
)
@click.option("--to", "end", help="Close of the last bar, UTC.  [default: now]")
@click.option(
    "--funding/--no-funding",
    default=True,
    show_default=True,
    help="Also the funding rates of perpetuals.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the store.  [default: $FTBT_STORE, else data]",
)
@click.option(
    "--concurrency", default=4, show_default=True, help="Series downloaded at once, 1 to 32."
)
@click.option(
    "--timeout", default=20.0, show_default=True, help="Seconds to wait for one answer, up to 600."
)
@click.option(
    "--tries", default=6, show_default=True, help="Tries of one request before giving up, 1 to 50."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Where the exchange differs from the store, take the exchange's values.",
)
def fetch(
    exchange: str,
    symbols: tuple[str, ...],
    timeframes: tuple[str, ...],
    start: str | None,
    end: str | None,
    funding: bool,
    store: Path | None,
    concurrency: int,
    timeout: float,
    tries: int,
    overwrite: bool,
) -> int:
    """Download candles and funding rates into the store, several series at once.

    Only closed bars are stored, and only what is missing is asked for: the same command again
    goes on where it stopped, wherever that was. Ctrl-C keeps what has arrived.

    $FTBT_EXCHANGE_URL names a server that answers as the exchange does, to be asked in its place.

    Exit codes: 0 all complete, 2 nothing was complete, 3 some series failed, 130 Ctrl-C.
    """
    from ftbt.cli.fetch_progress import progress  # noqa: PLC0415 - help answers without these
    from ftbt.data.fetch import FetchOrder, fetch  # noqa: PLC0415
    from ftbt.data.retry import Retry  # noqa: PLC0415
    from ftbt.data.store import CandleStore, default_root  # noqa: PLC0415
    from ftbt.data.timeframe import parse_time  # noqa: PLC0415

    order = FetchOrder(
        exchange=exchange,
        symbols=symbols,
        timeframes=timeframes,
        start=parse_time(start) if start else None,
        end=parse_time(end) if end else None,
        funding=funding,
        concurrency=concurrency,
        timeout_s=timeout,
        retry=Retry(attempts=tries),
        overwrite=overwrite,
    )
    root = store or default_root()
    with progress() as listener:
        try:
            outcomes = fetch(order, CandleStore(root), listener)
        except KeyboardInterrupt:
            listener.close()
            click.echo(f"stopped: {_kept(listener.kept, root)}", err=True)
            raise
    return _report(outcomes, root)


def _kept(kept: dict[str, int], root: Path) -> str:
    total = sum(kept.values())
    if not total:
        return "nothing new had been stored"
    return (
        f"{total:,} new rows of {len(kept)} series are kept in {root};"
        " the same command goes on from there"
    )


def _report(outcomes: list[Outcome], root: Path) -> int:
    """Print one line per series and its notes; return the exit code.

    Raises:
        FtbtError: the first series' own when none is complete.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    last_word = failed[0] if len(failed) == len(outcomes) else None
    for outcome in outcomes:
        if outcome is not last_word or outcome.new:
            _print(outcome, with_error=outcome is not last_word)
    if last_word is not None and last_word.error is not None:
        raise last_word.error
    click.echo(f"store: {root}")
    return PARTLY_FAILED if failed else 0


def _print(outcome: Outcome, with_error: bool) -> None:
    what = "rates" if outcome.series.endswith("funding") else "bars"
    error = f", then failed: {outcome.error}" if outcome.error and with_error else ""
    click.echo(f"{outcome.series}: {outcome.new:,} new {what}{error}")
    for note in outcome.notes:
        click.echo(f"  {note}")
