"""Assumptions and limits: what the back-test took for granted, and what it cannot know."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Facts, Points, Prose, Section
from ftbt.report.format import MISSING, money, percent, plural
from ftbt.report.sections import audit
from ftbt.report.sections.header import costs as costs_text
from ftbt.report.source import Source
from ftbt.risk.allocation import EQUAL_RISK, INVERSE_VOLATILITY
from ftbt.risk.limits import Limits

_FILLS = (
    (
        "Decisions",
        (
            "are made at the close of a bar from closed bars only; what is ordered can first trade"
            " in the next bar. Values of a higher timeframe exist once that bar has closed."
        ),
    ),
    (
        "Fills",
        (
            "follow OHLC: a market order fills at the next open plus slippage; a limit only when"
            " price trades through it; a stop at its price or the open beyond it, plus slippage."
        ),
    ),
    (
        "Doubt is resolved against the strategy:",
        (
            "stop and target in one bar count as the stop, and a position entered inside a bar"
            " cannot take profit in it, unless finer bars show the order of events."
        ),
    ),
    (
        "Size of the market",
        "is not modelled: orders do not move the price, and limit orders are filled whole.",
    ),
    (
        "The past",
        (
            "is one path of many. Exchanges fail, liquidity dries up, symbols that died are missing"
            " from what can be downloaded today. The numbers know nothing of it."
        ),
    ),
)


def build(source: Source) -> Sequence[Block]:
    """Return money and costs, the model's rules, what is not modelled, the run's own notes."""
    run = source.run
    blocks: list[Block] = [Facts(_money(source)), Points(_points(source))]
    notes = [note for note in run.summary.notes if note != "synthetic market"]
    if notes:
        blocks.append(Prose([note[:1].upper() + note[1:] for note in notes], "Notes of this run"))
    return [*audit.blocks(source), *blocks]


def _money(source: Source) -> list[tuple[str, str]]:
    settings = source.run.manifest.settings
    costs = source.costs
    share = (
        f"{percent(costs['total'] / costs['before'])} of the profit before costs"
        if costs["before"] > 0
        else "there was no profit before costs"
    )
    pairs = [
        ("Capital and costs", costs_text(source)),
        ("Limits on risk", _limits(source)),
        (
            "Paid out of sample",
            (
                f"fees {money(costs['fees'])}, slippage {money(costs['slippage'])}, funding"
                f" {_funding(source)}; together {money(costs['total'])}: {share}"
            ),
        ),
        ("Funding", _funding_model(source)),
        ("Venue's rules", "; ".join(_rules(source))),
    ]
    if len(source.strategies) > 1:
        pairs.insert(2, ("Shares", _shares(source)))
    if "leverage" in settings:
        pairs.append(
            (
                "Margin",
                (
                    "linear perpetual; liquidated when equity falls to the maintenance margin,"
                    " notional / (2 × highest leverage) of the symbol"
                ),
            )
        )
    return pairs


def _limits(source: Source) -> str:
    limits = source.settings.limits
    if limits == Limits.none():
        return "none but the account's own margin"
    group = (
        f"; a group are symbols whose returns correlate from {limits.correlation:g} on, over"
        f" {limits.correlation_days} days"
        if len(source.symbols) > 1
        else ""
    )
    return f"{limits.describe()}{group}. They stop entries, never exits"


def _shares(source: Source) -> str:
    by_risk = source.allocation.method in (INVERSE_VOLATILITY, EQUAL_RISK)
    measured = ", which is measured in training and nowhere else" if by_risk else ""
    return (
        f"{source.allocation.describe()}; a strategy sizes its positions by its share of the"
        f" equity{measured}"
    )


def _funding(source: Source) -> str:
    return money(source.costs["funding"]) if source.run.summary.funding_modelled else MISSING


def _funding_model(source: Source) -> str:
    if source.run.summary.funding_modelled:
        return "hourly, signed size × price × rate, from the rates that came with the data"
    missing = [one.symbol for one in source.run.manifest.data if one.funding is None]
    names = f" ({', '.join(missing)})" if missing else ""
    return (
        f"funding: not modelled{names}. No rates came with the data; on a real venue a perpetual"
        " pays or receives funding every hour."
    )


def _rules(source: Source) -> list[str]:
    return [
        f"{one.symbol}: sizes to {one.size_decimals} decimals, at most {one.max_leverage:g}x,"
        f" least order {money(one.min_notional)}"
        for one in source.run.manifest.data
    ]


def _points(source: Source) -> list[tuple[str, str]]:
    found = list(_FILLS)
    data = source.run.manifest.data
    holes = sum(one.missing_bars for one in data)
    if holes:
        found.append(
            (
                f"{plural(holes, 'bar')} missing.",
                "The data were split there: no line, no trade crosses a hole.",
            )
        )
    details = sorted({one.detail_timeframe for one in data if one.detail_timeframe})
    found.append(
        ("Detail bars:", f"{', '.join(details)} bars resolve the path inside a bar.")
        if details
        else ("No detail bars:", "inside a bar the pessimistic order of events is assumed.")
    )
    if source.is_portfolio:
        found.append(_one_account(source))
    if source.run.synthetic:
        found.append(
            (
                "Synthetic market:",
                "the prices are made up. Nothing here says anything about a real market.",
            )
        )
    return found


def _one_account(source: Source) -> tuple[str, str]:
    several = len(source.strategies) > 1
    order = (
        f"{', then '.join(source.strategies)}, each on {', '.join(source.symbols)}"
        if several
        else ", then ".join(source.symbols)
    )
    return (
        "One account:",
        (
            f"at one close decide, in this order: {order}. Who comes first takes the room that the"
            " limits leave; a symbol belongs to one strategy at a time."
        ),
    )


SECTION = Section(
    "limits",
    "Assumptions and limits",
    build,
    "A back-test is a model. These are its rules, and what it cannot know.",
)
