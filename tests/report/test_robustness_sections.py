"""The sections of an assessment: every number, every figure with its making, nothing promised."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from html import unescape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import assessments as made
import matplotlib as mpl
import numpy as np
import pytest
from assessment_sections import fan, stress
from report_runs import Plot, write_run

from ftbt.data.timeframe import DAY_MS, MINUTE_MS
from ftbt.report import page as page_module
from ftbt.report import render as render_module
from ftbt.report.assessed import NOT_ASSESSED, days_and_years, figures, p_value, sentence
from ftbt.report.blocks import Figure, Fold, Notice
from ftbt.report.figures import counted, relations, rows
from ftbt.report.format import day, money, number, percent, probability, whole
from ftbt.report.live import frames
from ftbt.report.render import page_of, render
from ftbt.report.sections import SECTIONS, equity
from ftbt.report.source import Source
from ftbt.report.svg import styled, to_svg
from ftbt.report.theme import LAYOUTS, NARROW, WIDE
from ftbt.robustness.assessment import Assessment, FanData, Histogram
from ftbt.robustness.assessment_files import write_assessment
from ftbt.walkforward.store import load_run

EVIL = "<script>alert(1)</script>\"'&<b>"
EMPTY = Histogram((), ())
NAN = math.nan
OUTLINE = (
    "verdict", "scorecard", "equity", "selection", "overfitting", "windows", "snooping",
    "parameters", "path-risk", "stress", "regimes", "trades", "limits", "figures", "reproduce",
    "glossary",
)  # fmt: skip
JUDGING = (
    "scorecard", "selection", "overfitting", "snooping", "parameters", "path-risk", "stress",
    "regimes",
)  # fmt: skip
BY_ANCHOR = {section.anchor: section for section in SECTIONS}

# Where a field of the assessment is told, and what of it is not a number to be read.
TOLD_IN = {
    "gates": "scorecard",
    "record": "equity",
    "selection": "selection",
    "overfitting": "overfitting",
    "walk_forward": "windows",
    "snooping": "snooping",
    "parameters": "parameters",
    "path_risk": "path-risk",
    "stress": "stress",
    "regimes": "regimes",
    "trades": "trades",
    "audit": "limits",
}
DRAWN = {
    # Said in words by the assessment itself.
    ("Gate", "value"), ("Gate", "limit"), ("Gate", "damage"), ("Gate", "low"), ("Gate", "high"),
    # Points and curves of drawings; their tables show some of them.
    ("TradeDot", "mae"), ("TradeDot", "mfe"), ("TradeDot", "result"),
    # In the label of the row.
    ("StressRow", "level"),
}  # fmt: skip


@cache
def run_source(trades: int = 15) -> Source:
    """Return a small run, read into memory once."""
    folder = Path(mkdtemp()) / "run-1"
    try:
        source = Source(load_run(write_run(folder, Plot(windows=2, trades=trades))))
        assert source.trades is not None
        return source
    finally:
        shutil.rmtree(folder)


def source_of(found: Assessment | None, trades: int = 15) -> Source:
    """Return the small run with an assessment."""
    return replace(run_source(trades), assessment=found)


@cache
def complete() -> str:
    """Return the page of a complete assessment, drawn once in both layouts."""
    return page_of(source_of(made.assessment()))


@pytest.fixture
def narrow_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each figure once: enough where the text of the page is looked at."""
    monkeypatch.setattr(page_module, "LAYOUTS", (NARROW,))


