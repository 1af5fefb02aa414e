"""What a report says of several strategies and symbols, and that it is silent about one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_runs import Plot, write_run

from ftbt.report.blocks import Block, Figure, Table
from ftbt.report.figures.curves import PARTS
from ftbt.report.format import money, percent
from ftbt.report.sections import chosen_parameters, limits, portfolio, profit_figures, trades
from ftbt.report.sections.header import facts
from ftbt.report.sections.risk_limits import VALUES, limit_of
from ftbt.report.source import Source
from ftbt.report.svg import styled, to_svg
from ftbt.report.theme import WIDE
from ftbt.risk.limits import Limits, Rule
from ftbt.strategy.records import REFUSAL_WORDS
from ftbt.walkforward.store import load_run

BOTH = ("liquidity_sweep", "fvg_fill")
COINS = ("BTC", "ETH", "SOL")
REFUSED = {"total exposure": 21, "one position per symbol": 40, "confidence too low": 95}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return a run of two strategies on three symbols: one stays out of 1, window 2 failed."""
    plot = Plot(
        windows=4, failed=(2,), strategies=BOTH, symbols=COINS, refused=REFUSED,
        weights=((0.62, 0.38), (0.7, 0.0), (0.5, 0.5), (0.25, 0.75)),
    )  # fmt: skip
    return Source(load_run(write_run(tmp_path_factory.mktemp("run") / "run-1", plot)))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return a run of one strategy on one symbol."""
    folder = tmp_path_factory.mktemp("run") / "run-1"
    return Source(load_run(write_run(folder, Plot(windows=2, refused=REFUSED))))


def tables(blocks: Sequence[Block]) -> dict[str, Table]:
    """Return all tables by their captions, those in folds too."""
    found: dict[str, Table] = {}
    for block in blocks:
        if isinstance(block, Table):
            found[block.caption] = block
        found |= tables(getattr(block, "blocks", ()))
    return found


def column(table: Table, title: str) -> list[str]:
    """Return the texts of a column."""
    at = [one.title for one in table.columns].index(title)
    return [row[at].text for row in table.cells]


def test_one_strategy_on_one_symbol_has_no_such_section(alone: Source) -> None:
    """Nothing is said of shares, of an account for several, or of whose a trade is."""
    assert portfolio.build(alone) == []
    told = " ".join(f"{name} {text}" for name, text in [*facts(alone), *limits._money(alone)])
    assert "Shares" not in told
    assert "One account" not in str(limits.build(alone))
    assert "a group are symbols" not in told
    listed = tables(trades.build(alone))["First 25 trades"]
    assert [one.title for one in listed.columns][:3] == ["#", "Symbol", "Side"]
    assert list(tables(chosen_parameters.parameters(alone))) == ["Chosen parameters"]


def test_the_parts_are_those_of_the_trades(source: Source) -> None:
    """Trades, net, costs and shares of each strategy and symbol, added up again from the list."""
    found = tables(portfolio.build(source))

    assert [one for one in found if one.startswith("By")] == [
        "By strategy", "By symbol", "By strategy and symbol",
    ]  # fmt: skip
    total = source.trades["money"].sum()
    for level, names in (("strategy", BOTH), ("symbol", COINS)):
        table = found[f"By {level}"]
        assert column(table, level.capitalize()) == [*names, "all"]
        for row, name in enumerate(names):
            own = source.trades[source.trades[level] == name]
            assert column(table, "Trades")[row] == str(len(own))
            assert column(table, "Net profit")[row] == money(own["money"].sum(), sign=True)
            assert column(table, "Fees")[row] == money(own["paid_fees"].sum())
            assert column(table, "Slippage")[row] == money(own["paid_slippage"].sum())
            assert column(table, "Funding")[row] == money(own["paid_funding"].sum())
            assert column(table, "Mean R")[row] == f"{own['r'].mean():+.2f}".replace("-", "−")
            share = own["money"].sum() / total
            assert column(table, "Share of profit")[row] == percent(share, 0)
    assert column(found["By strategy"], "Share of profit")[-1] == percent(1.0, 0)


def test_of_a_loss_the_shares_are_shares_of_the_loss(source: Source) -> None:
    """The heading says so, and what earned against the whole has a negative share."""
    parts = [replace(one, net=-one.net) for one in source.parts("all")]
    others = [one for one in source.run.summary.parts if one.strategy or one.symbol]
    summary = replace(source.run.summary, parts=(*parts, *others))
    table = tables(portfolio.build(Source(replace(source.run, summary=summary))))["By strategy"]

    shown = column(table, "Share of loss")
    assert shown[-1] == percent(1.0, 0)
    assert all(text.startswith("−") for text in shown[:-1])


def test_funding_that_is_not_modelled_is_no_zero(source: Source) -> None:
    """It is n/a, with the reason."""
    summary = replace(source.run.summary, funding_modelled=False)
    table = tables(portfolio.build(Source(replace(source.run, summary=summary))))["By symbol"]

    assert set(column(table, "Funding")) == {"n/a"}
    assert "funding: not modelled" in table.footnotes


def test_the_shares_of_each_window_are_shown(source: Source) -> None:
    """Who stays out, what is left in cash, and where there was no test at all."""
    table = tables(portfolio.build(source))["Shares of the account, by window"]

    assert [[cell.text for cell in row][2:] for row in table.cells] == [
        [percent(0.62, 0), percent(0.38, 0), percent(0.0, 0)],
        [percent(0.70, 0), "stays out", percent(0.3, 0)],
        ["n/a", "n/a", "n/a"],
        [percent(0.25, 0), percent(0.75, 0), percent(0.0, 0)],
    ]
    assert [one.title for one in table.columns][2:] == [*BOTH, "in cash"]
    assert table.footnotes == ["the window failed"]
    assert "daily returns of each strategy's chosen parameters in training" in table.note


def test_several_symbols_of_one_strategy_have_no_shares(tmp_path: Path) -> None:
    """They are told apart, and nothing else is."""
    plot = Plot(windows=1, symbols=("BTC", "ETH"))
    blocks = portfolio.build(Source(load_run(write_run(tmp_path / "run", plot))))

    assert list(tables(blocks)) == ["By symbol", "What the limits on risk held back"]
    figures = [block.anchor for block in blocks if isinstance(block, Figure)]
    assert figures == ["profit-by-symbol"]


def test_every_limit_is_listed_with_its_value_and_its_refusals(source: Source) -> None:
    """Those that refused nothing too; a limit that is switched off is called none."""
    table = tables(portfolio.build(source))["What the limits on risk held back"]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.cells}

    assert {int(rule) for rule in Rule} <= {int(refusal) for refusal in VALUES}
    assert len(rows) == len(VALUES)
    assert rows["Total exposure"] == [percent(0.2), "21"]
    assert rows["One position per symbol"] == ["1", "40"]
    assert rows["Concurrent positions"] == ["3", "0"]
    assert rows["Drawdown breaker"] == [f"{percent(0.2)} for 30 days", "0"]
    assert limit_of("confidence too low", Limits()) == ""
    unlimited = {limit_of(REFUSAL_WORDS[refusal], Limits.none()) for refusal in VALUES}
    assert unlimited == {"none", "1"}


def test_refusals_by_a_limit_name_it_beside_the_others(alone: Source) -> None:
    """With one strategy and one symbol they stand with all that was not taken."""
    table = tables(trades.build(alone))["Setups and orders that were not taken, out of sample"]

    assert column(table, "Reason") == [
        "confidence too low", "one position per symbol", "total exposure",
    ]  # fmt: skip
    assert column(table, "Limit") == ["", "1", percent(0.2)]
    assert column(table, "Times") == ["95", "40", "21"]


def test_profits_over_time_end_at_the_parts_profits(source: Source) -> None:
    """At the last bar each line has what its trades made, at the first one nothing."""
    for level, names in (("strategy", BOTH), ("symbol", COINS)):
        found = profit_figures._curves(source, level, names)
        assert [one.label for one in found] == [profit_figures.ALL, *names]
        for one in found[1:]:
            own = source.trades[source.trades[level] == one.label]
            assert one.value[-1] == pytest.approx(own["money"].sum())
            assert one.value[0] == pytest.approx(0.0, abs=abs(one.value).max() * 0.2)
        together = np.sum([one.value for one in found[1:]], axis=0)
        np.testing.assert_allclose(found[0].value, together, atol=1e-6)


def test_many_lines_are_gathered_so_that_each_can_be_told_apart(tmp_path: Path) -> None:
    """More names than looks: the last ones are one line, and nothing of the profit is lost."""
    names = tuple(f"strategy_{number}" for number in range(PARTS + 2))
    run = Source(load_run(write_run(tmp_path / "run", Plot(windows=1, strategies=names))))
    figure = profit_figures.profit_figure(run, "strategy", names)
    found = profit_figures._curves(run, "strategy", names)

    assert [one.label for one in found] == [
        profit_figures.ALL, *names[: PARTS - 1], profit_figures.REST,
    ]  # fmt: skip
    assert found[0].value[-1] == pytest.approx(run.trades["money"].sum())
    assert sum(one.value[-1] for one in found[1:]) == pytest.approx(found[0].value[-1])
    import matplotlib as mpl

    with mpl.rc_context(styled(WIDE)):
        text = to_svg(figure.draw(WIDE), "x", WIDE, figure.title)
    for one in found:
        assert f">{one.label}<" in text


def test_the_chosen_parameters_are_shown_strategy_by_strategy(source: Source) -> None:
    """By their own names, with what each trial was worth; n/a says why."""
    blocks = chosen_parameters.parameters(source)
    found = tables(blocks)

    assert list(found) == [f"Chosen parameters of {name}" for name in BOTH]
    table = found["Chosen parameters of fvg_fill"]
    heads = ["Window", "Value in training (sharpe)", "bias", "break_even", "stop_atr", "swing"]
    assert [one.title for one in table.columns] == heads
    reasons = [row[2].note for row in table.cells]
    assert reasons == ["", "it stays out of this window", "the window failed", ""]
    given = source.windows["parameters"][0]["fvg_fill.swing"]
    assert column(table, "swing")[0] == str(given)
    assert "direction = both" in table.note
    anchors = [block.anchor for block in blocks if isinstance(block, Figure)]
    assert len(anchors) == len(set(anchors)) == 2


def test_the_assumptions_name_limits_shares_and_the_order_of_decisions(source: Source) -> None:
    """What decided who could trade is on the page."""
    pairs = dict(limits._money(source))

    assert "exposure 20% (group 30%)" in pairs["Limits on risk"]
    assert "correlate from 0.7 on, over 30 days" in pairs["Limits on risk"]
    assert pairs["Shares"].startswith("allocation equal-risk; a strategy sizes its positions")
    assert "no risk limits" not in pairs["Capital and costs"]
    assert pairs["Capital and costs"].endswith("ATR14)")
    (account,) = [text for name, text in limits._points(source) if name == "One account:"]
    assert "liquidity_sweep, then fvg_fill, each on BTC, ETH, SOL" in account
    assert dict(facts(source))["Shares"] == "allocation equal-risk"
