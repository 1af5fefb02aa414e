"""`ftbt data`: what candles there are, whether they are sound, and how to get more."""

from __future__ import annotations

import importlib

import click

from ftbt.errors import did_you_mean

# Command -> module, attribute, one line. The lines stand here because importing a command only
# to describe it would make `ftbt data --help` wait for the exchange libraries.
COMMANDS = {
    "fetch": ("ftbt.cli.data_fetch", "fetch", "Download candles and funding into the store."),
    "import": (
        "ftbt.cli.data_import",
        "import_files",
        "Check files and merge them into the store.",
    ),
    "list": ("ftbt.cli.data_list", "list_store", "List what the store holds."),
    "check": ("ftbt.cli.data_check", "check", "List every problem of a file or of stored series."),
    "sample": ("ftbt.cli.data_sample", "sample", "Make a synthetic market."),
}


class DataGroup(click.Group):
    """The commands of `ftbt data`, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command *cmd_name*."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name is answered with the nearest known one."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS:
            hint = did_you_mean(name, COMMANDS) or f" - commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=DataGroup, epilog="Example: ftbt data import BTCUSDT-15m.csv")
def data() -> None:
    """Get, check and list candles and funding.

    They live in a store of Parquet files, one for each exchange, symbol and timeframe: the folder
    `data`, or the one that the environment variable FTBT_STORE or --store names.
    """
