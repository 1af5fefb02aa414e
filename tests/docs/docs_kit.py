"""Reads the pages of the documentation and does what they tell the reader to do.

An HTML comment right above a fenced block tells how it is meant:

    <!-- file: strategies/mine.py -->    the block is the content of that file
    <!-- exits 2 -->                     its commands end with that exit code
    <!-- not run: needs network -->      its commands are only parsed
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import click

from ftbt.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]

# Typed once, before anything else; a test has its environment already.
PREPARING = (".", "source", "cd", "git")
SHELL = {"|", ">", ">>", "<", "&&"}
# Instead of a year with 90 days of training: enough for one window, a few seconds.
SMALL = {"--trials": "2", "--train": "30d", "--test": "15d", "--min-trades": "1", "--jobs": "1"}
SMALL_SPAN = {"--from": "2024-01-01", "--to": "2024-03-18"}
SMALL_TOML = {
    r"(?m)^trials = .*": "trials = 2",
    r"(?m)^min_trades = .*": "min_trades = 1",
    r"(?m)^train = .*": 'train = "30d"',
    r"(?m)^test = .*": 'test = "15d"',
    r"(?m)^step = .*": 'step = "15d"',
    r"(?m)^from = .*": "from = 2024-01-01",
    r"(?m)^to = .*": "to = 2024-03-18",
}

_FENCE = re.compile(r"^```(\w*)\s*$")
_COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Command:
    """One line that the reader types, and what the page says it prints (may be empty)."""

    text: str
    output: str = ""

    @property
    def words(self) -> list[str]:
        """The words of the command, as a shell reads them."""
        return shlex.split(self.text, comments=True)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, the comments above it."""

    page: Path
    line: int
    language: str
    text: str
    notes: tuple[str, ...] = ()

    def note(self, word: str) -> str | None:
        """Return what the comment that begins with *word* says after it."""
        for note in self.notes:
            if note.startswith(word):
                return note.removeprefix(word).strip(" :")
        return None

    @property
    def place(self) -> str:
        """Where to look when it fails."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[Command]:
        """Return the commands of a console or shell block."""
        if self.language in ("sh", "bash"):
            lines = self.text.replace("\\\n", " ").splitlines()
            return [Command(one) for one in lines if one.strip() and not one.startswith("#")]
        if self.language != "console":
            return []
        found: list[Command] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            elif found:
                found[-1] = Command(found[-1].text, f"{found[-1].output}{line}\n")
        return found


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of *page* outside of fenced blocks."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of *page*, in order."""
    found: list[Block] = []
    notes: list[str] = []
    open_at, language, inner = 0, "", []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if open_at:
            if line.startswith("```"):
                text = "".join(f"{one}\n" for one in inner)
                found.append(Block(page, open_at, language, text, tuple(notes)))
                open_at, notes = 0, []
            else:
                inner.append(line)
        elif fence := _FENCE.match(line):
            open_at, language, inner = number, fence[1], []
        elif comment := _COMMENT.match(line.strip()):
            notes.append(comment[1])
        elif line.strip():
            notes = []
    assert not open_at, f"{page}:{open_at}: the block is never closed"
    return found


def links(page: Path) -> list[tuple[int, str]]:
    """Return line and target of every link of *page*."""
    return [(n, target) for n, line in prose(page) for target in _LINK.findall(line)]


