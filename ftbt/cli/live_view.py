"""What a live session shows: the checklist, a status that is kept up to date, the summary.

On a terminal the status is one block that changes; elsewhere there is a line for each bar. With
`--json` every line is an object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ftbt.cli.live_text import Summary, bar_line, status_lines, summary_lines, summary_of
from ftbt.hyperliquid.session import Check
from ftbt.live.config import LiveConfig
from ftbt.live.runner import LiveRun
from ftbt.live.status import Status
from ftbt.live.words import decision_text, event_text

_WORDS = {"ok": "green", "warning": "yellow", "FAILED": "red"}


def make_view(config: LiveConfig, *, as_json: bool) -> View:
    """Return the view for where the output goes."""
    if as_json:
        return JsonView(config)
    return TerminalView(config) if sys.stdout.isatty() else View(config)


class View:
    """Lines for a person who reads them later: one per bar, and what happened in between.

    Attributes:
        began: the session was traded in.
        asked_to_stop: Ctrl-C was pressed.
    """

    def __init__(self, config: LiveConfig) -> None:
        self.config = config
        self.began = self.asked_to_stop = False
        self._run: LiveRun | None = None
        self._bar = 0
        self._trouble = ""

    def watch(self, run: LiveRun) -> None:
        """Show *run*."""
        self._run = run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is kept up to date."""

    # --- what is told -----------------------------------------------------------------------------

    def check(self, check: Check) -> None:
        """Show a line of the checklist."""
        word = "FAILED" if not check.passed else "warning" if check.warning else "ok"
        self._say(f"{word:8} {check.name:20} {check.text}", _WORDS[word])

    def status(self, status: Status) -> None:
        """Show how it stands."""
        if not self.began:
            self.began = True
            self._say(f"trading begins; {self._policy()}")
        self._draw(status)

    def event(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Show what happened, if a person waits for it."""
        if kind == "decision":
            text: str | None = decision_text({"coin": coin, **body}, self._strategies())
        else:
            text = event_text(kind, body, coin)
        if text:
            self._say(f"  {text}", "red" if kind in ("alarm", "error") else "")

    def stopping(self) -> None:
        """Say what Ctrl-C does."""
        self.asked_to_stop = True
        what = (
            "open positions are closed"
            if self.config.on_stop == "flatten"
            else "positions stay, with their stops and targets on the exchange"
        )
        self._say(f"stopping: waiting entries are taken back, {what}; Ctrl-C again ends at once")

    def summary(self) -> None:
        """Show what came of it."""
        assert self._run is not None, "watched from the start"
        for line in summary_lines(summary_of(self._run)):
            self._say(line)

    # --- how --------------------------------------------------------------------------------------

    def _draw(self, status: Status) -> None:
        trouble = status.ready if self._bar else ""
        if status.bar_ms > self._bar:
            self._bar = status.bar_ms
            self._say(bar_line(status, self._strategies()))
        elif trouble != self._trouble:
            self._say(f"  {f'trouble: {trouble}' if trouble else 'ready again'}")
        self._trouble = trouble

    def _say(self, text: str, style: str = "") -> None:
        del style
        click.echo(text)

    def _strategies(self) -> list[dict[str, Any]]:
        assert self._run is not None, "watched from the start"
        return self._run.strategies

    def _policy(self) -> str:
        if self.config.dry_run:
            return "dry run: nothing is sent"
        return "Ctrl-C stops" + (" and closes positions" * (self.config.on_stop == "flatten"))


class TerminalView(View):
    """A block at the end of the terminal that is kept up to date."""

    def __init__(self, config: LiveConfig) -> None:
        super().__init__(config)
        self._console = Console(highlight=False)
        self._newest: Status | None = None
        self._live = Live(
            console=self._console, get_renderable=self._block, refresh_per_second=4,
            transient=True, redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _block(self) -> Group:
        newest = self._newest
        lines = [] if newest is None else status_lines(newest, self._strategies())
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

    def _draw(self, status: Status) -> None:
        self._newest = status

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))


class JsonView(View):
    """One JSON object per line: `check`, `status` at each bar, `event`, `summary`."""

    def check(self, check: Check) -> None:
        """Write a line of the checklist."""
        self._write("check", asdict(check))

    def event(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        """Write what happened, if a person waits for it."""
        if kind == "decision" or event_text(kind, body, coin):
            self._write("event", {"kind": kind, "coin": coin, **body})

    def stopping(self) -> None:
        """Write that it is about to end."""
        self.asked_to_stop = True
        self._write("event", {"kind": "stopping", "on_stop": self.config.on_stop})

    def summary(self) -> None:
        """Write what came of it."""
        assert self._run is not None, "watched from the start"
        found: Summary = summary_of(self._run)
        self._write("summary", asdict(found))

    def _draw(self, status: Status) -> None:
        if status.bar_ms > self._bar or status.over:
            self._bar = status.bar_ms
            self._write("status", status.as_dict())

    def _say(self, text: str, style: str = "") -> None:
        del text, style

    def _write(self, what: str, body: Mapping[str, Any]) -> None:
        click.echo(json.dumps({"what": what, **body}, default=str))
