"""The program `ftbt`: finds the command, runs it, turns errors into one line and an exit code.

Exit codes: 0 done; 1 a bug of ftbt; 2 something to mend (input, network, disk: the line says
what); 3 the run finished but part of it failed; 130 stopped by Ctrl-C; 141 nobody reads the output.
"""

from __future__ import annotations

import importlib
import os
import select
import sys
import traceback
from contextlib import suppress

import click

from ftbt import __version__
from ftbt.errors import FtbtError, StorageError, did_you_mean

# Command -> (module, what it does), in the order a newcomer needs them. A module has its command
# under its own name, and is imported only when that is called: `ftbt --help` answers at once.
COMMANDS = {
    "walkforward": ("ftbt.cli.walkforward", "Optimise on the past, test on what came next."),
    "backtest": ("ftbt.cli.backtest", "Run strategies with one set of parameters each."),
    "audit": ("ftbt.cli.audit", "Find out whether a strategy looks ahead."),
    "strategies": ("ftbt.cli.strategies", "List the strategies and their parameters."),
    "live": ("ftbt.cli.live", "Trade on Hyperliquid: on paper, then with real money."),
    "status": ("ftbt.cli.status", "Show what a bot is doing."),
    "stop": ("ftbt.cli.stop", "Ask a bot to end."),
    "kill": ("ftbt.cli.kill", "Out of everything, now, and stay out."),
    "resume": ("ftbt.cli.resume", "Let a halted deployment trade again."),
    "recover": ("ftbt.cli.recover", "Come back from a damaged journal; tell what is different."),
    "journal": ("ftbt.cli.journal", "Search and export what a bot has done."),
    "rehearse": ("ftbt.cli.rehearse", "Trade known candles live, and compare with the back-test."),
    "parity": ("ftbt.cli.parity", "Compare a past session with the back-test on its bars."),
    "alerts": ("ftbt.cli.alerts", "Show what a bot tells its owner, and try whether it arrives."),
    "verify": ("ftbt.cli.verify", "Try on testnet what could only be assumed."),
    "localnet": ("ftbt.cli.localnet", "Run a local exchange that speaks Hyperliquid's API."),
    "data": ("ftbt.cli.data", "Fetch, import, check and list candles."),
    "size": ("ftbt.cli.size", "Explain how large a position may be."),
    "report": ("ftbt.cli.report", "Render the report of a finished run again."),
    "compare": ("ftbt.cli.compare", "Say which differences between runs are more than luck."),
    "matrix": ("ftbt.cli.matrix", "Walk forward with several lengths of training and test."),
    "promote": ("ftbt.cli.promote", "Write the deployment file of a judged run."),
    "completion": ("ftbt.cli.completion", "Print a shell's completion script."),
}


# What a shell says of a program that wrote to nobody: 128 + SIGPIPE.
READER_GONE = 141


def _reader_gone() -> bool:
    """Return whether it is the output that nobody reads: a socket may break as well."""
    if not hasattr(select, "poll"):  # Windows
        return True
    outputs = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is no file, or closed
            outputs.register(stream.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in outputs.poll(0))


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command *cmd_name*."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a reader that went away (`| head`) is not taken for a bug."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not _reader_gone():
                raise
            raise click.exceptions.Exit(READER_GONE) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name is answered with the nearest known one."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS:
            hint = did_you_mean(name, COMMANDS) or f" - commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: ftbt walkforward --strategy liquidity_sweep",
)
@click.version_option(__version__, prog_name="ftbt")
def cli() -> None:
    """Tell the truth about a trading strategy before the market does.

    Back-test, optimise walk-forward and report on Backtrader strategies that are written once.
    Exit codes: 0 done, 1 bug, 2 something to mend, 3 partly failed, 130 stopped by Ctrl-C.
    """


def _colour() -> bool | None:
    """Return False when the user wants none (https://no-color.org), else None: as click decides."""
    return False if os.environ.get("NO_COLOR") else None


def _fail(message: str, code: int) -> int:
    head = click.style("error: ", fg="red", bold=True, reset=True)
    click.echo(head + message, err=True, color=_colour())
    return code


def run(args: list[str] | None = None) -> int:
    """Run the program with *args* and return its exit code; nothing but a bug escapes as 1."""
    try:
        result = cli.main(args, prog_name="ftbt", standalone_mode=False, color=_colour())
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return _fail("stopped", 130)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C", 130)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" (see: {where} --help)" if where else ""
        return _fail(error.format_message() + hint, 2)
    except FtbtError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        return _fail(str(_storage(error)), StorageError.exit_code)
    except Exception:  # noqa: BLE001 - the last line of defence: a bug is shown as one
        traceback.print_exc()
        return _fail("this is a bug of ftbt; please report the lines above", 1)
    return result if isinstance(result, int) else 0


def _storage(error: OSError) -> StorageError:
    where = f" {error.filename}" if error.filename else ""
    return StorageError(f"file{where}: {error.strerror or error}")


def entry() -> None:
    """Console-script entry."""
    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) went away: not an error, and the interpreter must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
