"""`ftbt size`: how large a position may be, explained step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_LIMITS = {
    "equity": (0.0, 1e12, "quote currency"),
    "entry": (0.0, 1e9, "a price"),
    "stop": (0.0, 1e9, "a price"),
    "confidence": (0.0, 100.0, ""),
    "risk": (0.0, 0.05, "a fraction of equity"),
    "strength": (0.0, 1.0, ""),
    "max_notional": (0.0, 50.0, "times equity"),
    "leverage": (1.0, 200.0, ""),
    "exposure": (0.0, 10.0, "margin as a fraction of equity"),
    "cost": (0.0, 0.05, "a fraction of the notional"),
}

_FROM_ZERO = ("confidence", "strength", "cost", "leverage")


def _number(name: str, default: float | None, text: str) -> Callable[[F], F]:
    """Return an option for one number; without a default it is required."""
    # A default of None is a value to click: the option would no longer be required.
    more = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option(f"--{name.replace('_', '-')}", name, type=float, help=text, **more)


@click.command(
    epilog="Example: ftbt size --equity 500 --entry 67000 --stop 66300 --confidence 78 --symbol BTC"
)
@_number("equity", None, "Equity of the account, quote currency.")
@_number("entry", None, "Expected entry price.")
@_number("stop", None, "Stop price; below the entry it is a long, above it a short.")
@_number("confidence", 100.0, "Confidence of the setup, 0 to 100.")
@_number("risk", 0.02, "Fraction of equity that a full-confidence trade may lose.")
@_number("strength", 0.5, "How much confidence decides: 0 nothing, 1 everything.")
@_number("max_notional", 3.0, "Cap on the position, times equity.")
@_number("leverage", 10.0, "Leverage of the account.")
@_number("exposure", 0.20, "Margin that the limits on exposure leave, fraction of equity.")
@_number("cost", 0.00055, "Fee and slippage of one fill, fraction of its notional.")
@click.option("--symbol", default="BTC", show_default=True, help="Whose lot and tick apply.")
def size(symbol: str, **numbers: float) -> None:
    """Explain the size of a position, with the very function that back-test and live use.

    Risk comes first: what a stopped trade loses, costs of both fills included. The caps on
    notional, margin and exposure are limits of their own. Confidence scales what they allow.
    """
    from ftbt.data.market import instrument_for  # noqa: PLC0415 - help answers without these
    from ftbt.data.precision import round_price  # noqa: PLC0415
    from ftbt.errors import ParameterError  # noqa: PLC0415
    from ftbt.risk.limits import percent  # noqa: PLC0415
    from ftbt.risk.sizing import (  # noqa: PLC0415
        BY_EXPOSURE,
        BY_MARGIN,
        BY_NOTIONAL,
        confidence_scale,
        position_size,
    )

    for name, (low, high, unit) in _LIMITS.items():
        value = numbers[name]
        reached = name in _FROM_ZERO
        if not ((value >= low if reached else value > low) and value <= high):
            words = f" ({unit})" if unit else ""
            span = f"from {low:g} to {high:g}" if reached else f"above {low:g}, up to {high:g}"
            raise ParameterError(f"--{name.replace('_', '-')} must be {span}{words}, not {value:g}")
    rules = instrument_for(symbol)
    entry = round_price(numbers["entry"], rules.size_decimals)
    stop = round_price(numbers["stop"], rules.size_decimals)
    if entry == stop:
        raise ParameterError(
            f"--stop {numbers['stop']:g} and --entry {numbers['entry']:g} are both {stop:g} on the"
            f" price steps of {symbol}: there is no risk to size by"
        )
    equity, cost = numbers["equity"], numbers["cost"]
    leverage = min(numbers["leverage"], rules.max_leverage)
    scale = confidence_scale(numbers["confidence"], numbers["strength"])
    room = equity * numbers["exposure"] * leverage
    found, bound, _ = position_size(
        equity, entry, stop, scale, numbers["risk"], numbers["max_notional"], leverage, cost,
        rules.size_decimals, room,
    )  # fmt: skip
    distance = abs(entry - stop)
    per_unit = distance + cost * (entry + stop)
    full = equity * numbers["risk"]
    notional, margin = equity * numbers["max_notional"], equity * leverage
    allowed = min(full / per_unit, notional / entry, margin / entry, room / entry)
    caps = {
        BY_NOTIONAL: "the cap on notional",
        BY_MARGIN: "the cap on margin",
        BY_EXPOSURE: "the cap on exposure",
    }
    decides, sure = caps.get(bound, "risk"), numbers["confidence"]
    costs = f"{per_unit - distance:,.4g} costs"
    steps = {
        "full risk": f"{equity:,.2f} x {percent(numbers['risk'])} = {full:,.2f} may be lost",
        "loss per coin": f"{distance:g} to the stop + {costs} = {per_unit:,.6g}",
        "size by risk": f"{full:,.2f} / {per_unit:,.6g} = {full / per_unit:.8g}",
        "cap on notional": f"{notional:,.2f} / {entry:g} = {notional / entry:.8g}",
        "cap on margin": f"{margin:,.2f} / {entry:g} = {margin / entry:.8g}",
        "cap on exposure": f"{percent(numbers['exposure'])} of {margin:,.2f} = {room:,.2f},"
        f" / {entry:g} = {room / entry:.8g}",
        "allowed": f"{decides} decides: {allowed:.8g}",
        "confidence": f"{sure:g} of 100: x {scale:.3f} = {allowed * scale:.8g}",
        "size": f"cut to the lot: {found:.{rules.size_decimals}f}",
    }
    click.echo(f"{'long' if stop < entry else 'short'} {symbol}, entry {entry:g}, stop {stop:g}")
    for number, (title, text) in enumerate(steps.items(), start=1):
        click.echo(f"{number}. {title:<16} {text}")
    if found * entry < rules.min_notional:
        click.echo(
            f"not sent: {found * entry:,.2f} is below the smallest order of {rules.min_notional:g}"
        )
        return
    loss = found * per_unit
    click.echo(
        f"notional {found * entry:,.2f} ({found * entry / equity:.2f}x equity);"
        f" at the stop it loses {loss:,.2f} = {loss / equity:.2%} of equity"
    )
