"""Glossary: the terms of this page in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Facts, Section
from ftbt.report.source import Source

# A term, and indented below it what it means.
TERMS = """\
Bar, candle
    Prices of one stretch of time: open, high, low, close. Named by its open, UTC.
Block bootstrap
    Other histories made of blocks of the real days, drawn again with replacement. Blocks keep
    streaks of good and bad days together.
BOS, CHoCH
    Break of structure: price closes beyond the last swing with the trend. Change of character:
    the same against the trend.
Buy and hold
    Buying at the start and doing nothing: what the market gave for free.
Break-even costs
    The multiple of all costs at which nothing is left.
CAGR
    Growth per year that would give the same end result if it were the same every year.
Calibration
    Running the whole test on markets without an edge, and with a known one, to see how often each
    verdict comes out.
Confidence
    0 to 100, the sum of eight named factors that the strategy looks at.
CPCV
    Combinatorial purged cross-validation: the same search on many other splits of the training
    days, so that one lucky order of windows can't decide.
CSCV
    Combinatorially symmetric cross-validation: the days are cut into blocks, and each way to halve
    them chooses on one half and looks at the other. PBO is computed from it.
Deflated Sharpe ratio (DSR)
    The probability that the true Sharpe ratio is above what the luckiest of so many tries would
    show without any skill.
Drawdown
    How far equity is below its highest point so far. Under water: the time it stays there.
Drawdown breaker
    A limit on risk: no new entries for a while once equity has fallen so far below its highest
    close.
Edge
    A reason for profit that is expected to go on. A profit alone is no edge.
Exposure
    Initial margin of all positions and waiting entries, as a part of the equity.
Effective trials
    How many independent tries a number of similar ones is worth. Estimates differ, so a band of
    them is shown.
Expected maximum, E[max]
    The Sharpe ratio that the luckiest of N trials without skill would be expected to show.
Fair value gap (FVG)
    Three candles, the outer two of which do not overlap: prices in between were hardly traded.
Funding
    What holders of a perpetual pay each other every hour to keep it near the spot price.
Gate
    One test of the scorecard. Hard gates decide, soft gates can only take a PASS away.
Haircut
    What is cut off a Sharpe ratio when the number of tries is allowed for.
INCONCLUSIVE
    The verdict when the record can't be told from luck, and can't be told from skill either.
In-sample (training)
    Bars on which parameters were chosen. Results there are flattered by the choice.
Kelly
    The size with the greatest long-run growth if the future were like these trades. It never is;
    half of it is already bold.
Liquidity pool, sweep
    A price beyond which stop orders are expected. Swept: traded beyond and closed back.
Look
    One question asked of the same data. Each makes the next good answer likelier to be luck.
Look-ahead audit
    The strategy is run again on shorter and on altered futures; an order that changes has seen
    what it could not have known.
MAE, MFE
    Worst price against, best price for a trade while it was open.
Minimum backtest length (MinBTL)
    How long a back-test must be so that luck alone is not expected to show a Sharpe ratio of 1
    after so many tries.
Minimum track record (MinTRL)
    How many days at this Sharpe ratio it takes to be 95 % sure that the true one is above 0.
Order block (OB)
    The last opposite candle before a move that broke structure.
Out-of-sample (test)
    Bars that played no part in choosing the parameters. The only fair judge.
p-value
    How often luck alone would look at least as good. Small is good; it is no probability that the
    strategy works.
PBO
    Probability of backtest overfitting: how often the choice that was best on one half of the days
    is no better than the middle of the field on the other half. Without skill it is about 50 %.
Plateau
    A region of parameters with similar results; a lone peak is likely luck.
Probabilistic Sharpe ratio (PSR)
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
Share of the account
    The part of the equity by which one of several strategies sizes its positions.
Regime
    A kind of market: rising or falling, calm or wild, cheap or dear funding.
Resampling, reshuffling
    Resampled trades are drawn with replacement, so the total varies. Reshuffled ones are the same
    trades in another order: only the path varies.
Ruin
    Falling to a given share of the start, here half of it.
Sharpe ratio
    Mean return / its fluctuation, annual. 0 is nothing; above 1 over years is rare.
Skewness, kurtosis
    How lopsided returns are, and how wild their extremes. Normal returns have 0 and 3.
Slippage
    The difference between the price expected and the price paid.
SPA, reality check
    Tests of whether the record beats a benchmark by more than luck, with streaks of days kept and
    all trials allowed for: superior predictive ability (Hansen), reality check (White).
Stitched
    The test windows put one after another as one account.
Stochastic dominance
    A distribution that is better at every level (first order), or better for anyone who dislikes
    risk (second order).
System parameter permutation
    Judging an idea by the median of all its parameter sets, not by the best.
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
    """Return each term with its meaning, in the order of the alphabet."""
    found: list[tuple[str, str]] = []
    for line in TERMS.splitlines():
        if line.startswith(" "):
            term, meaning = found[-1]
            found[-1] = (term, f"{meaning} {line.strip()}".strip())
        else:
            found.append((line, ""))
    return sorted(found, key=lambda item: item[0].casefold())


def build(source: Source) -> Sequence[Block]:
    """Return the terms."""
    del source
    return [Facts(terms())]


SECTION = Section("glossary", "Glossary", build)
