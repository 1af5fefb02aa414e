"""The first screen: one verdict, why, the most damaging number, what would change it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import mkdtemp

import assessments as made
import pytest
from report_runs import Plot, write_run

from ftbt.report import render
from ftbt.report.render import page_of
from ftbt.report.sections import SECTIONS, scorecard, verdict
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment
from ftbt.walkforward.store import load_run

KINDS: dict[str, Callable[[], Assessment | None]] = {
    "PASS": made.assessment,
    "FAIL": made.failing,
    "INCONCLUSIVE": made.inconclusive,
    "NOT JUDGED": made.not_judged,
    "nothing known": made.nothing,
    "not assessed": lambda: None,
}
STATES = ("NOT JUDGED", "FAIL", "INCONCLUSIVE", "PASS")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@cache
def run_source(trades: int = 15) -> Source:
    """Return a small run, loaded into memory once."""
    folder = Path(mkdtemp()) / "run-1"
    try:
        source = Source(load_run(write_run(folder, Plot(windows=3, trades=trades))))
        assert source.trades is not None
        return source
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def two_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only verdict and scorecard: they have no drawing, so the page is made at once."""
    monkeypatch.setattr(render, "SECTIONS", (verdict.SECTION, scorecard.SECTION))


def page(kind: str) -> str:
    """Return the page of one of KINDS."""
    found = KINDS[kind]()
    return page_of(replace(run_source(0 if kind == "nothing known" else 15), assessment=found))


def words(html: str) -> str:
    """Return what a reader sees of *html*, spaces evened out."""
    text = unescape(re.sub(r"<[^>]+>", " ", html))
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " "))


def card(text: str) -> str:
    """Return the verdict's card of a page."""
    start = text.index('<div class="ruling')
    return text[start : text.index("</div>\n<dl", start)]


@pytest.mark.usefixtures("two_sections")
@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_comes_first_and_says_all_four_things(kind: str) -> None:
    """Verdict, reason, most damaging number, what would change it: before anything else."""
    text = page(kind)
    shown = words(card(text))
    found = KINDS[kind]()
    state = "NOT JUDGED" if found is None else found.verdict.state

    assert SECTIONS[0] is verdict.SECTION
    assert text.index('<div class="ruling') < text.index('<dl class="tiles')
    assert text.index('<dl class="tiles') < text.index('id="scorecard"')
    places = [shown.index(part) for part in (state, verdict.WORST, verdict.CHANGE)]
    assert places == sorted(places)
    for point in re.findall(r"<div><dt>.*?</div>", text, re.DOTALL)[:2]:
        said = re.findall(r"<dd[^>]*>(.*?)</dd>", point, re.DOTALL)
        assert len(said) in (1, 2)
        assert all(part.strip() for part in said)
    assert re.search(r'<p class="why">[^<]{15,}\.</p>', text)


@pytest.mark.usefixtures("two_sections")
@pytest.mark.parametrize("kind", KINDS)
def test_there_is_only_one_verdict(kind: str) -> None:
    """No second judgement stands beside it, whatever the evidence in the summary says."""
    text = page(kind)
    found = KINDS[kind]()
    state = "NOT JUDGED" if found is None else found.verdict.state

    assert re.findall(r'<p class="state">([^<]*)</p>', text) == [state]
    assert not re.search(r"(no|some|weak) evidence of an edge", words(text), re.IGNORECASE)
    others = [word for word in STATES if word != state and word not in ("PASS", "FAIL")]
    assert not [word for word in others if word in words(card(text))]


@pytest.mark.usefixtures("two_sections")
@pytest.mark.parametrize("kind", ["FAIL", "INCONCLUSIVE", "NOT JUDGED"])
def test_the_most_damaging_number_is_that_of_the_worst_gate(kind: str) -> None:
    """The number that the verdict names stands in large type, with what is needed beside it."""
    found = KINDS[kind]()
    assert found is not None
    gate = next(one for one in found.gates if one.id == found.verdict.worst_gate)
    text = page(kind)

    assert f'<dd class="number">{gate.shown.partition(" (")[0]}</dd>' in text
    assert f"{gate.name}. Needed: {gate.threshold}." in words(card(text))
    assert found.verdict.sentence.rstrip(".") in words(card(text))


@pytest.mark.usefixtures("two_sections")
def test_a_pass_names_its_weakest_number_too() -> None:
    """Without a damaged gate, the low end of the Sharpe ratio's interval is shown."""
    shown = words(card(page("PASS")))

    assert "0.21" in shown
    assert "may be as low as that" in shown


