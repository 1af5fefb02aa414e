"""One call from candles and parameters to a `Result`, on the engine that suits the strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbt.backtest.compiled_engine import run_compiled, why_not
from ftbt.backtest.portfolio import Plan, Sleeve, Stretch, make_plan
from ftbt.backtest.prepared import prepared
from ftbt.backtest.reference_engine import Progress, run_reference
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.data.precision import tick_size
from ftbt.errors import InputError, did_you_mean
from ftbt.risk.allocation import Allocation
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.loader import StrategyRef

_USUAL = Settings()
# A step of the venue is 0.01 % of the price at most, but where the size's decimals forbid it.
COARSE_TICK = 0.01
ENGINES = ("auto", "compiled", "reference", "bar-by-bar")


def run_backtest(
    strategy: StrategyRef | type[Any],
    market: Market,
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    trade_from: int = 0,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Result:
    """Run one *strategy* over one *market*; see `run_portfolio`.

    Args:
        strategy: a reference (see `find_strategy`) or a Backtrader strategy class.
        market: candles, rules, and when known funding and detail bars.
        parameters: values that differ from the defaults and the timeframe's preset.
        settings: capital, fees, slippage, limits.
        trade_from: bars at the front that only warm the lines up. The strategy's `next` is first
            called at the close of bar `trade_from`, and the equity curve begins there.
        engine: as for `run_portfolio`.
        progress: as for `run_portfolio`.
    """
    return run_portfolio(
        [Sleeve(strategy, parameters or {})],
        [Stretch(market, trade_from)],
        settings,
        engine=engine,
        progress=progress,
    )


def run_portfolio(
    sleeves: Sequence[Sleeve],
    stretches: Sequence[Stretch],
    settings: Settings | None = None,
    *,
    allocation: Allocation | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Result:
    """Run every strategy on every symbol, on one account, and return what happened.

    The run starts flat and ends flat: what is still open at the end of a stretch of candles leaves
    at its last close, with cost. At one time all symbols' bars are walked first, in order; then the
    strategies decide, the first one on all its symbols, then the second: who comes first takes the
    room that the limits leave.

    Args:
        sleeves: strategies with their parameters and shares of the account.
        stretches: candles, rules, and when known funding and detail bars; several symbols, and
            several stretches of a symbol where candles are missing.
        settings: capital, fees, slippage, limits.
        allocation: whether the shares shrink in a drawdown; its weights are not read here.
        engine: "auto" (compiled when the strategies allow it), "compiled", "reference", or
            "bar-by-bar": the reference with nothing made in advance, as live.
        progress: called now and then with (bars done, bars in all).

    Raises:
        ParameterError: unknown parameter or value out of range.
        StrategyBroken: a strategy raised an error; it is chained.
        InputError: a market is too short, or the engine unknown.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        hint = did_you_mean(engine, ENGINES)
        raise InputError(f"engine must be one of {known}, not {engine!r}{hint}")
    plan = make_plan(sleeves, stretches, settings or _USUAL, allocation)
    by_reference = engine in ("reference", "bar-by-bar")
    reason = "" if by_reference else _why_not(plan)
    if reason and engine == "compiled":
        names = "+".join(plan.names)
        raise InputError(f"the compiled engine can't run {names}: {reason}; use --engine auto")
    notes = _notes(plan)
    if by_reference or reason:
        found = run_reference(plan, progress, bar_by_bar=engine == "bar-by-bar")
        notes += (f"reference engine: {reason}",) if reason else ()
        notes += found.pop("notes")
    else:
        found = run_compiled(plan)
    markets = [one.market for one in plan.stretches]
    return Result(
        strategies=plan.names,
        parameter_sets=plan.values,
        entry_reasons=tuple(tuple(getattr(cls, "reasons", ())) for cls in plan.classes),
        symbols=plan.symbols,
        timeframe=plan.timeframe,
        first_bar=plan.first_bar,
        time=plan.clock[plan.first_bar :],
        closes=plan.closes[plan.first_bar :],
        settings=plan.settings,
        funding_modelled=all(market.funding is not None for market in markets),
        synthetic=any(market.candles.synthetic for market in markets),
        notes=notes,
        **found,
    )


def _why_not(plan: Plan) -> str:
    """Return why the compiled engine can't run *plan*, "" when it can."""
    reasons = (why_not(cls) for cls in plan.classes)
    return next((reason for reason in reasons if reason), "")


def _coarse_ticks(market: Market) -> str:
    """Return what must be told when the venue's price step is coarse for these prices, else ""."""
    price, rules = float(market.candles.close.min()), market.instrument
    step = tick_size(price, rules.size_decimals)
    if step <= COARSE_TICK * price:
        return ""
    return (
        f"{market.symbol}: orders are rounded to price steps of {step:g}, more than"
        f" {COARSE_TICK:.0%} of the lowest price: the rules taken for it ({rules.size_decimals}"
        " decimals of size) do not fit such prices"
    )


def _notes(plan: Plan) -> tuple[str, ...]:
    found = [note for one in plan.stretches for note in prepared(one.market).notes]
    found += [note for one in plan.stretches if (note := _coarse_ticks(one.market))]
    for name, cls, share in zip(plan.names, plan.classes, plan.shares, strict=True):
        if share < 1.0 and not issubclass(cls, SetupStrategy):
            found.append(f"{name} sizes its own orders: its share of the account is not applied")
        if len(set(plan.symbols)) > 1 and not issubclass(cls, SetupStrategy):
            found.append(f"{name} runs on each symbol by itself: self.datas holds that one alone")
    return tuple(dict.fromkeys(found))
