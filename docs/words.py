"""Words that stand nowhere in the code: what parameters mean, and terms beside the report's."""

from __future__ import annotations

from collections.abc import Mapping

TIMEFRAME = "completed bars of that length only, built from the chart's own bars."

# By name, or by strategy and name where the word means something else there.
PARAMETERS: Mapping[str, str] = {
    # SetupStrategy
    "direction": "which side may be traded",
    "min_confidence": "setups with less confidence (0 to 100) are not taken",
    "min_rr": "least reward to risk of the last target; setups below it are not taken",
    "risk_per_trade": "share of the equity that a stopped trade loses, costs included, at full"
    " confidence",
    "confidence_sizing": "0: confidence does not change the size; 1: the risk follows it",
    "max_notional": "cap on the notional of a position, as a multiple of the equity",
    "scale_out": "share of the position that leaves at target 1, when there is a target 2",
    "break_even": "move the stop to the entry once target 1 has traded",
    "valid_bars": "bars that an entry waits to be filled before it is cancelled",
    "max_bars": "bars that a position lasts before it leaves at the market",
    "exit_on_choch": "leave at the market (or cancel the waiting entry) when structure turns"
    " against the trade",
    # shared by the shipped strategies
    "swing": "bars on each side that make a swing high or low",
    "bias": "trade only with the trend of the faster or slower higher timeframe (15m: 1h, 4h);"
    " `none`: in any trend",
    "stop_atr": "room between the far edge of the setup and the stop, in average true ranges",
    "target_r": "distance of target 1 in units of the risk",
    # liquidity_sweep
    "reclaim": "bars after the sweep in which the price may close back; 0: the same bar only",
    "min_touches": "least strength of the swept pool: its number of touches",
    # fvg_fill and bos_orderblock
    "min_size_atr": "smallest gap, in average true ranges",
    "depth": "where the limit order waits: 0 the near edge of the zone, 1 the far edge",
    "breaks": "which breaks of structure make an order block",
}

GLOSSARY: Mapping[str, str] = {
    "ATR": "Average true range: how far a bar moves on average, gaps included.",
    "Anchored windows": "Every training starts with the first one, so trainings grow.",
    "Bracket": "The stop and targets of one entry. They live from the moment the entry fills.",
    "Detail bars": "Shorter bars (1m under 15m) that tell the path inside a bar.",
    "Experiment": "A TOML file that asks one question: strategy, data, windows, search, and what"
    " one expects to see.",
    "Fingerprint": "A hash over all values of a series: equal fingerprints are equal candles.",
    "Hole": "Missing bars. Refused by default; with `--holes split` nothing crosses one.",
    "Intent": "What the decision at a close asks for: nothing, enter, cancel or exit.",
    "Ledger of trials": "`results/ledger.csv`: every parameter set that was ever tried.",
    "Ledger of zones": "Everything that ever happened to a gap, block or pool; only added to.",
    "Line": "A value per bar, known at the bar's close, that a strategy reads.",
    "Liquidation": "The position is closed by force when equity falls to the maintenance margin.",
    "Lot, tick": "Smallest step of a size, and of a price.",
    "Maker, taker": "A fill of an order that rested in the book; one that took such an order.",
    "Notional": "Size times price.",
    "Objective": "The figure that the search maximises in training.",
    "Preset": "Values that replace a strategy's defaults on one timeframe.",
    "Rolling windows": "Every training has the same length and moves on with its test.",
    "Run folder": "One folder in `results/` per run; its name is a hash over all that decides it.",
    "Segment": "A stretch of candles without a hole.",
    "Setup": "What a rule finds at a close: side, entry, stop, targets, confidence, reason.",
    "Synthetic market": "Made-up candles from a seed. They say nothing of a real market.",
    "Warm-up": "Bars in front of a window that only form the lines; nothing is traded on them.",
    "Zone": "A price range that is waited for: a gap, an order block, a pool.",
}