def words(html: str) -> str:
    """Return what a reader sees of *html*, spaces evened out."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]+>", " ", text))
    return re.sub(r"\s+", " ", text.replace("\N{NO-BREAK SPACE}", " "))


def section(text: str, anchor: str) -> str:
    """Return the HTML of one section."""
    start = text.index(f'<section id="{anchor}"')
    return text[start : text.index("</section>", start)]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str, str, float]]:
    """Yield path, class, field and value of every single number inside a dataclass."""
    for item in fields(value):
        inner, where = getattr(value, item.name), f"{path}.{item.name}"
        for number_, one in enumerate(inner if isinstance(inner, tuple) else (inner,)):
            place = f"{where}[{number_}]" if isinstance(inner, tuple) else where
            if is_dataclass(one) and not isinstance(one, Histogram | FanData):
                yield from leaves(one, place)
            elif isinstance(inner, int | float) and not isinstance(inner, bool):
                yield place, type(value).__name__, item.name, float(inner)


def forms(value: float) -> set[str]:
    """Return the ways in which the report may write a number."""
    found = {figures(value), p_value(value), probability(value), money(value), whole(value)}
    found |= {figures(value * 10_000), days_and_years(value), money(value, sign=True)}
    found |= {day(int(value)), day(int(value) - 1)} if value > 1e12 else set()
    for decimals in range(5):
        found |= {number(value, decimals, sign=sign) for sign in (False, True)}
        found |= {percent(value, decimals, sign=sign) for sign in (False, True)}
    found.add(number(value, 1).removesuffix(".0"))
    return {text.replace("\N{NO-BREAK SPACE}", " ") for text in found}


@pytest.mark.parametrize("name", TOLD_IN)
def test_every_number_of_the_assessment_is_told(name: str) -> None:
    """Each single number of robustness.json stands in the section that claims it."""
    text = words(section(complete(), TOLD_IN[name]))
    value = getattr(made.assessment(), name)
    found = [
        leaf for one in (value if isinstance(value, tuple) else (value,)) for leaf in leaves(one)
    ]
    checked = [leaf for leaf in found if (leaf[1], leaf[2]) not in DRAWN and leaf[3] == leaf[3]]

    def told(value: float) -> bool:
        return any(
            re.search(rf"(?<![\d.,]){re.escape(form)}(?![\d]|[.,]\d)", text)
            for form in forms(value)
        )

    assert name == "gates" or checked
    assert [(where, value) for where, _, _, value in checked if not told(value)] == []


def test_the_record_itself_is_no_trial() -> None:
    """Of the looks of the curve one is the record: the others are the trials ever made."""
    selection = made.assessment().selection
    assert selection is not None
    last = selection.curve[-1].trials

    text = words(section(complete(), "selection"))

    told = f"had all {number(last - 1.0, 0)} trials ever made been independent looks beside it"
    assert told.replace("\N{NO-BREAK SPACE}", " ") in text


def test_a_drawdown_by_days_is_told_from_one_by_bars() -> None:
    """The real drawdown beside the paths is measured as they are, and the page says so."""
    text = words(section(complete(), "path-risk"))

    assert "the real one, measured alike (by days or trades, not by bars), fell" in text
    assert "bar by bar the real one fell at least as deep" in text


def test_the_sections_of_the_outline_are_in_order() -> None:
    """Verdict first, glossary last; the same sections whatever could be computed."""
    text = complete()
    places = [text.index(f'<section id="{anchor}"') for anchor in OUTLINE]

    assert places == sorted(places)
    assert re.findall(r'<section id="([^"]+)"', text) == [
        one.anchor for one in SECTIONS if f'id="{one.anchor}"' in text
    ]


def test_every_figure_has_its_table_and_its_making() -> None:
    """Each figure is drawn for both layouts and carries values and how they were computed."""
    found = re.findall(r"<figure.*?</figure>", complete(), re.DOTALL)

    assert len(found) > 20
    for figure in found:
        assert figure.count('<svg class="chart') + figure.count("<svg data-frames") == 2
        assert figure.count("<table") == 1
        assert "<tbody>\n<tr><td" not in figure, "an empty table"
        for fold in ("Values as a table", "How computed", "<dt>Formula", "<dt>Inputs"):
            assert figure.count(fold) == 1
        assert figure.count("<dt>Source") == 1


def test_the_page_needs_no_network_and_stays_small() -> None:
    """Nothing is fetched, nothing but the one hashed script runs, all in less than 3 MB."""
    text = complete()

    assert len(text.encode()) < 3_000_000
    assert not re.search(r"https?:|//[a-z]+\.|<(?:link|img|iframe|object|embed|base)\b", text)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in unescape(text)
    assert len(re.findall(r"<script\b", text)) == 1
    assert len(re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0]) < 20_000


def test_nothing_is_promised() -> None:
    """The words of a promise stand nowhere on the page, whatever the verdict."""
    pages = [complete()]
    for build in (made.failing, made.inconclusive, made.not_judged, made.nothing):
        source = source_of(build())
        pages += [repr(one.build(source)) for one in (BY_ANCHOR["verdict"], BY_ANCHOR["scorecard"])]
    for text in pages:
        assert not re.search(
            r"\bsafe\b|guarante|risk-free(?! rate)|proven|robust strateg", text, re.I
        )


def test_no_value_is_a_python_one() -> None:
    """A reader never sees nan, None or np.float64."""
    assert not re.search(r"\bnan\b|\bNone\b|np\.|float64|\binf\b", words(complete()))


@pytest.mark.usefixtures("narrow_only")
def test_an_assessment_of_nothing_says_why_in_one_line_each() -> None:
    """Sections that could not be made are one line with the reason; the page is whole."""
    found = made.nothing()
    text = page_of(source_of(found, trades=0))
    reasons = {
        "overfitting": "no search had two trials that traded",
        "path-risk": "it never traded out of sample",
        "stress": "nothing was run again",
        "parameters": "No parameter was searched",
        "regimes": "There is no trade to sort",
    }

    for anchor, reason in reasons.items():
        blocks = BY_ANCHOR[anchor].build(source_of(found, trades=0))
        assert [type(block) for block in blocks] == [Notice]
        assert reason in words(section(text, anchor))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", words(text))
    assert [one.anchor for one in SECTIONS if f'id="{one.anchor}"' not in text] == ["portfolio"]


def test_a_run_without_an_assessment_is_whole() -> None:
    """Every section that judges is one line; the others are as they were."""
    source = source_of(None)

    for anchor in JUDGING:
        (block,) = BY_ANCHOR[anchor].build(source)
        assert isinstance(block, Notice)
        assert block.text == NOT_ASSESSED
    for anchor in ("verdict", "equity", "windows", "trades", "limits"):
        assert len(BY_ANCHOR[anchor].build(source)) > 0


@pytest.mark.usefixtures("narrow_only")
def test_words_of_a_user_stay_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strategy, parameter and symbol names with HTML in them are shown, not executed."""
    shown = ("verdict", "scorecard", "snooping", "parameters", "regimes", "limits")
    monkeypatch.setattr(render_module, "SECTIONS", tuple(BY_ANCHOR[one] for one in shown))
    text = page_of(source_of(made.hostile(EVIL)))

    assert "<script>alert" not in text
    assert "alert(1)</script>" not in text
    assert len(re.findall(r"<script\b", text)) == 1
    assert "<b>" not in text
    for anchor in shown:
        assert EVIL in unescape(section(text, anchor))


