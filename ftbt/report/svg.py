"""A matplotlib drawing as inline SVG: small, deterministic, in the colours of the page.

Inline SVG shares one document: ids must not collide (or one figure clips another), a `<style>`
would reach everything, and colours have to follow light and dark. So the text that matplotlib
writes is cleaned here.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ftbt.report.theme import RC, VARIABLES, Layout

HALO = "halo"  # gid of texts that get a rim in the page's colour, so that lines don't cut them

_REFERENCE = re.compile(r'url\(#([^)]+)\)|href="#([^"]+)"')
_COLOUR = re.compile("|".join(map(re.escape, VARIABLES)))
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_GEOMETRY = re.compile(r' (?:d|x|y|x1|x2|y1|y2|width|height|points)="[^"]*"')


def styled(layout: Layout) -> dict[Any, Any]:
    """Return matplotlib's settings for *layout*."""
    sizes = {
        "font.size": layout.font,
        "axes.titlesize": layout.font,
        "axes.labelsize": layout.font,
        "xtick.labelsize": layout.font,
        "ytick.labelsize": layout.font,
        "legend.fontsize": layout.font,
    }
    return {**RC, **sizes}


def to_svg(figure: Figure, prefix: str, layout: Layout, title: str) -> str:
    """Return *figure* as an `<svg>` element for an HTML page.

    Args:
        figure: drawn within `mpl.rc_context(styled(layout))`.
        prefix: unique in the page; put in front of every id.
        layout: gives the CSS class.
        title: read out by screen readers.
    """
    with mpl.rc_context(styled(layout)):
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return clean(buffer.getvalue(), prefix, layout.name, title)


def clean(text: str, prefix: str, name: str, title: str) -> str:
    """Return matplotlib's SVG document *text* as an element; see the module docstring."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    text = text.replace(f' id="{HALO}"', f' class="{HALO}"')
    text = _own_ids(text, prefix)
    text = _GEOMETRY.sub(lambda found: _LONG_NUMBER.sub(r"\1", found[0]), text)
    text = _COLOUR.sub(lambda found: VARIABLES[found[0]], text)
    # The family is the page's; matplotlib's own is only what the drawing was measured with.
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r"<g>\s*</g>|<g/>|<defs>\s*</defs>|<defs/>", "", text)
    text = re.sub(r">\s+<", "><", re.sub(r"\n+", "\n", text)).strip()
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None  # matplotlib always writes one
    head = (
        f'<svg class="chart {name}" viewBox="{box[1]}" role="img"'
        f' aria-label="{escape(title, quote=True)}">'
    )
    return head + text[text.index(">") + 1 :]


def _own_ids(text: str, prefix: str) -> str:
    """Drop ids that nothing refers to and put *prefix* in front of the others."""
    used = {first or second for first, second in _REFERENCE.findall(text)}
    numbers = {old: f"{prefix}-{index}" for index, old in enumerate(sorted(used))}

    def keep(found: re.Match[str]) -> str:
        return f' id="{numbers[found[1]]}"' if found[1] in numbers else ""

    def refer(found: re.Match[str]) -> str:
        new = numbers[found[1] or found[2]]
        return f"url(#{new})" if found[1] else f'href="#{new}"'

    return _REFERENCE.sub(refer, re.sub(r' id="([^"]*)"', keep, text))