def spans(line: str) -> list[str]:
    """Return what stands in back quotes in *line*."""
    return _SPAN.findall(line)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of *page*, made as GitHub makes them."""
    heads = [line.lstrip("# ") for _, line in prose(page) if re.match(r"#{1,6} ", line)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def parse(words: list[str]) -> click.Context:
    """Parse a command line as the program would, without running it.

    Raises:
        click.ClickException: for a command or option that does not exist.
    """
    context = cli.make_context("ftbt", list(words[1:]), resilient_parsing=False)
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, more = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, more, parent=context)
    return context


def options_of(words: list[str]) -> set[str]:
    """Return the options of the command that *words* name, as far as they name one.

    Raises:
        click.ClickException: for a command that does not exist.
    """
    command: click.Command = cli
    context = click.Context(cli)
    for word in words[1:]:
        if not isinstance(command, click.Group):
            break
        if word.startswith("-"):
            break
        _, found, _ = command.resolve_command(context, [word])
        assert found is not None
        command = found
    known = {"--help", "--version"}
    for parameter in command.params:
        known.update([*parameter.opts, *parameter.secondary_opts])
    return known


def made_small(words: list[str], *, report: bool) -> list[str]:
    """Return a walk-forward's command line so that it takes seconds; others as they are."""
    if words[:2] != ["ftbt", "walkforward"] or "--help" in words:
        return words
    wanted = dict(SMALL)
    if "--experiment" in words:
        wanted = {"--jobs": "1"}
    elif "--data" not in words or words[words.index("--data") + 1] == "sample":
        wanted |= SMALL_SPAN
    made = list(words)
    for option, value in wanted.items():
        if option in made:
            made[made.index(option) + 1] = value
        else:
            made += [option, value]
    return made if report or "--no-report" in made else [*made, "--no-report"]


@dataclass
class Reader:
    """Someone who types what a page says, in the current folder.

    Attributes:
        small: walk-forwards are cut to seconds; their output is then not compared.
        reports: how many walk-forwards write a report also when *small*; the others leave it out.
        names: what the page's Python examples have defined so far.
    """

    run: object  # the program: words -> exit code, output, errors
    small: bool = True
    reports: int = 0
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "__docs__"})

    def read(self, page: Path) -> int:
        """Do everything that *page* says, in order; return how many things there were."""
        done = 0
        for block in blocks(page):
            target = block.note("file")
            if target is not None:
                self._write(Path(target), block.text)
            elif block.note("not run") is not None:
                for command in block.commands():
                    if command.words[0] == "ftbt":
                        parse(command.words)
            elif block.language == "python":
                exec(compile(block.text, block.place, "exec"), self.names)
            else:
                for command in block.commands():
                    self._type(command, block)
            done += 1
        return done

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(smaller_toml(text) if self.small and path.suffix == ".toml" else text)

    def _type(self, command: Command, block: Block) -> None:
        words = command.words
        if words[0] in PREPARING:
            return
        if words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert set(words[1:]) <= set(targets), f"{block.place}: no such target: {words}"
            return
        if words[0] != "ftbt" or SHELL & set(words):
            env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            subprocess.run(["bash", "-c", command.text], check=True, env=env, timeout=120)
            return
        words = [item for word in words for item in _expanded(word)]
        expected = int(block.note("exits") or 0)
        small = self.small and not expected
        typed = made_small(words, report=self.reports > 0) if small else words
        self.reports -= typed[:2] == ["ftbt", "walkforward"]
        code, out, err = self.run(typed[1:])  # type: ignore[operator]
        assert code == expected, (
            f"{block.place}: {shlex.join(typed)} ended with {code}:\n{out}{err}"
        )
        if typed == words and command.output:
            must_print(command, err if code > 1 else out, block)


def _expanded(word: str) -> list[str]:
    """Return what a shell makes of a word with a star."""
    found = sorted(str(path) for path in Path().glob(word)) if "*" in word else []
    return found or [word]


def smaller_toml(text: str) -> str:
    """Return an experiment file so that it takes seconds."""
    for pattern, value in SMALL_TOML.items():
        text = re.sub(pattern, value, text)
    return text


def must_print(command: Command, got: str, block: Block) -> None:
    """Pass when *got* is what the page shows; `...` there stands for anything."""
    same = OutputChecker().check_output(command.output, got, ELLIPSIS | NORMALIZE_WHITESPACE)
    assert same, f"{block.place}: {command.text} does not print\n{command.output}but\n{got}"
