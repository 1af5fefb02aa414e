"""The documentation is true: what it says to type works, what it names exists.

Helpers and the comments that mark blocks: `docs_kit.py`.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from difflib import unified_diff
from functools import cache
from pathlib import Path

import click
import pandas as pd
import pytest
from docs_kit import (
    PAGES,
    README,
    ROOT,
    Reader,
    anchors,
    blocks,
    links,
    options_of,
    parse,
    prose,
    smaller_toml,
    spans,
)

from docs import build, schema
from ftbt import errors
from ftbt.backtest.metrics import Metrics
from ftbt.cli.main import run
from ftbt.config import load_experiment
from ftbt.data.sample import default_sample
from ftbt.robustness.assessment import Assessment
from ftbt.walkforward.store import FRAMES, load_run

DOCS = ROOT / "docs"
EXECUTION_MODEL = DOCS / "execution-model.md"
DAYS = 77  # warm-up, one training, one test


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


TYPED = [
    page for page in PAGES if any(b.commands() or b.language == "python" for b in blocks(page))
]


def _candle_files(folder: Path, days: int) -> None:
    for symbol, market in default_sample().items():
        bars = market.candles.bars[: days * 96]
        frame = pd.DataFrame({name: bars[name] for name in bars.dtype.names or ()})
        frame["time"] = pd.to_datetime(frame["time"], unit="ms", utc=True)
        frame.to_csv(folder / f"{symbol}USDT-15m.csv", index=False)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader has it: strategies, experiments, candle files, nothing else."""
    shutil.copytree(
        ROOT / "strategies", tmp_path / "strategies", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "experiments").mkdir()
    for file in (ROOT / "experiments").glob("*.toml"):
        (tmp_path / "experiments" / file.name).write_text(smaller_toml(file.read_text()))
    _candle_files(tmp_path, DAYS)
    monkeypatch.chdir(tmp_path)
    for name in ("FTBT_STORE", "FTBT_STRATEGIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]):
    """The program: words -> exit code, output, errors."""

    def call(words: list[str]) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


# --- what one is told to type --------------------------------------------------------------------


@pytest.mark.parametrize("page", TYPED, ids=_name)
def test_commands_and_examples_work(page, workplace, program):
    """What a page says to type works, in its order, on a small scale; outputs are as shown."""
    reader = Reader(program, reports=page == README)
    assert reader.read(page) > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, DOCS / "tutorial.md"], ids=_name)
def test_commands_work_in_full(page, workplace):
    """The walk-forwards of README and tutorial print what is shown when run as written."""
    _candle_files(workplace, 365)

    def call(words: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "ftbt", *words], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    assert Reader(call, small=False).read(page) > 0


def test_readme_is_one_screen():
    """The README has at most 60 lines and names the two commands."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert "make run" in text
    assert "make test" in text


def test_make_run_is_the_command_of_the_readme(workplace, program):
    """`make run` calls the walk-forward that the pages talk about, and `make test` pytest."""
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^run:.*\n\t\$\(BIN\)/ftbt (.*)$", make, re.MULTILINE)
    assert recipe is not None
    words = ["ftbt", *recipe[1].replace("$(JOBS)", "2").split()]
    assert parse(words).params["strategy"] == "liquidity_sweep"
    assert re.search(r"^test:.*\n\t\$\(BIN\)/pytest", make, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_mentioned_commands_exist(page):
    """A command in running text exists, and so do the options beside it."""
    for number, line in prose(page):
        for span in spans(line):
            words = span.split()
            if words[:1] != ["ftbt"] or len(words) < 2:
                continue
            known = options_of(words)
            given = [word.partition("=")[0] for word in words if word.startswith("--")]
            assert set(given) <= known, f"{_name(page)}:{number}: {span}"


def test_examples_of_the_help_texts_parse():
    """The example under each help text is a command line that the program accepts."""
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    found = re.findall(r"^  Example: (ftbt .*(?:\n    .*)*)", page, re.MULTILINE)
    assert len(found) >= 10
    for example in found:
        text = re.sub(r"\s+", " ", example).partition(" (or")[0].partition(" >>")[0]
        try:
            parse(shlex.split(text))
        except click.ClickException as error:
            pytest.fail(f"{text}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_toml_is_sound(page, tmp_path):
    """Every TOML block is TOML, and one with a title and a hypothesis is an experiment."""
    for block in blocks(page):
        if block.language != "toml":
            continue
        if {"title", "hypothesis"} <= set(tomllib.loads(block.text)):
            path = tmp_path / "experiment.toml"
            path.write_text(block.text, encoding="utf-8")
            assert load_experiment(path).strategy.name, block.place


def test_shipped_experiments_can_be_read():
    """Each file in experiments/ is an experiment."""
    for path in sorted((ROOT / "experiments").glob("*.toml")):
        assert load_experiment(path).hypothesis, path.name


# --- what is linked and named --------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page):
    """Every relative link leads to a file, and its anchor to a heading."""
    for number, target in links(page):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{_name(page)}:{number}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{_name(page)}:{number}: {target}"


@cache
def _defined(path: Path) -> frozenset[str]:
    """Return all names that the Python file *path* defines, methods and attributes included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return frozenset(names)


def _is_file(span: str) -> bool:
    return re.fullmatch(r"(ftbt|tests|strategies|benchmarks|docs)/[\w/.-]+\.\w+", span) is not None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_named_files_exist(page):
    """Every file and folder of the project that a page names is there."""
    for number, line in prose(page):
        for span in spans(line):
            inside = _is_file(span) or re.fullmatch(r"(ftbt|tests|benchmarks|docs)/[\w/]*", span)
            if inside and span not in {b.note("file") for b in blocks(page)}:
                assert (ROOT / span).exists(), f"{_name(page)}:{number}: {span}"


