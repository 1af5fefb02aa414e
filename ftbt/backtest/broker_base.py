"""What the project's broker does not take from Backtrader's, and how a perpetual is charged."""

from __future__ import annotations

from typing import Any, NoReturn

import backtrader as bt
from backtrader.comminfo import CommInfoBase

from ftbt.data.precision import floor_size
from ftbt.errors import StrategyBroken

# What Backtrader's own broker offers to strategies, and why it can't be had here.
_THE_MODEL = "an order decided at a close first trades in the next bar"
_THE_COSTS = "fees, slippage and leverage are settings of the run, so that every result shows them"
_REFUSED = {
    "set_coc": _THE_MODEL,
    "set_coo": _THE_MODEL,
    "set_cash": "the capital is a setting of the run",
    "setcash": "the capital is a setting of the run",
    "add_cash": "the capital is a setting of the run",
    "setcommission": _THE_COSTS,
    "addcommissioninfo": _THE_COSTS,
    "set_slippage_perc": _THE_COSTS,
    "set_slippage_fixed": _THE_COSTS,
    "set_shortcash": "longs and shorts of a perpetual are alike",
    "set_filler": "orders fill as a whole",
    "set_eosbar": "the market never closes",
    "seteosbar": "the market never closes",
}


class PerpetualCommission(CommInfoBase):
    """Linear perpetual: sizes are fractions of a coin; values are signed notionals, as of stocks.

    Leverage limits what may be opened; it does not multiply what `order_target_value` or a sizer
    asks for.
    """

    params = (("stocklike", False), ("commtype", CommInfoBase.COMM_PERC), ("percabs", True),
              ("size_decimals", 3))  # fmt: skip

    def getsize(self, price: float, cash: float) -> float:
        """Return the size whose notional is *cash*, cut to the lot (Backtrader's cuts to 1)."""
        size: float = floor_size(cash / price, self.p.size_decimals)
        return size

    def get_margin(self, price: float) -> float:
        """Return the initial margin of one coin."""
        return float(price / self.p.leverage)

    def getvaluesize(self, size: float, price: float) -> float:
        """Return the signed notional."""
        return size * price

    def getvalue(self, position: Any, price: float) -> float:
        """Return the signed notional of *position*."""
        return float(position.size * price)


class StrictBroker(bt.BrokerBase):
    """A broker that says why something of Backtrader's own broker is not here."""

    def __getattr__(self, name: str) -> NoReturn:
        """Say why something of Backtrader's own broker is not here."""
        if name in _REFUSED:
            raise StrategyBroken(f"broker.{name}() is not supported: {_REFUSED[name]}")
        raise AttributeError(f"the broker has no {name!r}")

    def setcommission(self, *_: Any, **__: Any) -> None:
        """Refuse: costs are settings of the run."""
        self.__getattr__("setcommission")

    def addcommissioninfo(self, *_: Any, **__: Any) -> None:
        """Refuse: costs are settings of the run."""
        self.__getattr__("addcommissioninfo")
