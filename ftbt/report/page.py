"""From built sections to one self-contained page: templates, style, script, security policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ftbt import __version__
from ftbt.report.blocks import Block, Built, Figure
from ftbt.report.live import with_frames
from ftbt.report.svg import styled, to_svg
from ftbt.report.theme import LAYOUTS, style_variables


@cache
def environment() -> Environment:
    """Return the templates of this package; everything a run holds is escaped."""
    made = Environment(
        loader=PackageLoader("ftbt", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["drawings"] = drawings
    return made


def _asset(name: str) -> str:
    return resources.files("ftbt.report").joinpath(name).read_text(encoding="utf-8")


def drawings(figure: Figure) -> list[Markup]:
    """Return *figure* as inline SVG, once for each layout; the style sheet shows the fitting one.

    The SVG comes from matplotlib, which escapes every text it writes.
    """
    made = []
    for layout in LAYOUTS:
        with mpl.rc_context(styled(layout)):
            drawing = figure.draw(layout)
        prefix = f"{figure.anchor}-{layout.name[0]}"
        svg = to_svg(drawing, prefix, layout, figure.title)
        if figure.chart is not None:
            svg = with_frames(svg, drawing)
        made.append(Markup(svg))  # noqa: S704 - see above
    return made


def content_policy(script: str) -> str:
    """Return a policy that allows the inline style and exactly this script, and no connection."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    )


def page(
    title: str,
    subtitle: str,
    head: Sequence[Block],
    sections: Sequence[Built],
    footer: str,
    kind: str = "walk-forward report",
) -> str:
    """Return a whole report, or another page of its *kind*, as one HTML document."""
    script = _asset("report.js")
    return (
        environment()
        .get_template("report.html")
        .render(
            title=title,
            kind=kind,
            subtitle=subtitle,
            head=head,
            sections=sections,
            footer=footer,
            version=__version__,
            policy=content_policy(script),
            style=Markup(style_variables() + _asset("report.css")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
        )
    )
