"""One call from candles and parameters to a `Result`, on the reference engine (Backtrader)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt
import numpy as np

from ftbt.backtest.broker import ModelBroker
from ftbt.backtest.costs import funding_coverage
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.errors import FtbtError, InputError, StrategyBroken
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve

Progress = Callable[[int, int], None]
ENGINES = ("auto", "reference")


def _gated(cls: type[Any], trade_from: int) -> type[Any]:
    """Return *cls* with a longer minimum period: Backtrader's own way to wait for warm-up."""

    def _periodset(self: Any) -> None:
        super(gated, self)._periodset()
        self._minperiods = [max(period, trade_from + 1) for period in self._minperiods]

    body = {"_periodset": _periodset, "__module__": cls.__module__}
    metaclass: Any = type(cls)
    gated: type[Any] = metaclass(cls.__name__, (cls,), body)
    return gated


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
        engine: "auto" or "reference".
        progress: called now and then with (bars done, bars in all).

    Raises:
        ParameterError: unknown parameter or value out of range.
        StrategyBroken: the strategy raised an error; it is chained.
        InputError: the market is too short or the engine unknown.
    """
    if engine not in ENGINES:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    bars = len(market.candles)
    if not 0 <= trade_from < bars:
        raise InputError(
            f"{market.symbol}: {bars} bars, but the first {trade_from} only warm the lines up"
        )
    settings = settings or Settings()
    cls = strategy.load() if isinstance(strategy, StrategyRef) else strategy
    name = strategy.name if isinstance(strategy, StrategyRef) else cls.__name__
    values = resolve(cls, parameters or {}, market.candles.timeframe.text)
    broker = ModelBroker(settings, bars - 1, progress)
    instance = _run_cerebro(_gated(cls, trade_from), name, values, market, broker)
    book = next(iter(broker.books.values()))
    refused = broker.desk.refused + Counter(getattr(instance, "refused", {}))
    return Result(
        strategy=name,
        parameters=values,
        symbol=market.symbol,
        timeframe=market.candles.timeframe,
        time=market.candles.time[trade_from:],
        equity=np.array(broker.equity[trade_from:]),
        close=market.candles.close[trade_from:],
        orders=broker.desk.order_records(),
        fills=broker.desk.fill_records(),
        trades=book.trade_records(),
        reasons=tuple(getattr(cls, "reasons", ())),
        refused=dict(sorted(refused.items())),
        settings=settings,
        funding_modelled=market.funding is not None,
        synthetic=market.candles.synthetic,
        notes=_notes(market),
        engine="reference",
    )


def _run_cerebro(
    cls: type[Any], name: str, values: Mapping[str, Any], market: Market, broker: ModelBroker
) -> Any:
    """Run one strategy class in a Cerebro of its own; return its instance."""
    cerebro = bt.Cerebro(stdstats=False, runonce=True, preload=True)
    feed: Any = CandleFeed(candles=market.candles, instrument=market.instrument)
    cerebro.adddata(feed, name=market.symbol)
    broker.add_market(feed, market)
    cerebro.setbroker(broker)
    cerebro.addstrategy(cls, **values)
    try:
        ran = cerebro.run()
    except FtbtError:
        raise
    except Exception as error:
        raise StrategyBroken(
            f"strategy {name} stopped with {type(error).__name__}: {error}{_where(error)}"
        ) from error
    if not ran:
        raise StrategyBroken(f"strategy {name} refused to start (StrategySkipError)")
    if not all(map(math.isfinite, broker.equity)):
        raise StrategyBroken(f"strategy {name}: the equity is not a number; it sent such a price")
    return ran[0]


def _where(error: BaseException) -> str:
    """Return the last line of the user's own file that the error came through."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "backtrader" not in file and "ftbt" not in trace.tb_frame.f_globals.get("__name__", ""):
            place = f" ({file.rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        if trace.tb_frame.f_globals.get("__name__", "").startswith("ftbt_strategy_"):
            place = f" ({file.rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _notes(market: Market) -> tuple[str, ...]:
    candles = market.candles
    notes = [funding_coverage(candles.bars, candles.timeframe.ms, market.funding).note]
    if candles.synthetic:
        notes.insert(0, "synthetic market")
    if market.detail is not None:
        notes.append(f"path inside a bar walked on {market.detail.timeframe} bars")
    return tuple(note for note in notes if note)


def is_setup_strategy(cls: type[Any]) -> bool:
    """Tell whether *cls* decides by the compiled `decide`."""
    return issubclass(cls, SetupStrategy)
