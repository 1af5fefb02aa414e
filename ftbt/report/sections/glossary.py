"""Glossary: the terms of this page in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Facts, Section
from ftbt.report.source import Source

# A term, and indented below it what it means.
TERMS = """\
Bar, candle
    Prices of one stretch of time: open, high, low, close. Named by its open, UTC.
BOS, CHoCH
    Break of structure: price closes beyond the last swing with the trend. Change of character:
    the same against the trend.
Buy and hold
    Buying at the start and doing nothing: what the market gave for free.
CAGR
    Growth per year that would give the same end result if it were the same every year.
Confidence
    0 to 100, the sum of eight named factors that the strategy looks at.
Drawdown
    How far equity is below its highest point so far. Under water: the time it stays there.
Edge
    A reason for profit that is expected to go on. A profit alone is no edge.
Fair value gap (FVG)
    Three candles, the outer two of which do not overlap: prices in between were hardly traded.
Funding
    What holders of a perpetual pay each other every hour to keep it near the spot price.
In-sample (training)
    Bars on which parameters were chosen. Results there are flattered by the choice.
Liquidity pool, sweep
    A price beyond which stop orders are expected. Swept: traded beyond and closed back.
MAE, MFE
    Worst price against, best price for a trade while it was open.
Order block (OB)
    The last opposite candle before a move that broke structure.
Out-of-sample (test)
    Bars that played no part in choosing the parameters. The only fair judge.
Plateau
    A region of parameters with similar results; a lone peak is likely luck.
Probabilistic Sharpe ratio
    The probability that the true Sharpe ratio is above zero, given how long and how wild the
    returns are, if nothing else had been tried.
Profit factor
    Sum of gains / sum of losses of trades after costs. Below 1 it loses.
Purge, embargo
    Bars left out between training and test, or after a test, so that nothing leaks from one into
    the other.
R
    The risk taken at the entry: size × distance to the first stop. A result of +2 R earned twice
    what was at risk.
Sharpe ratio
    Mean return / its fluctuation, annual. 0 is nothing; above 1 over years is rare.
Slippage
    The difference between the price expected and the price paid.
Stitched
    The test windows put one after another as one account.
Swing
    A high (low) with lower highs (higher lows) on both sides; known only once the bars to its
    right have closed.
Trial
    One set of parameters, tried on one training window.
Walk-forward
    Choose on one stretch, test on the next, move on: as it would have been done live.
Walk-forward efficiency
    Annual out-of-sample growth / annual in-sample growth.
"""


def terms() -> list[tuple[str, str]]:
    """Return each term with its meaning."""
    found: list[tuple[str, str]] = []
    for line in TERMS.splitlines():
        if line.startswith(" "):
            term, meaning = found[-1]
            found[-1] = (term, f"{meaning} {line.strip()}".strip())
        else:
            found.append((line, ""))
    return found


def build(source: Source) -> Sequence[Block]:
    """Return the terms."""
    del source
    return [Facts(terms())]


SECTION = Section("glossary", "Glossary", build)
