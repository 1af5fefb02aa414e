"""`ftbt localnet`: a local exchange that speaks Hyperliquid's API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftbt.cli.options import data_options

if TYPE_CHECKING:
    from ftbt.localnet.control import Control
    from ftbt.localnet.options import Options
    from ftbt.localnet.server import Server


def _funds(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (address, USDC) of each `ADDRESS=USDC`."""
    from ftbt.errors import ConfigError  # noqa: PLC0415 - help answers without it

    found = []
    for text in texts:
        user, equals, amount = text.partition("=")
        if not equals or not user.startswith("0x") or len(user) != 42:
            raise ConfigError(f"--fund {text!r} must be ADDRESS=USDC, for example 0x12..ef=10000")
        found.append((user.lower(), amount))
    return tuple(found)


@click.command(epilog="Example: ftbt localnet --symbol BTC,ETH,SOL --speed 1000 --port 3001")
@data_options(several=True)
@click.option("--begin", metavar="TIME", show_default="after 5000 bars, at most half",
              help="Where the replay begins; what lies before is history.")  # fmt: skip
@click.option("--speed", type=float, default=1.0, show_default=True,
              help="Seconds of the market in one second.")  # fmt: skip
@click.option("--hold", type=float, default=0.0, show_default=True, metavar="MS",
              help="Stand still at each open of a bar and after each fill.")  # fmt: skip
@click.option("--paused", is_flag=True, help="Start standing still; step by the control API.")
@click.option("--fund", "funds", multiple=True, metavar="ADDRESS=USDC",
              help="Pay into an account. Repeat for more.")  # fmt: skip
@click.option("--depth", default="250000", show_default=True, metavar="USDC",
              help="What the best level of each book offers.")  # fmt: skip
@click.option("--no-limits", is_flag=True, help="Do not keep the venue's request budgets.")
@click.option("--port", type=int, default=3001, show_default=True, help="Of the API; 0 is any.")
@click.option("--control-port", type=int, default=3002, show_default=True,
              help="Of the control API; 0 is any.")  # fmt: skip
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Stop after that long.")
def localnet(
    data: str | None,
    symbols: tuple[str, ...],
    timeframe: str | None,
    start: str | None,
    end: str | None,
    holes: str | None,
    detail: str | None,
    store: Path | None,
    begin: str | None,
    speed: float,
    hold: float,
    paused: bool,
    funds: tuple[str, ...],
    depth: str,
    no_limits: bool,
    port: int,
    control_port: int,
    seconds: float | None,
) -> int:
    """Replay candles as an exchange that speaks Hyperliquid's API, on this machine only.

    The official SDK and ccxt use it unchanged with their base URL pointed at it. Its keys and
    its money are worth nothing anywhere else. Faults and time are driven by a control API.
    """
    from ftbt.localnet.interventions import number  # noqa: PLC0415
    from ftbt.localnet.options import DEFAULT_FUNDS, Options  # noqa: PLC0415
    from ftbt.localnet.process import named_key  # noqa: PLC0415

    user = named_key("user")
    paid = {address: number(usd, "--fund") for address, usd in _funds(funds)}
    paid.setdefault(user.address, DEFAULT_FUNDS)
    options = Options(
        data=data,
        symbols=symbols or Options().symbols,
        timeframe=timeframe or "15m",
        detail=detail,
        start=start,
        end=end,
        holes=holes or "refuse",
        store=store,
        begin=begin,
        speed=speed,
        hold_ms=hold,
        paused=paused,
        depth=number(depth, "--depth"),
        funds=tuple(paid.items()),
        limits=not no_limits,
        port=port,
        control_port=control_port,
    )
    return _serve(options, seconds)


def _serve(options: Options, seconds: float | None) -> int:
    import asyncio  # noqa: PLC0415

    from ftbt.errors import InputError  # noqa: PLC0415
    from ftbt.localnet.options import load  # noqa: PLC0415
    from ftbt.localnet.process import serve  # noqa: PLC0415

    markets = load(options)

    async def run() -> None:
        listening = asyncio.Event()

        def ready(server: Server, control: Control) -> None:
            _greet(options, server, control)
            listening.set()

        def note(text: str) -> None:
            click.echo(text, err=True)

        task = asyncio.create_task(serve(markets, options, ready, note))
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await asyncio.wait_for(task, seconds)

    try:
        asyncio.run(run())
    except TimeoutError:
        click.echo("stopped after the time that --for gave")
    except OSError as error:
        raise InputError(
            f"port {options.port} or {options.control_port}: {error.strerror or error};"
            " give others with --port and --control-port, 0 for any"
        ) from error
    return 0


def _greet(options: Options, server: Server, control: Control) -> None:
    from ftbt.data.timeframe import show_ms  # noqa: PLC0415
    from ftbt.localnet.process import named_key  # noqa: PLC0415

    key, venue = named_key("user"), server.host.venue
    coins = ", ".join(venue.core.by_coin)
    pace = "standing still" if options.paused else f"speed {options.speed:g}"
    lines = [
        f"localnet: {coins} from {show_ms(venue.time + 1)}, {pace}",
        f"API      http://127.0.0.1:{server.port}  (WebSocket ws://127.0.0.1:{server.port}/ws)",
        f"control  http://127.0.0.1:{control.port}",
        *(f"account  {user} with {usd} USDC" for user, usd in options.funds),
        f"key of   {key.address}: {key.secret}  (public, worthless elsewhere)",
        "Ctrl-C stops.",
    ]
    for line in lines:
        click.echo(line)
