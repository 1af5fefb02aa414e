"""What a strategy gets that reaches for a second feed: one line that tells what there is.

In plain Backtrader one strategy object sees all feeds. Here each symbol has an object of its own,
so that warm-up, ends and gaps of one symbol never shift the lines of another; reading another feed
would be refused by an error inside Backtrader at best, and read values to come at worst.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from backtrader.utils import DotDict

from ftbt.errors import StrategyBroken

_FURTHER = re.compile(r"data([1-9]\d*)(_\w+)?")


class NoSuchFeed(StrategyBroken, AttributeError, IndexError):  # noqa: N818 - as StrategyBroken
    """There is no second feed; `hasattr(self, "data1")` still answers False."""


def refuse_feed(asked: str, data: Any) -> NoReturn:
    """Raise for *asked*, the words of the strategy, whose own feed is *data*."""
    own = getattr(data, "_name", "") or "its symbol's"
    raise NoSuchFeed(
        f"{asked} is not there: a strategy gets one feed, self.data ({own}), and with several"
        " symbols each gets an object of its own; for a longer timeframe use a line, for example"
        ' smc.Structure(self.data, timeframe="4h")'
    )


class OneFeed(list[Any]):
    """`self.datas`: a list of one feed."""

    def __getitem__(self, which: Any) -> Any:
        """Return the feed; say so when another one is asked for."""
        if isinstance(which, int) and not -len(self) <= which < len(self):
            refuse_feed(f"self.datas[{which}]", super().__getitem__(0))
        return super().__getitem__(which)


class OneName(DotDict):
    """`self.dnames`: the one feed by its name."""

    def __missing__(self, name: str) -> NoReturn:
        """Say that there is no feed of that *name*."""
        refuse_feed(f"self.dnames.{name}", next(iter(self.values()), None))


def one_feed(cls: Any) -> dict[str, Any]:
    """Return the methods by which a strategy of class *cls* reaches for feeds."""

    def __init__(self: Any, *given: Any, **values: Any) -> None:  # noqa: N807
        self.datas, self.dnames = OneFeed(self.datas), OneName(self.dnames)
        cls.__init__(self, *given, **values)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        if _FURTHER.fullmatch(name) and "datas" in vars(self):
            refuse_feed(f"self.{name}", self.datas[0])
        return cls.__getattr__(self, name)

    def getdatabyname(self: Any, name: Any) -> Any:
        data = self.datas[0]
        if name != data._name:  # noqa: SLF001 - no public name
            refuse_feed(f"data {name!r}", data)
        return data

    return {one.__name__: one for one in (__init__, __getattr__, getdatabyname)}
