"""The published figures: a page, and the JSON that it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbt.data.files import atomic_write

TEMPLATE = Path(__file__).with_name("page_template.md")
PAGE, DATA = "soak-report.md", "reference/soak.json"
Found = Mapping[str, Any]
_MET = {True: "kept", False: "**missed**", None: "not judged"}


def publish(found: Found, docs: Path) -> list[Path]:
    """Write JSON and page below *docs*; return their paths."""
    paths = [docs / DATA, docs / PAGE]
    atomic_write(paths[0], json.dumps(found, indent=1) + "\n")
    atomic_write(paths[1], page(found))
    return paths


def load(docs: Path) -> dict[str, Any]:
    """Return the published figures."""
    found: dict[str, Any] = json.loads((docs / DATA).read_text(encoding="utf-8"))
    return found


def page(found: Found) -> str:
    """Return the page, made of `page_template.md`."""
    about, lives, memory, money = (found[n] for n in ("about", "lives", "memory", "money"))
    return TEMPLATE.read_text(encoding="utf-8").format(
        seed=about["seed"], days=f"{about['days']:g}", symbols=", ".join(about["symbols"]),
        strategies=", ".join(f"`{name}`" for name in about["strategies"]),
        minutes=f"{about['minutes']:.1f}",
        promises=_promises(found["promises"]),
        money=_table(("", "USDC"), [(name, str(money[name])) for name in _MONEY]),
        compared=money["compared"],
        phases=_table(("struck at", "faults"),
                      [(name, str(n)) for name, n in found["phases"].items()]),
        faults=_table(("class", "drawn", "struck"),
                      [(f"`{name}`", str(one["drawn"]), str(one["struck"]))
                       for name, one in found["faults"].items()]),
        left_out="\n".join(f"- `{name}`: {why}." for name, why in found["left_out"].items()),
        limits=_limits(found["limits"]),
        lives=_lives(lives, memory),
        resumed=_resumed(found["resumed"]),
    )  # fmt: skip


_MONEY = ("deposits", "realised", "fees", "funding", "exchange", "ledger", "journal", "api")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _promises(rows: Sequence[Found]) -> str:
    return _table(
        ("promise", "found", "target", ""),
        [(str(one["words"]), str(one["figure"]), str(one["target"]), _MET[one["met"]])
         for one in rows],
    )  # fmt: skip


def _limits(rows: Sequence[Found]) -> str:
    return _table(
        ("limit", "asked", "most that was found", "times reached", "broken"),
        [(f"`{one['name']}`", f"{one['limit']:g}", f"{one['most']:.4g}", str(one["reached"]),
          str(len(one["broken"]))) for one in rows],
    )  # fmt: skip


def _lives(lives: Found, memory: Found) -> str:
    ends = ", ".join(f"{count} {how}" for how, count in lives["ends"].items())
    rows = [
        ("processes", f"{lives['count']} ({ends})"),
        ("ended by themselves", str(lives["falls"])),
        ("from start to ready, median", f"{lives['start_s']} s"),
        ("slowest start", f"{lives['slowest_start_s']} s"),
        ("forced absences in all", f"{lives['absent_s']} s"),
        ("oldest sign of life that was told", f"{lives['slowest_beat_s']} s"),
        ("times a position was seen without a working stop", str(lives["bare"])),
        ("longest of them, the process being there", f"{lives['longest_bare_s']} s"),
        ("longest of them with deaths and outages", f"{lives['longest_bare_all_s']} s"),
        ("most positions at a time", str(lives["most_positions"])),
        ("most notional over equity", f"{lives['most_leverage']:.2f}"),
    ]
    if memory["first_mb"] is not None:
        rows.append((
            f"memory of the longest ({memory['days']:.1f} days): after its first day, in the end",
            f"{memory['first_mb']:.1f} MB, {memory['last_mb']:.1f} MB",
        ))  # fmt: skip
    return _table(("", ""), rows)


def _resumed(texts: Sequence[str]) -> str:
    if not texts:
        return "Nobody had to type anything."
    said = ", ".join(f'"{text}"' for text in texts)
    return (
        f"The owner had to type `ftbt resume` {len(texts)} times, where a fault was one of those"
        f" that wait for a person: {said}."
    )
