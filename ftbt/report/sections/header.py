"""What ran: stands at the top of the page, before the answer."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Facts, Fold, Notice
from ftbt.report.format import day, plain, plural, span
from ftbt.report.source import Source


def title(source: Source) -> str:
    """Return the page's title."""
    manifest = source.run.manifest
    return manifest.title or manifest.strategy.name


def subtitle(source: Source) -> str:
    """Return symbols, timeframe and span in one line."""
    data = source.run.manifest.data
    symbols = ", ".join(one.symbol for one in data)
    start, end = min(one.start_ms for one in data), max(one.end_ms for one in data)
    name = source.run.manifest.strategy.name
    lead = f"{name} · " if title(source) != name else ""
    return f"{lead}{symbols} · {data[0].timeframe} · {day(start)} to {day(end)}"


def build(source: Source) -> Sequence[Block]:
    """Return banners, the facts of the run and, folded, all parameters and timing."""
    run = source.run
    blocks: list[Block] = []
    if run.synthetic:
        blocks.append(
            Notice(
                "Synthetic market",
                "These prices are made up by a seeded generator. The report shows how the method"
                " works; it says nothing about a real market.",
                "hold",
            )
        )
    blocks.append(Fold("What ran", [Facts(_facts(source)), Facts(_more(source))]))
    return blocks


def _facts(source: Source) -> list[tuple[str, str]]:
    run = source.run
    manifest, summary, timing = run.manifest, run.summary, run.timing
    strategy, search = manifest.strategy, manifest.search
    pairs = [
        ("Strategy", f"{strategy.name} ({strategy.file}, sha256 {strategy.sha256[:12]})"),
        ("What it does", strategy.description),
        ("Question", manifest.hypothesis),
        ("Data", "; ".join(_data(source))),
        (
            "Windows",
            (
                f"{summary.windows}, train {manifest.plan.train}, test {manifest.plan.test},"
                f" {'anchored' if manifest.plan.anchored else 'rolling'}"
            ),
        ),
        (
            "Trials",
            (
                f"{summary.trials:,} in this run; {timing.earlier_trials:,} earlier ones on the same or"
                f" overlapping data, {timing.earlier_trials_of_strategy:,} of them of this strategy"
            ),
        ),
        ("Objective", f"{search.objective_text}; at least {plural(search.min_trades, 'trade')}"),
        ("Seed", str(search.seed)),
        ("Costs", manifest.settings_text),
    ]
    if not summary.funding_modelled:
        pairs.append(("Funding", "funding: not modelled"))
    return [(name, text) for name, text in pairs if text]


def _data(source: Source) -> list[str]:
    return [
        f"{one.symbol} {one.timeframe} from {one.source}, {day(one.start_ms)} to"
        f" {day(one.end_ms)}, {plural(one.bars, 'bar')}"
        f"{', synthetic market' if one.synthetic else ''}, fingerprint {one.fingerprint[:12]}"
        for one in source.run.manifest.data
    ]


def _more(source: Source) -> list[tuple[str, str]]:
    run = source.run
    manifest, timing = run.manifest, run.timing
    fixed = ", ".join(f"{name} = {plain(value)}" for name, value in manifest.strategy.fixed.items())
    versions = manifest.versions
    words = ", ".join(
        f"{name} {versions[name]}" for name in ("ftbt", "python", "optuna") if name in versions
    )
    engine = run.summary.engine
    resumed = f", resumed {plural(timing.resumed, 'time')}" if timing.resumed else ""
    pairs = [
        ("Fixed by hand", fixed),
        ("Sampler", manifest.search.sampler),
        ("Engine", engine if engine == manifest.engine else f"{engine} (asked for: {manifest.engine})"),
        ("Versions", words),
        ("Code of ftbt", f"sha256 {manifest.code[:12]}"),
        ("Finished", (f"{timing.finished}, after {span(timing.seconds * 1000)} on"
         f" {plural(timing.jobs, 'worker')}{resumed}")),
        ("Run", manifest.run_id),
    ]  # fmt: skip
    return [(name, text) for name, text in pairs if text]
