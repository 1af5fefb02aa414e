"""A feed that stands at one bar: as much of it as orders and books read."""

from __future__ import annotations

from datetime import datetime, time
from types import SimpleNamespace

from backtrader.utils.dateintern import date2num, num2date

from ftbt.data.feed import to_bt_time


class _Times(list[float]):
    """The times of one bar, as Backtrader's orders ask for them."""

    def datetime(self, ago: int = 0) -> datetime:
        found: datetime = num2date(self[ago])
        return found


class StillFeed:
    """One bar of *coin* that opened at *opened* (ms) and closed at *price*.

    Attributes:
        live: orders may open something at it.
    """

    p = SimpleNamespace(sessionend=time.max)
    date2num = staticmethod(date2num)

    def __init__(self, coin: str, opened: int, price: float, *, live: bool = False) -> None:
        self._name = self.coin = coin
        self.live = live
        self.datetime, self.close = _Times([to_bt_time(opened)]), [price]
        self.lines = SimpleNamespace(datetime=self.datetime)

    def __len__(self) -> int:
        return 1
