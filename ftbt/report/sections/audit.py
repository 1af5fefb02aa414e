"""What the assessment adds to the limits: the look-ahead audit, and what could not be computed."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import sentence
from ftbt.report.blocks import Block, Notice, Points, Prose
from ftbt.report.format import plural
from ftbt.report.source import Source
from ftbt.robustness.assessment import AuditFacts


def blocks(source: Source) -> Sequence[Block]:
    """Return the audit and the limits; nothing for a run that was not assessed."""
    found = source.assessment
    if found is None:
        return []
    made: list[Block] = [_audit(found.audit)]
    # A limit that has been lifted since: the run is a cell of a matrix now.
    limits = [one for one in found.limits if source.matrix is None or "matrix" not in one.what]
    if limits:
        made.append(Prose([], title="What could not be computed, or must be known"))
        made.append(
            Points(
                [
                    (f"{limit.what[:1].upper()}{limit.what[1:]}:", sentence(limit.why))
                    for limit in limits
                ]
            )
        )
    return made


def _audit(audit: AuditFacts) -> Notice:
    where = f" Audited: {', '.join(audit.audited)}." if audit.audited else ""
    if audit.orders:
        where += f" {plural(audit.orders, 'order')} decided again."
    where += "".join(f" {sentence(text)}" for text in audit.warnings)
    title, tone = "Look-ahead audit: not made", "hold"
    if audit.made:
        title = "Look-ahead audit: no order changed" if audit.clean else "Look-ahead audit: failed"
        tone = "gain" if audit.clean else "loss"
    return Notice(title, f"{sentence(audit.sentence)}{where}", tone)
