"""The whole page: offline, well formed, escaped, the same each time, for every kind of run."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import mkdtemp

import pytest
from report_runs import Plot, write_run

from ftbt.errors import StorageError
from ftbt.report.render import render, write_report
from ftbt.report.sections import SECTIONS

VOID = {"meta", "br", "hr", "img", "input", "link", "col", "wbr"}
EVIL = "<script>alert(1)</script>\"'&<b>"

PLOTS = {
    "plain": Plot(windows=3),
    "real data": Plot(
        synthetic=False, funding=False, symbols=("BTC", "ETH", "SOL"), windows=4, failed=(1, 2)
    ),
    "all failed": Plot(failed=(0, 1), windows=2),
    "no trades": Plot(trades=0, windows=2),
    "one trade": Plot(windows=1, trades=1),
    "ruin": Plot(risk=0.9, drift=-0.9, windows=2),
    "portfolio": Plot(
        windows=3,
        strategies=("liquidity_sweep", "fvg_fill"),
        symbols=("BTC", "ETH", "SOL"),
        weights=((0.62, 0.38), (1.0, 0.0), (0.7, 0.3)),
        refused={"total exposure": 21, "one position per symbol": 40, "confidence too low": 95},
    ),
    "idle portfolio": Plot(
        windows=2, failed=(1,), trades=0, funding=False, strategies=("a", "b"), stops=False
    ),
    "evil words": Plot(title=EVIL, reason=EVIL, failed=(1,), windows=2, notes=(EVIL,), stops=False),
}


@cache
def page(name: str) -> str:
    """Return the page of one of PLOTS, rendered once."""
    folder = Path(mkdtemp()) / "run-1"
    try:
        return render(write_run(folder, PLOTS[name]))
    finally:
        shutil.rmtree(folder)


class Reader(HTMLParser):
    """Collects what a browser would see, and every tag that is left open or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inside: dict[str, int] = {}
        self.words: list[str] = []
        self.policy = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.inside[tag] = self.inside.get(tag, 0) + 1
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.links.append(str(values["href"]))
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(values["content"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not set(self.open) & {"script", "style"}:
            self.words.append(data)


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_is_well_formed(name: str) -> None:
    """Every tag is closed in order, no id occurs twice, every link of the page leads somewhere."""
    found = Reader(page(name))

    assert found.wrong == []
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_needs_no_network(name: str) -> None:
    """Nothing is fetched: no address, no source, no import, and a policy that forbids it."""
    text = page(name)

    assert not re.search(r"https?:|//[a-z]+\.", text.replace(EVIL, ""), re.IGNORECASE)
    assert not re.search(r"<(?:link|img|iframe|object|embed|base)\b|@import|@font-face", text)
    for target in re.findall(r"(?:href|src)=\"([^\"]*)\"|url\(([^)]*)\)", text):
        assert "".join(target).startswith("#")
    policy = Reader(text).policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_the_policy_allows_exactly_the_script_of_the_page() -> None:
    """The hash in the policy is that of the one inline script, byte for byte."""
    text = page("plain")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()

    assert len(scripts) == 1
    assert len(scripts[0]) < 20_000
    assert f"script-src 'sha256-{digest}'" in Reader(text).policy
    assert not re.search(r"\son\w+=", text), "no inline handler, which the policy would block"


@pytest.mark.parametrize("name", PLOTS)
def test_every_figure_has_its_table_and_its_making(name: str) -> None:
    """Each figure is drawn for both layouts and carries values and how they were computed."""
    for figure in re.findall(r"<figure.*?</figure>", page(name), re.DOTALL):
        assert figure.count("<svg ") == 2
        assert figure.count("<table>") == 1
        assert figure.count("Values as a table") == 1
        assert figure.count("How computed") == 1


@pytest.mark.parametrize("name", PLOTS)
def test_every_section_is_there_and_no_value_is_a_python_one(name: str) -> None:
    """All sections are built from every kind of run; nothing reads nan, None or np.float64."""
    found = Reader(page(name))
    text = " ".join(found.words)

    missing = [section.anchor for section in SECTIONS if section.anchor not in found.ids]
    plot = PLOTS[name]
    alone = len(plot.strategies) == len(plot.symbols) == 1
    assert missing == (["portfolio"] if alone else [])
    assert not re.search(r"\bnan\b|\bNone\b|np\.|Timestamp|inf\b", text)


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_promises_nothing(name: str) -> None:
    """It is never called safe or guaranteed."""
    text = " ".join(Reader(page(name)).words)
    assert not re.search(r"\bsafe\b|guarante|risk-free profit|proven", text, re.IGNORECASE)


def test_words_of_a_user_stay_words() -> None:
    """A title, an error or a note with HTML in it is shown, not executed."""
    text = page("evil words")

    assert "<script>alert" not in text
    assert EVIL in "".join(Reader(text).words)
    assert Reader(text).inside["script"] == 1
    assert "b" not in Reader(text).inside


def test_a_synthetic_market_is_named_first() -> None:
    """The banner stands before the first section, and only when the market is made up."""
    text = page("plain")
    assert 0 < text.index("Synthetic market") < text.index(f'id="{SECTIONS[0].anchor}"')
    assert "ynthetic market" not in page("real data")


def test_funding_that_is_not_modelled_is_said() -> None:
    """The words stand at the top of the page and beside the costs."""
    assert page("real data").count("funding: not modelled") >= 3
    assert "funding: not modelled" not in page("plain")


def test_what_is_not_available_has_a_reason() -> None:
    """Without trades each n/a of the key figures points to a note that says why."""
    text = page("no trades")
    figures = text[text.index('<section id="figures"') :]
    figures = figures[: figures.index("</section>")]

    assert re.search(r"n/a<sup class=\"mark\">1</sup>", figures)
    assert "no trade was made" in figures
    assert not re.search(r"n/a</t[dh]>", figures)


def test_failed_windows_are_shown_with_their_reason() -> None:
    """Reason and place stand above the table of windows."""
    text = page("real data")
    assert "2 windows failed and are not in the result" in text
    assert "Window 1: only 12 of 2,880 test bars can be traded (liquidity_sweep.py:41)." in text


def test_thousands_of_trades_keep_the_page_small(tmp_path: Path) -> None:
    """24 windows and 4,800 trades stay far below 3 MB, with the first and last listed."""
    path = write_report(write_run(tmp_path / "run", Plot(windows=24, trades=200)))
    text = path.read_text(encoding="utf-8")

    assert path.stat().st_size < 1_500_000
    assert "First 25 trades" in text
    assert "Last 25 trades" in text
    assert "4,800" in text


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    """Another process with another hash seed renders the very same page, at another place too."""
    first = write_run(tmp_path / "run-1", Plot(windows=2, failed=(1,)))
    second = shutil.copytree(first, tmp_path / "elsewhere" / "run-1")
    here = write_report(first).read_bytes()
    code = f"from ftbt.report.render import write_report as w; w({str(second)!r})"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "99"}
    )

    assert (second / "report.html").read_bytes() == here


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    """The error says what to do, and no half page is left."""
    folder = write_run(tmp_path / "run", Plot(windows=1))
    (folder / "summary.json").unlink()

    with pytest.raises(StorageError, match="unfinished run"):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_damaged_examples_are_refused(tmp_path: Path) -> None:
    """A broken examples.json is one clear line that names the file."""
    folder = write_run(tmp_path / "run", Plot(windows=1))
    (folder / "examples.json").write_text('{"format": 1, "examples": [{}]}')

    with pytest.raises(StorageError, match=r"examples\.json cannot be read"):
        render(folder)


