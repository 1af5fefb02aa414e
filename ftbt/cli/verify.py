"""`ftbt verify`: try on testnet what could only be assumed about the exchange."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ftbt.live.verifying import Found

NAMES = ("partial", "nonce", "trigger", "refusals", "reduce-only", "candle", "dead-man", "equity")


@click.command(epilog="Example: ftbt verify --network testnet --symbol ETH --check nonce")
@click.option("--network", metavar="NAME", help="testnet, or localnet. There is no default.")
@click.option("--url", metavar="URL", show_default="http://127.0.0.1:3001",
              help="Where `ftbt localnet` listens.")  # fmt: skip
@click.option("--symbol", metavar="COIN", default="ETH", show_default=True,
              help="What is traded; the account must be flat in it.")  # fmt: skip
@click.option("--check", "checks", multiple=True, type=click.Choice(NAMES),
              help="Which. Repeat for more.  [default: all]")  # fmt: skip
@click.option("--usd", type=click.FloatRange(min=11.0), default=15.0, show_default=True,
              help="What an order is worth.")  # fmt: skip
@click.option("--wait", "seconds", type=click.FloatRange(min=1.0), default=120.0,
              show_default=True, help="How long the market may take.")  # fmt: skip
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              show_default="$FTBT_AGENT_KEY_FILE", help="With the agent's key.")  # fmt: skip
@click.option("--account", metavar="ADDRESS", show_default="$FTBT_ACCOUNT",
              help="Whose play money is traded.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--request-margin", type=float, hidden=True,
              help="Part of the venue's request budget to be used, on localnet.")  # fmt: skip
def verify(
    network: str | None,
    url: str | None,
    symbol: str,
    checks: tuple[str, ...],
    usd: float,
    seconds: float,
    key_file: Path | None,
    account: str | None,
    as_json: bool,
    request_margin: float | None,
) -> int:
    """Try on testnet what ftbt assumes about the exchange and could never see.

    Each check sends a few small orders with play money, tells what was assumed and what was
    found, and leaves the account flat. Do it once before real money. Exit code 3 when something
    is not as assumed.
    """
    from ftbt.cli.live_asked import request_margin as margin_of  # noqa: PLC0415
    from ftbt.cli.live_keys import key_and_account  # noqa: PLC0415 - help answers without these
    from ftbt.cli.live_place import place_of  # noqa: PLC0415
    from ftbt.errors import ConfigError  # noqa: PLC0415
    from ftbt.hyperliquid.budget import Budget  # noqa: PLC0415
    from ftbt.hyperliquid.network import Mode, Network, parse_network  # noqa: PLC0415
    from ftbt.hyperliquid.session import Opening, Wanted  # noqa: PLC0415
    from ftbt.live.start import key_held  # noqa: PLC0415
    from ftbt.live.verifying import Bench, Remembering, run_trial  # noqa: PLC0415

    if network is None or parse_network(network) is Network.MAINNET:
        raise ConfigError("name where to try: --network testnet (play money), or localnet")
    where = place_of(parse_network(network), Mode.PAPER, url)
    key, user = key_and_account(where, key_file, account, "ftbt rehearse")
    journal = Remembering()
    different = False
    with key_held(key, where, lambda _: None), tempfile.TemporaryDirectory() as folder:
        budget = Budget(margin_of(request_margin, where))
        kept = Path(folder) if where.is_local else None
        opening = Opening(where, key, journal, kept, budget=budget)
        session = opening.open(Wanted(user, (symbol,), "verify"))
        try:
            bench = Bench(session, journal, symbol, Decimal(repr(usd)), seconds)
            for name in checks or NAMES:
                for found in run_trial(name, bench):
                    click.echo(json.dumps(asdict(found)) if as_json else _line(found))
                    different |= found.same is False
        finally:
            session.close()
    return 3 if different else 0


def _line(found: Found) -> str:
    word = {True: "as assumed", False: "DIFFERENT", None: "look"}[found.same]
    return f"{word:10} {found.name}: {found.seen}\n           assumed: {found.assumed}"
