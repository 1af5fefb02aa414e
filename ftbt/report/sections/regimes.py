"""Regimes: in which kinds of market the trades made and lost money."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import Write, cell, how, interval, missing, quantity, sentence, toned
from ftbt.report.blocks import Block, Cell, Figure, Prose, Section, Table
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.rows import Row
from ftbt.report.format import known, money, number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import RegimeLine, RegimeTable

LEAST = 30  # trades below which a regime says little; drawn hollow and grey


def build(source: Source) -> Sequence[Block]:
    """Return one figure per kind of regime."""
    found = source.assessment
    if found is None or not found.regimes.tables:
        return missing(source, "regime", default="There is no trade to sort.")
    made: list[Block] = [
        _figure(number_, table) for number_, table in enumerate(found.regimes.tables, start=1)
    ]
    left_out = [limit for limit in found.limits if "regime" in limit.what.lower()]
    return [*made, *(Prose([sentence(f"{one.what}: {one.why}")]) for one in left_out)]


def _write(unit: str) -> Write:
    """Return how a mean in *unit* is written."""
    if unit.startswith("%"):
        return lambda value: f"{number(value, 2, sign=True)} %"
    return lambda value: f"{number(value, 2, sign=True)} {unit}"


def _figure(number_: int, table: RegimeTable) -> Figure:
    write = _write(table.unit)
    rows = [
        Row(line.word, line.mean, line.low, line.high, _beside(line), faint=not line.enough)
        for line in table.rows
    ]
    when = (
        "The regime was known as the day began."
        if table.causal
        else "The regimes are cut in hindsight: right for what happened, not for trading."
    )
    few = sum(not line.enough for line in table.rows)
    thin = f" Hollow and grey: fewer than {LEAST} trades, which say little." if few else ""
    name = table.name[:1].upper() + table.name[1:]
    return Figure(
        anchor=f"regime-{number_}",
        title=f"By {table.name}",
        description=f"{_split(table)} {when}{thin}",
        draw=lambda layout: drawings.intervals(
            layout, rows, f"Mean result per trade, {table.unit}", lambda value: number(value, 2)
        ),
        table=Table(
            f"{name}: trades by where they were entered",
            quantity(
                ["Regime", "Trades", "Net profit", "Win rate", "Mean result", "95 % interval"]
            ),
            [_row(line, write) for line in table.rows],
        ),
        how=how(
            f"Mean result of the trades entered in each regime, in {table.unit}, with the 95 %"
            " interval of the mean (Student's t, trades taken as independent).",
            "Out-of-sample trades after costs; regimes from candles and funding alone, never from"
            " the strategy.",
            "Plain arithmetic; terciles of what was measured.",
        ),
    )


def _split(table: RegimeTable) -> str:
    judged = [line for line in table.rows if line.enough and known(line.mean)]
    if not judged:
        return "No regime had enough trades to be judged."
    good = [line.word for line in judged if line.low > 0]
    bad = [line.word for line in judged if line.high < 0]
    said = []
    if good:
        said.append(f"clearly above zero: {', '.join(good)}")
    if bad:
        said.append(f"clearly below zero: {', '.join(bad)}")
    if not said:
        return "In no regime can the mean be told from zero."
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _beside(line: RegimeLine) -> str:
    return f"{plural(line.trades, 'trade')}, {money(line.net, sign=True)}"


def _row(line: RegimeLine, write: Write) -> list[Cell | str]:
    few = "" if line.enough else f"fewer than {LEAST} trades"
    return [
        Cell(line.word, "" if line.enough else "muted", few),
        whole(line.trades),
        toned(line.net, lambda value: money(value, sign=True)),
        cell(line.win_rate, percent, "no trade"),
        cell(line.mean, write, "no trade"),
        interval(line.low, line.high, write) or Cell("–", "muted"),
    ]


SECTION = Section(
    "regimes",
    "Regimes",
    build,
    "In which kinds of market did it make money, and in which did it lose it?",
)