def test_a_new_section_is_one_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Adding to the list is enough: heading, number, contents and link follow."""
    from ftbt.report import render as module
    from ftbt.report.blocks import Prose, Section

    extra = Section("regimes", "Regimes", lambda _: [Prose(["By trend and volatility."])])
    monkeypatch.setattr(module, "SECTIONS", (*SECTIONS[:2], extra, *SECTIONS[2:]))
    text = render(write_run(tmp_path / "run", Plot(windows=1)))

    assert '<span class="index">3</span>Regimes</h2>' in text
    assert '<a href="#regimes"><span class="index">3</span>Regimes</a>' in text
    assert "By trend and volatility." in text


def test_the_command_prints_the_path_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ftbt report` renders from the folder alone and prints where the page is."""
    from ftbt.cli.main import run

    folder = write_run(tmp_path / "liquidity_sweep-BTC-15m-00000000", Plot(windows=1))

    assert run(["report", "liquidity", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_parameters_are_shown_without_opening_a_fold() -> None:
    """Each window's chosen parameters stand open in a table of their own."""
    text = page("plain")
    windows = text[text.index('id="windows"') : text.index('id="trades"')]
    unfolded = re.sub(r"<details.*?</details>", "", windows, flags=re.DOTALL)

    assert "Chosen parameters" in unfolded
    for name in ("swing", "stop_atr", "bias", "break_even"):
        assert f">{name}</th>" in unfolded