@pytest.mark.usefixtures("narrow_only")
def test_the_stored_assessment_gives_the_same_bytes_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """robustness.json holds all of it: read back elsewhere, the page is the very same."""
    # The sections that judge, and those that tell what lies in the folder.
    shown = ("verdict", "scorecard", "snooping", "stress", "limits", "reproduce")
    monkeypatch.setattr(render_module, "SECTIONS", tuple(BY_ANCHOR[one] for one in shown))
    found = made.failing()
    folder = write_run(tmp_path / "run-1", Plot(windows=1, trades=4))
    write_assessment(folder, found)
    here = page_of(Source(load_run(folder), None, found))
    code = (
        "import sys; from pathlib import Path; from ftbt.report import page, render, theme;"
        " page.LAYOUTS = (theme.NARROW,);"
        f" own = {shown!r};"
        " by = {one.anchor: one for one in render.SECTIONS};"
        " render.SECTIONS = tuple(by[one] for one in own);"
        f" Path('there.html').write_text(render.render(Path({str(folder)!r})), encoding='utf-8')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)

    assert (tmp_path / "there.html").read_text(encoding="utf-8") == here


def test_a_damaged_assessment_is_refused(tmp_path: Path) -> None:
    """A broken robustness.json is one clear line that names the file, not half a page."""
    from ftbt.errors import StorageError

    folder = write_run(tmp_path / "run", Plot(windows=1, trades=1))
    (folder / "robustness.json").write_text('{"format": 1}')

    with pytest.raises(StorageError, match=r"robustness\.json"):
        render(folder)


def test_several_strategies_get_figures_of_their_own() -> None:
    """Three searched strategies: each has its landscape, and no id occurs twice."""
    source = source_of(made.many())
    found = [block for one in SECTIONS for block in one.build(source) if isinstance(block, Figure)]
    anchors = [figure.anchor for figure in found]

    assert len(anchors) == len(set(anchors))
    assert sum(anchor.startswith("landscape-") for anchor in anchors) == 3
    assert {"components", "window-profit", "cpcv-fan"} <= set(anchors)
    folded = [block for one in SECTIONS for block in one.build(source) if isinstance(block, Fold)]
    assert any("more searches in robustness.json" in repr(fold) for fold in folded)


def test_losses_without_costs_have_no_break_even() -> None:
    """A record that loses without costs does not bear a multiple of them."""
    item = replace(stress(), break_even=0.0)
    blocks = BY_ANCHOR["stress"].build(source_of(made.assessment(stress=item)))

    assert "it loses even without costs" in repr(blocks[0])


# --- drawings ------------------------------------------------------------------------------------

BINS = Histogram((0.0, 1.0, 2.0), (3, 1))
FAN = fan()
DRAWINGS = {
    "empty histogram": lambda layout: counted.counted(layout, EMPTY, "x", "n"),
    "one bin": lambda layout: counted.counted(
        layout, Histogram((1.0, 1.0 + 1e-9), (5,)), "x", "n", [counted.Named("a", 1.0)]
    ),
    "near names": lambda layout: counted.counted(
        layout,
        BINS,
        "x",
        "n",
        [counted.Named("one", 1.0), counted.Named("two", 1.01, "own")],
        chosen=[5.0],
    ),
    "unknown names": lambda layout: counted.counted(
        layout, BINS, "x", "n", [counted.Named("none", NAN)]
    ),
    "no panels": lambda layout: counted.panels(layout, [], "x"),
    "panels": lambda layout: counted.panels(layout, [("a", BINS, []), ("b", EMPTY, [])], "x"),
    "no rows": lambda layout: rows.bars(layout, [], "x", number),
    "unknown rows": lambda layout: rows.intervals(
        layout, [rows.Row("a" * 200, NAN, text="n/a"), rows.Row("", 1.0, 0.5, 2.0)], "x", number
    ),
    "equal rows": lambda layout: rows.bars(
        layout, [rows.Row("a", 0.0), rows.Row("b", 0.0)], "x", number, bound=("wanted", 0.6)
    ),
    "no months": lambda layout: rows.columns(layout, [], [], "x", number),
    "no cells": lambda layout: rows.heat(layout, rows.Grid("x", "y", [], [], []), number),
    "blank cells": lambda layout: rows.heat(
        layout, rows.Grid("x", "y" * 60, ["1", "2"], ["a" * 40], [[NAN, NAN]], (1, 0)), number
    ),
    "no looks": lambda layout: relations.over_count(layout, [], [], "x", "y", [], ("b", 0.9)),
    "one look": lambda layout: relations.over_count(
        layout, [1.0], [0.5], "x", "y", [relations.Point("low to high", 1.0, 0.5)], ("b", 0.95)
    ),
    "no fan": lambda layout: relations.fan(layout, FanData((), (), ()), "days", "real"),
    "fan": lambda layout: relations.fan(layout, FAN, "days", "real"),
    "no points": lambda layout: relations.scatter(
        layout, [], relations.Line(NAN, NAN, ""), ("a", "b")
    ),
    "one point": lambda layout: relations.scatter(
        layout, [(1.0, 1.0)], relations.Line(NAN, NAN, ""), ("a", "b")
    ),
    "no shares": lambda layout: relations.shares(layout, [], [], [], ("a", "b"), "x"),
    "no costs": lambda layout: relations.over_multiple(layout, [], [], "x", "y", []),
    "marks outside": lambda layout: relations.over_multiple(
        layout, [1.0, 2.0], [0.1, 0.0], "x", "y", [("far", 99.0), ("none", NAN)]
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_bear_what_is_missing_and_follow_the_page(name: str) -> None:
    """Empty, single and unknown values are drawn; every colour is a variable of the page."""
    with mpl.rc_context(styled(NARROW)):
        drawn = DRAWINGS[name](NARROW)
    text = to_svg(drawn, "x", NARROW, name)

    assert text.endswith("</svg>")
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", text)
    assert "nan" not in text.lower().replace("nanmax", "")


# --- hover and zoom ------------------------------------------------------------------------------


def chart_of(text: str, anchor: str) -> Any:
    """Return the chart in the attribute of a figure."""
    found = re.search(rf"<figure id=\"{anchor}\" data-chart='([^']*)'", text)
    assert found is not None
    return json.loads(unescape(found[1]))


def test_the_equity_chart_carries_the_run() -> None:
    """What the script reads out are the run's own values: first, last, and the worst drawdown."""
    source = run_source()
    chart = chart_of(complete(), "equity-curve")
    above, below = chart["panels"]
    out = next(line for line in above["lines"] if line["role"] == "out")
    deep = next(line for line in below["lines"] if line["role"] == "out")

    assert (above["unit"], below["unit"]) == ("money", "percent")
    assert int(np.cumsum(out["t"])[-1]) * MINUTE_MS == int(source.equity.time[-1])
    assert out["v"][-1] == pytest.approx(source.equity.value[-1], rel=1e-4)
    assert min(deep["v"]) == pytest.approx(source.out("max_drawdown"), abs=1e-5)
    before = next(line for line in above["lines"] if line["role"] == "before")
    assert before["v"][-1] - out["v"][-1] == pytest.approx(source.costs["total"], abs=1.1)


def test_only_equity_and_price_charts_can_be_zoomed() -> None:
    """The script has nothing to do on any other figure."""
    assert re.findall(r'<figure id="([^"]+)" data-chart', complete()) == ["equity-curve"]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_frames_say_where_the_panels_lie(layout: Any) -> None:
    """Panels lie inside of the drawing, below each other, on the same span of time."""
    source = run_source()
    (figure,) = [block for block in equity.build(source) if isinstance(block, Figure)]
    with mpl.rc_context(styled(layout)):
        drawn = figure.draw(layout)
    to_svg(drawn, "x", layout, "t")
    above, below = frames(drawn)

    for left, right, top, bottom, *_ in (above, below):
        assert 0 <= left < right <= layout.width + 0.1
        assert 0 <= top < bottom
    assert above[3] <= below[2]
    assert above[4:6] == below[4:6]
    assert above[4] <= source.equity.time[0] < source.equity.time[-1] <= above[5] + DAY_MS
    assert below[7] == 0.0


# --- small parts ---------------------------------------------------------------------------------


def test_sentences_are_whole_and_minus_signs_true() -> None:
    """A half sentence gets its capital and full stop; ranges and words keep their hyphens."""
    assert sentence("the ratio is -0.16") == "The ratio is \N{MINUS SIGN}0.16."
    assert sentence("a walk-forward of 0.6-0.7!") == "A walk-forward of 0.6-0.7!"
    assert sentence("") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (4321.5, "4,321.50"), (0.0617, "0.0617"), (-0.000123, "\N{MINUS SIGN}0.000123"),
     (NAN, "n/a")],
)  # fmt: skip
def test_figures_keep_three_digits(value: float, text: str) -> None:
    """Values of any size are written with three significant figures or two decimals."""
    assert figures(value) == text


def test_p_values_are_never_zero() -> None:
    """No sample shows a p-value of 0."""
    assert [p_value(value) for value in (0.0, 0.00099, 0.031, 1.0, NAN)] == [
        "< 0.001", "< 0.001", "0.031", "1.000", "n/a",
    ]  # fmt: skip


def test_wide_drawings_exist_for_print() -> None:
    """Paper takes the wide drawing of every figure."""
    assert WIDE in LAYOUTS
    assert complete().count('class="chart wide"') == complete().count('class="chart narrow"')
