"""The answer: is there evidence of an edge after costs, and what speaks most against it."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Fold, How, HowFold, Notice, Points, Section, Tile, Tiles
from ftbt.report.damage import most_damaging
from ftbt.report.format import money, number, percent, plural, probability, whole
from ftbt.report.source import Source

_HEADLINES = {
    "none": ("No evidence of an edge after costs", "loss"),
    "weak": ("Weak evidence of an edge after costs", "hold"),
    "some": ("Some evidence of an edge after costs", "gain"),
}


def build(source: Source) -> Sequence[Block]:
    """Return the answer, the most damaging number, the key tiles and what is not judged."""
    evidence = source.run.summary.evidence
    title, tone = _HEADLINES[evidence.verdict]
    text = _reason(evidence.sentence)
    if not len(source.done):
        title = "No answer: every window failed"
        text = "Nothing was tested. The reasons are in the section on windows."
    damage = most_damaging(source)
    return [
        Notice(title, text, tone),
        Notice(f"The most damaging number: {damage.value}", damage.text),
        _tiles(source),
        *_not_judged(source),
        _how(source),
    ]


def _reason(sentence: str) -> str:
    """Return the sentence without the words that the headline has already said."""
    head, colon, rest = sentence.partition(": ")
    if not colon or not head.endswith(("edge", "costs")):
        return sentence
    return rest[:1].upper() + rest[1:]


def _tiles(source: Source) -> Tiles:
    summary, evidence = source.run.summary, source.run.summary.evidence
    total = source.out("total_return")
    held = summary.buy_and_hold_return
    return Tiles(
        [
            Tile(
                "Out-of-sample return, after costs",
                percent(total, sign=True),
                f"buy and hold {percent(held, sign=True)}",
                "gain" if total > 0 else "loss" if total < 0 else "",
            ),
            Tile(
                "Sharpe ratio, annual",
                number(source.out("sharpe")),
                f"in-sample {number(source.within_median('sharpe'))} (median window)",
            ),
            Tile(
                "Deepest drawdown",
                percent(source.out("max_drawdown")),
                _under_water(source),
            ),
            Tile(
                "Out-of-sample trades",
                whole(len(source.trades)),
                f"costs {money(source.costs['total'])}",
            ),
            Tile(
                "Probability of a true Sharpe above 0",
                probability(evidence.psr),
                "if nothing else had ever been tried",
            ),
            Tile(
                "Profitable windows",
                f"{summary.profitable_windows} of {summary.windows}",
                f"{summary.failed_windows} failed" if summary.failed_windows else "none failed",
            ),
        ]
    )


def _under_water(source: Source) -> str:
    days = source.out("days_under_water")
    return f"{whole(days)} days under water at most" if days > 0 else ""


def _not_judged(source: Source) -> Sequence[Block]:
    timing, trials = source.run.timing, source.run.summary.trials
    tried = plural(trials + timing.earlier_trials, "parameter set")
    return [
        Notice(
            "Not judged yet",
            "This is a first answer, not a verdict. It takes the stitched out-of-sample returns as"
            f" if they were the only ones ever computed. In truth {tried} were tried on these data,"
            " and the best of many tries looks good by luck alone.",
        ),
        Fold(
            "What this answer leaves out",
            [
                Points(
                    [
                        ("Selection:", "the number of tries (deflated Sharpe ratio)."),
                        ("Overfitting:", "the probability that the search picks what fails later."),
                        ("Chance:", "random entries with the same exits, shuffled markets."),
                        ("Stress:", "higher costs, delays, missed fills."),
                        ("Path:", "how deep the drawdown could have been with other luck."),
                    ]
                )
            ],
        ),
    ]


def _how(source: Source) -> Block:
    evidence = source.run.summary.evidence
    return HowFold(
        How(
            "t = mean of the daily returns / (their standard deviation / √days)."
            " Probability = Φ[SR √(T−1) / √(1 − γ₃ SR + (γ₄−1)/4 · SR²)] with the daily Sharpe"
            " ratio SR, skewness γ₃, kurtosis γ₄ (normal: 3) and T days.",
            f"{plural(evidence.days, 'daily return')} (UTC days) of the stitched out-of-sample"
            f" curve after all costs; daily Sharpe ratio {number(evidence.sharpe_daily, 4)},"
            f" t = {number(evidence.t_statistic)}. The days are taken as independent.",
            "Probabilistic Sharpe ratio: Bailey and López de Prado, The Sharpe Ratio Efficient"
            " Frontier, Journal of Risk 15(2), 2012.",
        )
    )


SECTION = Section("answer", "The answer", build)