@pytest.mark.parametrize("page", ["how-a-bar-flows.md", "how-an-order-flows.md"])
def test_a_newcomer_finds_every_name(page):
    """Each function and class that a flow names is defined in one of the files beside it."""
    checked = 0
    for item in re.split(r"\n(?=\s*-|\s*\||\n|#)", _text_of(DOCS / page)):
        files = [ROOT / span for span in spans_of(item) if _is_file(span) and span.endswith(".py")]
        names = [span for span in spans_of(item) if re.fullmatch(r"[A-Za-z_][\w.]*", span)]
        known = frozenset().union(*(_defined(file) for file in files))
        for name in names if files else ():
            for part in name.split("."):
                assert part in known | BACKTRADER, f"{page}: {name} in {item.strip()[:80]}"
            checked += 1
    assert checked > 30


# Words of Backtrader and of the pages themselves that no file of ours defines.
BACKTRADER = {"buy", "sell", "cancel", "close", "next", "notify_order", "parent", "transmit"}
BACKTRADER |= {"valid", "decide", "warmup_days"}


def _text_of(page: Path) -> str:
    return "\n".join(line for _, line in prose(page))


def spans_of(text: str) -> list[str]:
    """Return the spans of all lines of *text*."""
    return [span for line in text.splitlines() for span in spans(line)]


@cache
def _tests() -> dict[str, list[str]]:
    """Return all test functions with the files that hold them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_named_tests_exist(page):
    """Every test that a page names is there."""
    columns = {"test_start", "test_end", "test_bars"}
    columns |= {item.name for one in schema.classes([Assessment]) for item in fields(one)}
    for number, line in prose(page):
        for span in spans(line):
            if re.fullmatch(r"test_[a-z0-9_]+", span) and span not in columns:
                assert span in _tests(), f"{_name(page)}:{number}: {span}"


def test_every_table_of_the_execution_model_is_on_its_page():
    """No rule is tested in tests/tables that the execution model does not tell."""
    named = {span for _, line in prose(EXECUTION_MODEL) for span in spans(line)}
    tables = {
        name for name, files in _tests().items() for f in files if f.startswith("tests/tables/")
    }
    assert tables <= named, "tell these rules in docs/execution-model.md"


def test_every_page_is_in_the_index():
    """The index leads to every page, the decisions to every record."""
    listed = {(DOCS / target.partition("#")[0]).resolve() for _, target in links(DOCS / "index.md")}
    decisions = DOCS / "decisions"
    listed |= {(decisions / target).resolve() for _, target in links(decisions / "README.md")}
    pages = {page for page in PAGES if page.is_relative_to(DOCS)} - {DOCS / "index.md"}
    assert pages == listed & pages


# --- what is made from the code, or must agree with it -------------------------------------------


def test_made_pages_are_fresh():
    """The pages that `make docs` makes are what the code says today."""
    for name in build.stale():
        page = build.REFERENCE / name
        old = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
        new = build.PAGES[name]().splitlines()
        changes = "\n".join(list(unified_diff(old, new, "page", "code", lineterm="", n=0))[:20])
        pytest.fail(f"{name} is stale, run `make docs`:\n{changes}")


def test_a_stale_page_is_told_and_made_anew(tmp_path, monkeypatch, capsys):
    """`--check` ends with 1 and names the page that differs; without it the page is mended."""
    shutil.copytree(build.REFERENCE, tmp_path / "reference")
    monkeypatch.setattr(build, "REFERENCE", tmp_path / "reference")
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    page = tmp_path / "reference" / "glossary.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nmore\n", encoding="utf-8")
    capsys.readouterr()
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/reference/glossary.md is stale: run `make docs`\n"
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0


def test_every_error_is_explained():
    """The page of errors has every class of `ftbt.errors`."""
    known = {n for n, e in vars(errors).items() if isinstance(e, type) and n != "annotations"}
    known = {n for n in known if issubclass(getattr(errors, n), errors.FtbtError)}
    page = DOCS / "reference" / "errors-and-exit-codes.md"
    assert known <= {span for _, line in prose(page) for span in spans(line)}


def _columns(page: Path, heading: str) -> set[str]:
    """Return the first column of the table under `## heading`."""
    found: set[str] = set()
    inside = False
    for _, line in prose(page):
        if line.startswith("## "):
            inside = line == f"## {heading}"
        elif inside and line.startswith("| `"):
            found.update(spans(line.split("|")[1]))
    return found


def test_columns_of_the_results_folder(workplace, program):
    """Each file of a real run has the columns that the page tells, no more and no fewer."""
    words = ["walkforward", "--strategy", "liquidity_sweep", "--trials", "1", "--jobs", "1"]
    span = ["--from", "2024-01-01", "--to", "2024-03-18", "--train", "30d", "--test", "15d"]
    code, out, err = program([*words, *span, "--min-trades", "1", "--no-report"])
    assert code == 0, err
    run_folder = load_run(Path(out.splitlines()[-1]))
    page = DOCS / "reference" / "results-folder.md"
    for name in FRAMES:
        told = _columns(page, f"{name}.parquet")
        columns = set(getattr(run_folder, name).columns)
        families = {one.partition("<")[0] for one in told if "<" in one}
        for one in columns - told:
            assert one.startswith(tuple(families) or ("-",)), f"{name}.parquet: {one} is not told"
        assert {one for one in told if "<" not in one} <= columns, name
    figures = _columns(page, "Figures")
    assert figures == {item.name for item in fields(Metrics)}


def test_the_changelog_has_an_unreleased_part():
    """The changelog keeps its form, so that a release can cut it."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text
    assert "### Added" in text


def test_build_refuses_other_words(capsys):
    """The tool that makes the pages refuses words that it does not know."""
    assert build.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err
