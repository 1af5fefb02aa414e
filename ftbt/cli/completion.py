"""`ftbt completion`: shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    epilog='Example: ftbt completion bash >> ~/.bashrc   (or: eval "$(ftbt completion zsh)")'
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL."""
    found = get_completion_class(shell)
    if found is None:  # the choice above lists what click ships
        raise click.UsageError(f"no completion for {shell}", ctx)
    script = found(ctx.find_root().command, {}, "ftbt", "_FTBT_COMPLETE")
    click.echo(script.source())
