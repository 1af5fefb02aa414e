"""`ftbt live`: trade the strategy that was tested, on paper or with real money."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ftbt.cli.options import (
    allocation_options,
    limit_options,
    money_options,
    set_option,
    store_option,
    strategy_option,
    symbol_option,
    timeframe_option,
)
from ftbt.cli.watch_options import watch_options


@click.command(
    epilog="Example: ftbt live --mode paper --network localnet --strategy liquidity_sweep"
)
@click.option("--mode", type=click.Choice(["paper", "live"]),
              help="paper: no money at risk. live: real money. There is no default.")  # fmt: skip
@click.option("--network", metavar="NAME",
              help="localnet, testnet or mainnet. There is no default.")  # fmt: skip
@click.option("--url", metavar="URL", show_default="http://127.0.0.1:3001",
              help="Where `ftbt localnet` listens.")  # fmt: skip
@click.option("--deployment", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="What to trade, as `ftbt promote` wrote it.")  # fmt: skip
@strategy_option()
@symbol_option(several=True)
@timeframe_option()
@set_option("--param")
@money_options()
@limit_options()
@allocation_options()
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              show_default="$FTBT_AGENT_KEY_FILE",
              help="With the key of the agent wallet; only you may read it.")  # fmt: skip
@click.option("--account", metavar="ADDRESS", show_default="$FTBT_ACCOUNT",
              help="Whose money is traded.")  # fmt: skip
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              show_default="results/live/NETWORK-NAME",
              help="Folder of journal and status; the same one goes on.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Decide, but send nothing.")
@click.option("--on-stop", type=click.Choice(["keep", "flatten"]), default="keep",
              show_default=True,
              help="At the end: keep positions with their stops, or close them.")  # fmt: skip
@click.option("--until", metavar="TIME", help="End before the bar that opens then, UTC.")
@click.option("--warmup-from", metavar="TIME", show_default="what the lines need",
              help="Open of the first bar of the history, UTC.")  # fmt: skip
@click.option("--data", metavar="SOURCE",
              help="Candles for history that the exchange no longer has: a file, or an exchange in"
              " the store.")  # fmt: skip
@store_option()
@click.option("--confirm", metavar="WORDS",
              help="'trade real money', for mainnet; else you are asked.")  # fmt: skip
@click.option("--say", metavar="WORDS",
              help="What mainnet asks for without a PASS; else you are asked.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@watch_options()
@click.option("--request-margin", type=float, hidden=True,
              help="Part of the venue's request budget to be used, on localnet.")  # fmt: skip
def live(**options: Any) -> int:
    """Trade a strategy on Hyperliquid, or on a local exchange that speaks its API.

    It is the strategy object of the back-test, asked at the same closes; stops and targets stand
    on the exchange from the moment of the fill. At the start everything that must hold is checked
    aloud. The same --state goes on where the last session ended, however it ended.

    Ctrl-C takes waiting entries back and leaves positions with their stops on the exchange
    (--on-stop flatten closes them); a second Ctrl-C ends at once.

    Real money needs all of: --mode live, --network mainnet, --capital, typed words, and a
    deployment with a PASS or more words.
    """
    from ftbt.cli.live_run import run  # noqa: PLC0415 - help answers without these

    return run(options, _typed)


def _typed(why: str, words: str) -> str:
    """Return what a person types, nothing where nobody sits."""
    if not sys.stdin.isatty():
        return ""
    typed: str = click.prompt(f"{why}; type '{words}' to go on", default="", show_default=False)
    return typed
