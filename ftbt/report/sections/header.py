"""What ran: stands at the top of the page, before the answer."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Facts, Fold, Notice
from ftbt.report.format import day, plain, plural, span
from ftbt.report.source import Source

SUMMARY = "What ran: data, trials, costs"


def title(source: Source) -> str:
    """Return the page's title."""
    return source.run.manifest.title or _names(source)


def _names(source: Source) -> str:
    return " + ".join(source.strategies)


def subtitle(source: Source) -> str:
    """Return symbols, timeframe and span in one line."""
    data = source.run.manifest.data
    symbols = ", ".join(one.symbol for one in data)
    start, end = min(one.start_ms for one in data), max(one.end_ms for one in data)
    name = _names(source)
    lead = f"{name} · " if title(source) != name else ""
    return f"{lead}{symbols} · {data[0].timeframe} · {day(start)} to {day(end)}"


def build(source: Source) -> Sequence[Block]:
    """Return the banner of a synthetic market and what ran, in a few lines."""
    run = source.run
    blocks: list[Block] = []
    if run.synthetic:
        blocks.append(
            Notice(
                "Synthetic market",
                "Made-up prices: nothing here is about a real market.",
                "hold",
            )
        )
    # Folded: the verdict has to be on the first screen, also of a phone.
    blocks.append(Fold(SUMMARY, [Facts(_short(source), style="compact")]))
    return blocks


def _short(source: Source) -> list[tuple[str, str]]:
    """Return what ran in a few lines; `facts` has all of it."""
    run = source.run
    manifest, timing = run.manifest, run.timing
    versions = ", ".join(f"{name} {manifest.versions[name]}" for name in ("ftbt", "optuna")
                         if name in manifest.versions)  # fmt: skip
    funding = "" if run.summary.funding_modelled else "; funding: not modelled"
    files = "; ".join(f"{file}, sha256 {sha256[:12]}" for _, file, sha256 in strategy_files(source))
    pairs = [
        (
            "Strategy" if len(source.strategies) == 1 else "Strategies",
            f"{files}; seed {manifest.search.seed}; {versions}",
        ),
        ("Data", "; ".join(_data(source))),
        (
            "Trials",
            (
                f"{run.summary.trials:,} in this run, {timing.earlier_trials:,} earlier ones on the"
                " same or overlapping data"
            ),
        ),
        ("Costs", f"{costs(source)}{funding}"),
        ("Limits", source.settings.limits.describe()),
    ]
    if len(source.strategies) > 1:
        pairs.append(("Shares", source.allocation.describe()))
    return pairs


def strategy_files(source: Source) -> list[tuple[str, str, str]]:
    """Return name, file and sha256 of each strategy."""
    strategy = source.run.manifest.strategy
    files, hashes = strategy.file.split("+"), strategy.sha256.split("+")
    return list(zip(strategy.names, files, hashes, strict=True))


def costs(source: Source) -> str:
    """Return money and costs in one line, the limits on risk left out."""
    return source.run.manifest.settings_text.partition("; ")[0]


def facts(source: Source) -> list[tuple[str, str]]:
    """Return everything that ran, for the section on reproducibility."""
    run = source.run
    manifest, summary, timing = run.manifest, run.summary, run.timing
    strategy, search, plan = manifest.strategy, manifest.search, manifest.plan
    fixed = ", ".join(f"{name} = {plain(value)}" for name, value in strategy.fixed.items())
    resumed = f", resumed {plural(timing.resumed, 'time')}" if timing.resumed else ""
    pairs = [
        ("Run", manifest.run_id),
        ("Question", manifest.hypothesis),
        (
            "Strategy" if len(strategy.names) == 1 else "Strategies",
            f"{_names(source)}: {strategy.description}",
        ),
        ("Fixed by hand", fixed),
        ("Data", "; ".join(_data(source))),
        (
            "Windows",
            (
                f"{summary.windows}, train {plan.train}, test {plan.test}, step {plan.step},"
                f" {'anchored' if plan.anchored else 'rolling'}"
            ),
        ),
        (
            "Trials",
            (
                f"{summary.trials:,} in this run; {timing.earlier_trials:,} earlier ones on the"
                f" same or overlapping data, {timing.earlier_trials_of_strategy:,} of them of this"
                " strategy"
            ),
        ),
        ("Objective", f"{search.objective_text}; at least {plural(search.min_trades, 'trade')}"),
        ("Sampler", f"{search.sampler}; seed {search.seed}"),
        ("Costs", costs(source)),
        ("Limits on risk", source.settings.limits.describe()),
        ("Shares", source.allocation.describe() if len(strategy.names) > 1 else ""),
        ("Funding", "" if summary.funding_modelled else "not modelled"),
        ("Engine", _engine(source)),
        (
            "Versions",
            ", ".join(f"{name} {text}" for name, text in sorted(manifest.versions.items())),
        ),
        (
            "Finished",
            (
                f"{timing.finished}, after {span(timing.seconds * 1000)} on"
                f" {plural(timing.jobs, 'worker')}{resumed}"
            ),
        ),
    ]
    return [(name, text) for name, text in pairs if text]


def _engine(source: Source) -> str:
    summary, asked = source.run.summary, source.run.manifest.engine
    text = summary.engine if summary.engine == asked else f"{summary.engine} (asked for: {asked})"
    if summary.compared_trades:
        text += (
            f"; {summary.identical_trades:,} of {summary.compared_trades:,} out-of-sample trades"
            " are identical on the reference engine"
        )
    return text


def _data(source: Source) -> list[str]:
    return [
        f"{one.symbol} {one.timeframe}, {plural(one.bars, 'bar')} from {day(one.start_ms)} to"
        f" {day(one.end_ms)}, {one.source}, fingerprint {one.fingerprint[:12]}"
        for one in source.run.manifest.data
    ]
