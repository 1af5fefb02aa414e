"""Colours of the report: one table for the style sheet and for the figures, light and dark.

Figures are drawn in the light colours; `ftbt.report.svg` then writes each of them as a CSS
variable, so that one drawing serves light, dark and print. Blue, ochre, teal and vermilion stay
apart for readers with any common colour blindness; no figure tells by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shade:
    """One colour of the palette: `#rrggbb` on light paper and on dark."""

    light: str
    dark: str


# Every light value occurs once: it is the key by which a figure's colour finds its variable.
PALETTE = {
    "page": Shade("#fcfcfa", "#14171a"),
    "panel": Shade("#f4f4f0", "#1d2125"),
    "rule": Shade("#dddcd5", "#343a40"),
    "ink": Shade("#1c2126", "#e8e6e1"),
    "muted": Shade("#5d656d", "#a3abb3"),
    "out": Shade("#1b5e9e", "#74b3ee"),
    "within": Shade("#8d959c", "#7d868e"),
    "hold": Shade("#925a06", "#e0a950"),
    "gain": Shade("#0a7068", "#4fc1b5"),
    "loss": Shade("#b23c17", "#f2906c"),
    "pool": Shade("#7a4a9c", "#c39be0"),
    "soft": Shade("#e3ecf5", "#22303d"),
}

PAGE, PANEL, RULE = (PALETTE[name].light for name in ("page", "panel", "rule"))
INK, MUTED = PALETTE["ink"].light, PALETTE["muted"].light
OUT, WITHIN, HOLD = (PALETTE[name].light for name in ("out", "within", "hold"))
GAIN, LOSS, POOL = (PALETTE[name].light for name in ("gain", "loss", "pool"))

VARIABLES = {shade.light: f"var(--{name})" for name, shade in PALETTE.items()}


@dataclass(frozen=True, slots=True)
class Layout:
    """A size in which every figure is drawn; the style sheet shows the one that fits.

    Attributes:
        name: CSS class.
        width: of the drawing, CSS pixels at natural size.
        font: size of tick labels, CSS pixels.
        narrow: True on a phone: fewer ticks, no side notes.
    """

    name: str
    width: float
    font: float
    narrow: bool


WIDE = Layout("wide", 840.0, 12.0, narrow=False)
NARROW = Layout("narrow", 352.0, 11.0, narrow=True)
LAYOUTS = (WIDE, NARROW)

# Lists, not tuples: that is what matplotlib's validators compare without a warning.
RC: dict[str, object] = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same layout on every machine
    "svg.fonttype": "none",
    "svg.hashsalt": "ftbt",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.formatter.use_mathtext": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
    "xtick.minor.size": 0.0,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "path.simplify": False,  # series are thinned before they are drawn
}


def style_variables() -> str:
    """Return the CSS that defines the palette, light by default, dark on demand, light in print."""

    def block(dark: bool) -> str:
        items = PALETTE.items()
        return "".join(f"--{name}:{shade.dark if dark else shade.light};" for name, shade in items)

    light, dark = block(dark=False), block(dark=True)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
    )