@pytest.mark.usefixtures("two_sections")
def test_a_run_where_nothing_could_be_measured_names_the_runs_own_number() -> None:
    """No gate has a number then, so the number comes from the run: it never traded."""
    assert "0 trades" in words(card(page("nothing known")))


@pytest.mark.usefixtures("two_sections")
def test_months_that_would_change_it_are_in_large_type() -> None:
    """Seven more months are said as a number; a change that time can't bring has none."""
    assert "about 7 more months" in words(card(page("INCONCLUSIVE")))
    assert "more month" not in words(card(page("PASS")))


@pytest.mark.usefixtures("two_sections")
def test_a_run_that_was_not_assessed_says_so() -> None:
    """No verdict is made up: NOT JUDGED, not assessed yet, and the scorecard is one line."""
    text = page("not assessed")

    assert "NOT JUDGED Not assessed yet" in words(card(text))
    assert "this run has no robustness.json" in words(text[text.index('id="scorecard"') :])


@pytest.mark.usefixtures("two_sections")
@pytest.mark.parametrize("kind", ["PASS", "FAIL", "INCONCLUSIVE", "NOT JUDGED"])
def test_every_gate_has_its_line_in_the_scorecard(kind: str) -> None:
    """Name, value, threshold, source, outcome and weight of each gate; hard gates come first."""
    found = KINDS[kind]()
    assert found is not None
    text = page(kind)
    body = text[text.index("<caption>Scorecard") :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr><th.*?</tr>", body, re.DOTALL)
    assert len(rows) == len(found.gates)

    for gate in found.gates:
        row = next(words(one) for one in rows if f"{gate.id} ·" in words(one))
        for part in (gate.name, gate.threshold, gate.source, gate.outcome.upper()):
            assert part in row
        assert gate.shown.replace(" -", " \N{MINUS SIGN}") in row
        assert scorecard.WEIGHTS[gate.weight] in row
        assert gate.reason[1:] in row
    shown = [next(one.weight for one in found.gates if f"{one.id} ·" in words(row)) for row in rows]
    assert shown == sorted(shown, key=("hard", "soft", "information").index)


@pytest.mark.usefixtures("two_sections")
def test_tightened_thresholds_are_marked() -> None:
    """All thresholds stand in a table with their sources; tightened ones are named."""
    found = replace(made.assessment(), tightened=("psr",))
    text = words(page_of(replace(run_source(), assessment=found)))

    for name, _, source in found.thresholds:
        assert name.replace("_", " ") in text
        assert source in text
    assert "Thresholds: tightened were psr." in text


def test_outcomes_are_words_not_only_colours() -> None:
    """Every outcome and every state has its own word; the colours differ in name as well."""
    assert len(set(scorecard.TONES)) == len(scorecard.TONES) == 4
    assert set(verdict.TONES) == set(STATES)


@pytest.fixture
def browser() -> Iterator[Callable[[str, int, int], str]]:
    """Return the page's DOM after its scripts ran in a window of a size."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium to lay the page out")
    folder = Path(mkdtemp())

    def look(text: str, width: int, height: int) -> str:
        (folder / "page.html").write_text(text, encoding="utf-8")
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}",
            "--dump-dom", f"file://{folder / 'page.html'}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    yield look
    shutil.rmtree(folder, ignore_errors=True)


MEASURE = """<script>
const card = document.querySelector(".ruling").getBoundingClientRect();
document.title = [
  innerWidth, innerHeight, card.bottom, document.documentElement.scrollWidth,
].join();
</script></body>"""


@pytest.mark.slow
@pytest.mark.usefixtures("two_sections")
@pytest.mark.parametrize("kind", ["FAIL", "not assessed"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (800, 900), (1400, 900)])
def test_the_verdict_fits_on_the_first_screen(
    browser: Callable[[str, int, int], str], kind: str, width: int, height: int
) -> None:
    """The whole card is seen without scrolling, and nothing makes the page scroll sideways."""
    text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page(kind))
    dom = browser(text.replace("</body>", MEASURE), width, height)
    found = re.search(r"<title>([\d.,]+)</title>", dom)
    assert found is not None
    wide, high, bottom, scrolled = map(float, found[1].split(","))

    assert bottom <= high
    assert scrolled <= wide
