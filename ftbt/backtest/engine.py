"""One call from candles and parameters to a `Result`, on the engine that suits the strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbt.backtest.compiled_engine import run_compiled, why_not
from ftbt.backtest.prepared import prepared
from ftbt.backtest.reference_engine import Progress, run_reference
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.errors import InputError, did_you_mean
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve

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
    """Run *strategy* over *market* and return what happened.

    The run starts flat and ends flat: what is still open leaves at the last close, with cost.

    Args:
        strategy: a reference (see `find_strategy`) or a Backtrader strategy class.
        market: candles, rules, and when known funding and detail bars.
        parameters: values that differ from the defaults and the timeframe's preset.
        settings: capital, fees, slippage.
        trade_from: bars at the front that only warm the lines up. The strategy's `next` is first
            called at the close of bar `trade_from`, and the equity curve begins there.
        engine: "auto" (compiled when the strategy allows it), "compiled", "reference", or
            "bar-by-bar": the reference with nothing made in advance, as live.
        progress: called now and then with (bars done, bars in all).

    Raises:
        ParameterError: unknown parameter or value out of range.
        StrategyBroken: the strategy raised an error; it is chained.
        InputError: the market is too short or the engine unknown.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        hint = did_you_mean(engine, ENGINES)
        raise InputError(f"engine must be one of {known}, not {engine!r}{hint}")
    bars = len(market.candles)
    if not 0 <= trade_from < bars:
        raise InputError(
            f"{market.symbol}: {bars} bars, but the first {trade_from} only warm the lines up"
        )
    settings = settings or Settings()
    cls = strategy.load() if isinstance(strategy, StrategyRef) else strategy
    name = strategy.name if isinstance(strategy, StrategyRef) else cls.__name__
    values = resolve(cls, parameters or {}, market.candles.timeframe.text)
    by_reference = engine in ("reference", "bar-by-bar")
    reason = "" if by_reference else why_not(cls)
    if reason and engine == "compiled":
        raise InputError(f"the compiled engine can't run {name}: {reason}; use --engine auto")
    notes = prepared(market).notes
    if by_reference or reason:
        found = run_reference(
            cls, name, values, market, settings, trade_from, progress,
            bar_by_bar=engine == "bar-by-bar",
        )  # fmt: skip
        notes += (f"reference engine: {reason}",) if reason else ()
        notes += found.pop("notes")
    else:
        found = run_compiled(cls, name, values, market, settings, trade_from)
    return Result(
        strategy=name,
        parameters=values,
        symbol=market.symbol,
        timeframe=market.candles.timeframe,
        time=market.candles.time[trade_from:],
        close=market.candles.close[trade_from:],
        reasons=tuple(getattr(cls, "reasons", ())),
        settings=settings,
        funding_modelled=market.funding is not None,
        synthetic=market.candles.synthetic,
        notes=notes,
        **found,
    )
