"""`ftbt parity`: a past session beside the back-test on its bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftbt.cli.live_state import find_state, state_argument
from ftbt.cli.options import strategy_option

if TYPE_CHECKING:
    from ftbt.data.market import Market
    from ftbt.live.record import Record
    from ftbt.strategy.loader import StrategyRef


@click.command(epilog="Example: ftbt parity results/live/sweep --data hyperliquid --detail 1m")
@state_argument()
@strategy_option(show_default="those of the session, by the names of their classes")
@click.option("--data", metavar="SOURCE", show_default="testnet, for a session there",
              help="sample, a candle file, or an exchange in the store.")  # fmt: skip
@click.option("--detail", metavar="LENGTH", help="Shorter bars that tell the path inside a bar.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="$FTBT_STORE, else data",
    help="Folder of the candle store.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the drift as JSON.")
def parity(
    state: str | None,
    strategy: str | None,
    data: str | None,
    detail: str | None,
    store: Path | None,
    as_json: bool,
) -> int:
    """Say for each trade of a session whether it came out as in the back-test, and if not, why.

    Reads the journal in the state folder and runs the back-test with the session's parameters,
    costs and limits on the bars that it decided on. Without --data the candles are read from
    testnet, which keeps 5000 of each length. Exit code 3: something is unexplained.
    """
    from ftbt.backtest.engine import run_portfolio  # noqa: PLC0415 - help answers without these
    from ftbt.backtest.portfolio import Sleeve, Stretch  # noqa: PLC0415
    from ftbt.cli import drift_text  # noqa: PLC0415
    from ftbt.live.journal import read_journal  # noqa: PLC0415
    from ftbt.live.parity import compare_record  # noqa: PLC0415
    from ftbt.live.record import KINDS, read_record  # noqa: PLC0415

    folder = find_state(state)
    with read_journal(folder / "journal.db") as reader:
        record = read_record(reader.events(kinds=KINDS))
    markets = [_cut(market, record) for market in _markets(record, data, detail, store)]
    sleeves = [
        Sleeve(ref, _own(ref, one.parameters), one.share)
        for ref, one in zip(_strategies(record, strategy), record.strategies, strict=True)
    ]
    stretches = [Stretch(market, trade_from) for market, trade_from in markets]
    expected = run_portfolio(sleeves, stretches, record.result.settings)
    drift = compare_record(expected, record, [market for market, _ in markets])
    if as_json:
        click.echo(drift_text.as_json(drift))
    else:
        drift_text.show_drift(drift)
    return 3 if drift.unexplained else 0


def _strategies(record: Record, asked: str | None) -> list[StrategyRef]:
    """Return where the session's strategies are."""
    from ftbt.errors import InputError  # noqa: PLC0415 - help answers without these
    from ftbt.strategy.loader import find_strategy, strategy_names  # noqa: PLC0415

    if asked is not None:
        names = asked.split(",")
        if len(names) != len(record.strategies):
            raise InputError(f"--strategy names {len(names)}, the session had"
                             f" {len(record.strategies)}: name them in their order")  # fmt: skip
        return [find_strategy(name) for name in names]
    known = {one.class_name: one for one in map(find_strategy, strategy_names())}
    for traded in record.strategies:
        if traded.name not in known:
            raise InputError(f"no strategy in strategies/ has the class {traded.name}: name the"
                             " session's file with --strategy")  # fmt: skip
    return [known[traded.name] for traded in record.strategies]


def _own(ref: StrategyRef, parameters: Any) -> dict[str, Any]:
    """Return the recorded parameters that the strategy of today has."""
    from ftbt.strategy.parameters import defaults_of  # noqa: PLC0415 - help answers without it

    known = defaults_of(ref.load())
    return {name: value for name, value in parameters.items() if name in known}


def _markets(
    record: Record, data: str | None, detail: str | None, store: Path | None
) -> list[Market]:
    from ftbt.data.resolve import load_markets  # noqa: PLC0415 - help answers without these
    from ftbt.live.past import exchange_markets  # noqa: PLC0415

    result = record.result
    if data is None:
        return exchange_markets(record, detail)
    found = []
    for symbol in result.symbols:
        parts = load_markets(data, symbol, result.timeframe.text, holes="split", detail=detail,
                             store_root=store)  # fmt: skip
        found.append(max(parts, key=lambda part: len(part.candles)))
    return found


def _cut(market: Market, record: Record) -> tuple[Market, int]:
    """Return the session's bars with their warm-up, and how long that is."""
    from ftbt.live.past import cut_to  # noqa: PLC0415 - help answers without it

    return cut_to(market, record)
