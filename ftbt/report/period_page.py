"""A day or week of a live session as one page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from ftbt import __version__
from ftbt.backtest.return_metrics import drawdowns
from ftbt.live.period import Period, exit_word
from ftbt.report import live
from ftbt.report.blocks import (
    Block,
    Built,
    Cell,
    Column,
    Facts,
    Figure,
    How,
    HowFold,
    Notice,
    Points,
    Prose,
    Section,
    Table,
    Tile,
    Tiles,
)
from ftbt.report.figures import curves
from ftbt.report.figures.curves import Curve
from ftbt.report.format import MISSING, moment, money, number, percent, plural, price, span
from ftbt.report.theme import Layout

_SOURCE = "The session's journal, and nothing else."
_TABLED = 60  # rows of the equity's table at most


def render_period(found: Period) -> str:
    """Return the page of a day or week: same journal, same bytes."""
    from ftbt.report.page import page  # noqa: PLC0415 - the templates load with the first page

    last = min(found.end_ms, found.until_ms)
    so_far = "" if found.until_ms >= found.end_ms else ", so far"
    return page(
        title=found.deployment,
        subtitle=f"{moment(found.start_ms)} to {moment(last)} UTC{so_far}, on {found.network}",
        kind=f"{found.kind} report of a live session",
        head=[*_banner(found), _tiles(found)],
        sections=[
            _built("equity", "What the account was worth", [_equity(found)]),
            _built("trades", "Trades that closed", _trades(found)),
            _built("confidence", "Confidence against outcome", _confidence(found)),
            _built("costs", "Costs against what was assumed", _costs(found)),
            _built("limits", "Limits used", _limits(found)),
            _built("refused", "What was not taken, and trouble", _refusals(found)),
            _built("uptime", "Uptime", _uptime(found)),
        ],
        footer=f"Made by ftbt {__version__} from the journal of {found.deployment}. Past results"
        " say little about those to come; trading can lose all of the money put in.",
    )


def _built(anchor: str, title: str, blocks: Sequence[Block]) -> Built:
    return Built(Section(anchor, title, lambda _: blocks), blocks)


def _tone(value: float) -> str:
    return "gain" if value > 0.0 else "loss" if value < 0.0 else ""


def _banner(found: Period) -> list[Block]:
    if found.network == "mainnet":
        return []
    text = "A replay on this machine." if found.network == "localnet" else "Play money."
    return [Notice("No real money", text, "hold")]


def _tiles(found: Period) -> Tiles:
    share = found.wins / len(found.trades) if len(found.trades) else None
    return Tiles(
        [
            Tile("Profit", money(found.profit, sign=True),
                 f"{percent(found.profit / found.begin, 2, sign=True)} of {money(found.begin)},"
                 " open positions included", _tone(found.profit)),
            Tile("Closed", plural(len(found.trades), "trade"),
                 f"net {number(found.net, sign=True)}"),
            Tile("Won", percent(share, 0), f"{found.wins} of {len(found.trades)}"),
            Tile("Costs", number(found.fees + found.funding),
                 f"fees {number(found.fees)}, funding {number(found.funding, sign=True)}"),
            Tile("Worst fall", percent(found.drawdown, 2), "at closes of bars"),
            Tile("Uptime", percent(found.uptime.share, 2),
                 f"{plural(found.uptime.crashes, 'end')} without a word"),
        ]
    )  # fmt: skip


# --- equity ---------------------------------------------------------------------------------------


def _equity(found: Period) -> Figure:
    above, below = _lines(found)
    return Figure(
        anchor="equity-curve",
        title="Equity at closes of bars",
        description=f"From {money(found.begin)} to {money(found.end)}; the largest fall was"
        f" {percent(found.drawdown, 2)}.",
        draw=lambda layout: _draw(layout, found),
        table=_equity_table(found),
        how=How(
            "Cash + signed size × (close − entry price), after fees and funding, at each close."
            " Drawdown = equity / highest equity of the period so far − 1.",
            "The equity that the bot noted at each bar; while it was down the last one stands.",
            _SOURCE,
        ),
        chart=live.lines([("money", [above]), ("percent", [below])]),
    )


def _lines(found: Period) -> tuple[Curve, Curve]:
    below = drawdowns(found.equity, found.begin)
    return (
        Curve("Equity", found.time, found.equity, "out"),
        Curve("Drawdown", found.time, below, "out"),
    )


def _draw(layout: Layout, found: Period) -> Drawing:
    above, below = _lines(found)
    return curves.equity(layout, [above], [below], [], found.begin)


def _equity_table(found: Period) -> Table:
    count = len(found.time)
    rows = np.unique(np.linspace(0, count - 1, min(count, _TABLED)).astype(int))
    return Table(
        "Equity", [Column("Close of the bar", numeric=False), Column("Equity")],
        [[moment(int(found.time[i])), number(float(found.equity[i]))] for i in rows],
        note="" if count <= _TABLED else f"{len(rows)} of {count} bars.",
    )  # fmt: skip


# --- trades ---------------------------------------------------------------------------------------


def _trades(found: Period) -> list[Block]:
    if not len(found.trades):
        return [Prose(["No trade closed."])]
    columns = [
        Column("Entry", numeric=False), Column("Coin", numeric=False),
        Column("Side", numeric=False), Column("Size"), Column("Entry price"),
        Column("Exit price"), Column("Why it ended", numeric=False), Column("Confidence"),
        Column("Net"), Column("R"),
    ]  # fmt: skip
    rows = [
        [
            moment(int(one["entry_time"])), found.symbols[int(one["symbol"])],
            "long" if one["side"] > 0 else "short", f"{one['size']:g}",
            price(float(one["entry_price"])), price(float(one["exit_price"])),
            exit_word(int(one["exit_reason"])), number(float(one["confidence"]), 0),
            Cell(number(float(one["net"]), sign=True), _tone(float(one["net"]))),
            number(float(one["r"]), sign=True),
        ]
        for one in found.trades
    ]  # fmt: skip
    return [Table("Trades", columns, rows, stacked=True)]


def _confidence(found: Period) -> list[Block]:
    columns = [
        Column("Confidence", numeric=False), Column("Trades"), Column("Won"), Column("Net"),
        Column("Mean R"),
    ]  # fmt: skip
    rows: list[list[Cell | str]] = [
        [
            f"{one.low:g} to {one.high:g}", str(one.trades),
            percent(one.wins / one.trades, 0),
            Cell(number(one.net, sign=True), _tone(one.net)), number(one.r, sign=True),
        ]
        for one in found.bands
    ]  # fmt: skip
    note = "If confidence is worth anything, later rows are better. A few trades prove neither."
    return [Table("Trades that closed, by confidence at the entry", columns, rows, note)]


# --- costs ----------------------------------------------------------------------------------------


def _costs(found: Period) -> list[Block]:
    rows = [
        [
            one.role, str(one.fills), percent(one.mean, 3), percent(one.worst, 3),
            percent(one.assumed, 3),
        ]
        for one in found.slippage
    ]  # fmt: skip
    columns = [
        Column("Order", numeric=False), Column("Fills"), Column("Mean"), Column("Worst"),
        Column("Assumed at least"),
    ]  # fmt: skip
    return [
        Facts(
            [
                ("Fees paid", number(found.fees)),
                ("Fees at the assumed rates", number(found.expected_fees)),
                ("Funding paid", number(found.funding, sign=True)),
            ]
        ),
        Table("Slippage of fills that took liquidity, of the price", columns, rows,
              found.notes[-1][:1].upper() + found.notes[-1][1:] + "."),
        HowFold(How(
            "(fill − meant price) / fill, against us positive. Meant is the stop's price, or for a"
            " market order the close at which it was decided.",
            "Fills as the exchange told them; the assumption is the half spread of the settings,"
            " and the back-test adds slippage in wide bars.",
            _SOURCE,
        )),
    ]  # fmt: skip


# --- limits, refusals, uptime ---------------------------------------------------------------------


def _limits(found: Period) -> list[Block]:
    rows = [
        [
            one.name,
            percent(one.value, 2) if one.share else f"{one.value:g}",
            percent(one.limit) if one.share else f"{one.limit:g}",
            percent(one.value / one.limit, 0) if one.limit else MISSING,
        ]
        for one in found.limits
    ]
    columns = [Column("Limit", numeric=False), Column("Now"), Column("At most"), Column("Used")]
    return [Table(f"At {moment(found.until_ms)} UTC", columns, rows)]


def _refusals(found: Period) -> list[Block]:
    items = [
        *((word, f"× {count}") for word, count in found.refused.items()),
        *(("refused by the exchange:", f"{w} × {n}") for w, n in found.said_no.items()),
        *(("trouble:", f"{word} × {count}") for word, count in found.trouble.items()),
    ]
    return [Points(items)] if items else [Prose(["Nothing."])]


def _uptime(found: Period) -> list[Block]:
    up = found.uptime
    items = [(f"{moment(a)} UTC:", f"down for {span(b - a)}") for a, b in up.gaps]
    text = f"{plural(up.starts, 'start')}, {plural(up.crashes, 'end')} without a word."
    return [Prose([text]), *([Points(items)] if items else [])]
