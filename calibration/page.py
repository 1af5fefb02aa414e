"""The published figures: a page, its curve, and the JSON that both are made of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.figures import ON_CURVE, STATES
from ftbt.data.files import atomic_with, atomic_write

TEMPLATE = Path(__file__).with_name("page_template.md")
PAGE, CURVE, DATA = "calibration.md", "calibration.svg", "calibration.json"
_COLOURS = {
    "PASS": "#1b7f3b",
    "INCONCLUSIVE": "#c98a00",
    "FAIL": "#b3261e",
    "NOT JUDGED": "#777777",
}
_MARKS = {"PASS": "o", "INCONCLUSIVE": "s", "FAIL": "^", "NOT JUDGED": "x"}
_HARD = ("H0 audit", "H0 costs", "H0 trades", "H1", "H2", "H3", "H4")
Found = Mapping[str, Any]


def publish(found: Found, folder: Path) -> list[Path]:
    """Write the JSON, the curve and the page into *folder*; return their paths."""
    paths = [folder / name for name in (DATA, CURVE, PAGE)]
    atomic_write(paths[0], json.dumps(found, indent=1) + "\n")
    atomic_with(paths[1], lambda path: draw(found, path))
    atomic_write(paths[2], page(found))
    return paths


def load(folder: Path) -> dict[str, Any]:
    """Return the published figures."""
    found: dict[str, Any] = json.loads((folder / DATA).read_text(encoding="utf-8"))
    return found


def draw(found: Found, path: Path) -> None:
    """Draw the share of each verdict over the measured Sharpe ratio, as SVG."""
    import matplotlib as mpl  # noqa: PLC0415 - a run without publishing needs none
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "ftbt", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        own = [one for name in ON_CURVE if (one := found["scenarios"][name])["sharpe"]["count"]]
        x = [one["sharpe"]["mean"] for one in own]
        for state in STATES:
            got = [one["states"][state] for one in own]
            y = [one["rate"] for one in got]
            errors = [[one["rate"] - one["low"] for one in got],
                      [one["high"] - one["rate"] for one in got]]  # fmt: skip
            axes.errorbar(x, y, errors, label=state, color=_COLOURS[state], marker=_MARKS[state],
                          capsize=3, linewidth=1.5, markersize=5)  # fmt: skip
        targets = found["targets"]
        for level in (targets["most_false"], targets["least_found"]):
            axes.axhline(level, color="#999999", linewidth=0.8, linestyle=":")
        axes.axvline(1.5, color="#999999", linewidth=0.8, linestyle=":")
        axes.set(xlabel="mean annual Sharpe ratio out of sample, after costs (measured)",
                 ylabel="share of pipelines, 95 % interval", ylim=(-0.02, 1.02))  # fmt: skip
        axes.grid(visible=True, alpha=0.25)
        axes.legend(loc="center left", frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _percent(got: Mapping[str, Any]) -> str:
    return f"{got['rate']:.1%} ({got['low']:.1%} to {got['high']:.1%})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def page(found: Found) -> str:
    """Return the page, made of `page_template.md`."""
    about, size = found["about"], found["about"]["size"]
    incomplete = (
        f"\n**Not complete:** {about['done']} of {about['planned']} pipelines were run.\n"
        if about["done"] < about["planned"]
        else ""
    )
    shown = {name: one for name, one in found["scenarios"].items() if one["sharpe"]["count"]}
    return TEMPLATE.read_text(encoding="utf-8").format(
        **size,
        years=size["windows"] * size["test"] / 365.25,
        done=about["done"],
        seed=about["seed"],
        ftbt=about["ftbt"],
        optuna=about["versions"]["optuna"],
        incomplete=incomplete,
        verdicts=_verdicts(found),
        strategies=_strategies(found),
        gates="\n".join(_gates(name, one) for name, one in shown.items()),
        p_values=_p_values(found),
        between=_between(found),
    )


def _between(found: Found) -> str:
    share = found["pass_at_1.5"]
    if share is None:
        return ""
    return (
        "The measured points do not lie at 1.5 exactly. The probit line through all of them has a"
        f" PASS rate of {_percent(share)} there.\n"
    )


def _verdicts(found: Found) -> str:
    rows = [
        (
            f"`{name}`: {one['words']}",
            str(one["states"]["PASS"]["count"]),
            f"{_figure(one['sharpe']['mean'])} ± {_figure(one['sharpe']['sd'])}",
            *(_percent(one["states"][state]) for state in STATES),
        )
        for name, one in found["scenarios"].items()
        if one["sharpe"]["count"]
    ]
    heads = ("market", "pipelines", "annual Sharpe (mean ± sd)", *STATES)
    return _table(heads, rows)


def _strategies(found: Found) -> str:
    rows = [
        (
            f"`{name}`", strategy, str(own["pass"]["count"]), _percent(own["pass"]),
            f"{_figure(own['sharpe']['mean'])} ± {_figure(own['sharpe']['sd'])}",
            f"{_figure(own['trades']['median'], 0)}",
        )
        for name, one in found["scenarios"].items()
        for strategy, own in one["strategies"].items()
    ]  # fmt: skip
    heads = ("market", "strategy", "pipelines", "PASS", "annual Sharpe", "median trades")
    return _table(heads, rows)


def _gates(name: str, one: Mapping[str, Any]) -> str:
    rows = [
        (
            gate, *(f"{got[outcome]['rate']:.1%}"
                    for outcome in ("pass", "inconclusive", "fail", "not_judged")),
            str(got["only"]) if gate in _HARD else "",
        )
        for gate, got in one["gates"].items()
    ]  # fmt: skip
    soft = ", ".join(f"{count} failed {number}" for number, count in one["soft_fails"].items())
    heads = ("gate", "pass", "inconclusive", "fail", "not judged", "alone in the way")
    said = f"Of those that passed all hard gates, so many failed so many soft ones: {soft}.\n"
    return f"### {name}\n\n{_table(heads, rows)}" + (f"\n{said}" if soft else "")


_P_NAMES = {
    "psr_2012": "1 - probabilistic Sharpe ratio, form of 2012 (H1)",
    "psr_2025": "1 - probabilistic Sharpe ratio, form of 2025",
    "spa_p": "SPA against cash (H4)",
    "pbo_p": "PBO against its null (H3)",
    "loss_p": "probability of loss against its null (H3)",
    "entries_p": "random entries (S5)",
}


def _p_values(found: Found) -> str:
    rows = []
    for name in ("null", "null_garch", "zero"):
        for key, words in _P_NAMES.items():
            got = found["scenarios"][name]["p_values"][key]
            if got["count"]:
                below = [_percent(got["below"][level]) for level in ("0.05", "0.1", "0.2", "0.5")]
                rows.append((f"`{name}`", words, *below, _figure(got["ks_distance"])))
    heads = ("market", "p-value", "<= 0.05", "<= 0.1", "<= 0.2", "<= 0.5", "distance")
    return _table(heads, rows)
