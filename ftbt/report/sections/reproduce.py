"""Reproducibility: the command, the versions, the hashes, the files of the run folder."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.blocks import Block, Code, Facts, Prose, Section
from ftbt.report.sections import header
from ftbt.report.source import Source

_FILES = (
    ("manifest.json", "everything that determines the result: strategy, data, plan, search, costs"),
    ("summary.json", "the figures of this report"),
    ("robustness.json", "the verdict with its evidence: every number of the sections that judge"),
    ("matrix.json", "the walk-forward matrix that this run is a cell of"),
    ("deployment.json", "what `ftbt promote` made of this run"),
    ("windows.parquet", "one row per window: spans, chosen parameters, metrics"),
    ("trials.parquet", "every parameter set that was tried, with all its metrics"),
    ("trial_returns.parquet", "daily training returns of every trial"),
    ("equity.parquet", "stitched out-of-sample equity and buy-and-hold, per bar"),
    ("in_sample.parquet", "training equity of the chosen parameters, per bar"),
    ("trades.parquet", "every out-of-sample trade"),
    ("examples.json", "candles and zones of the example trades"),
    ("timing.json", "when and how long it ran: the only file that differs between executions"),
    ("report.html", "this page"),
)


def build(source: Source) -> Sequence[Block]:
    """Return command, what ran, hashes and files."""
    manifest = source.run.manifest
    hashes = [
        ("Strategy file", f"{file}  {sha256}") for _, file, sha256 in header.strategy_files(source)
    ]
    hashes.append(("Code of ftbt", manifest.code))
    for one in manifest.data:
        hashes.append((f"Candles {one.symbol} {one.timeframe}", one.fingerprint))
        if one.funding is not None:
            hashes.append((f"Funding {one.symbol}", one.funding))
        if one.detail is not None:
            hashes.append((f"Detail bars {one.symbol} {one.detail_timeframe}", one.detail))
    return [
        Prose(
            [
                (
                    "The same command on the same data, strategy file and versions gives the same"
                    " numbers to the last bit, on any number of workers, resumed or not."
                )
            ]
        ),
        Code(manifest.command),
        Prose(["This page can be made anew from the run folder alone:"]),
        Code(f"ftbt report {manifest.run_id}"),
        Facts(header.facts(source), "What ran"),
        Facts(hashes, "Hashes (sha256)", style="code"),
        Facts(
            [(name, text) for name, text in _FILES if _there(source, name)],
            "Files in the run folder",
        ),
    ]


def _there(source: Source, name: str) -> bool:
    return name == "report.html" or (source.run.folder / name).is_file()


SECTION = Section(
    "reproduce", "Reproducibility", build, "Everything needed to get these numbers again."
)
