"""Which column of a table is what: the names that exchanges, charting programs and people use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ftbt.data.candles import FIELDS, Bars, Floats, Ints, make_bars
from ftbt.data.cells import NO_TIME, floats, times_ms
from ftbt.data.checks import check_bars, infer_timeframe, refusal
from ftbt.data.funding import check_funding
from ftbt.data.problems import Problem, find_problems
from ftbt.data.timeframe import Timeframe
from ftbt.errors import DataError, did_you_mean

# In order of trust: a name that says "open time" beats one that says only "date".
TIME_NAMES = (
    "open_time", "opentime", "start_time", "start_at", "period_start", "time_period_start",
    "timestamp", "unix_timestamp", "unix_time", "unix", "ts", "t", "datetime", "date_time", "time",
    "date", "start", "calc_time", "funding_time", "index", "unnamed_0", "",
)  # fmt: skip
CLOSE_TIME_NAMES = ("close_time", "closetime", "end_time", "period_end", "end")
FIELD_NAMES = {
    "open": ("open", "o", "open_price", "price_open", "opening_price", "first"),
    "high": ("high", "h", "high_price", "price_high", "highest", "max"),
    "low": ("low", "l", "low_price", "price_low", "lowest", "min"),
    "close": ("close", "c", "close_price", "price_close", "closing_price", "close_last", "last"),
    "volume": (
        "volume", "base_volume", "volume_base", "volumefrom", "volume_from", "volume_traded", "vol",
        "v", "base_asset_volume", "tickvol", "tick_volume",
    ),
}  # fmt: skip
RATE_NAMES = ("funding_rate", "last_funding_rate", "fundingrate", "funding", "rate")

_QUOTES = {
    "usd", "usdt", "usdc", "busd", "fdusd", "tusd", "dai", "eur", "gbp", "jpy", "krw", "try",
    "quote", "ccy", "to", "ccyquote", "volumeto",
}  # fmt: skip
_HEADERLESS = {
    6: ("open_time", *FIELDS),
    7: ("open_time", *FIELDS, "trades"),
    12: (
        "open_time", *FIELDS, "close_time", "quote_volume", "trades", "taker_volume",
        "taker_quote_volume", "ignore",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Candles as read from a table, nothing refused yet.

    Attributes:
        bars: BAR array, shape (n,); NO_TIME and NaN where a cell could not be read.
        unreadable: those cells.
        where: the file, for messages.
        first_line: line of row 0 in a text file whose rows follow its lines, or None.
    """

    bars: Bars
    unreadable: tuple[Problem, ...]
    where: str
    first_line: int | None = None

    def timeframe(self, given: str | Timeframe | None) -> Timeframe:
        """Return the *given* bar length, or the commonest step between rows.

        Raises:
            DataError: when there is no clear step, or *given* is not it.
        """
        time = self.bars["time"]
        readable = time[time != NO_TIME]
        if len(time) == 0:
            check_bars(self.bars, Timeframe.parse("1m"), self.where)
        if given is None:
            return self._inferred(readable)
        wanted = Timeframe.parse(given)
        if len(readable) > 2:
            self._refuse_other_step(readable, wanted)
        return wanted

    def problems(self, timeframe: Timeframe) -> list[Problem]:
        """Return everything wrong, unreadable cells by their text."""
        known = {(problem.row, problem.column) for problem in self.unreadable}
        found = [p for p in find_problems(self.bars, timeframe) if (p.row, p.column) not in known]
        return sorted([*self.unreadable, *found], key=lambda problem: problem.row)

    def check(self, timeframe: Timeframe, holes: str = "refuse") -> None:
        """Pass when these are candles of *timeframe*; `holes="split"` passes over holes.

        Raises:
            DataError: naming file, row, column and value.
        """
        self._refuse_unusable()
        check_bars(self.bars, timeframe, self.where, holes=holes, first_line=self.first_line)

    def _refuse_unusable(self) -> None:
        if self.unreadable:
            first, total = list(self.unreadable[:3]), len(self.unreadable)
            raise DataError(refusal(self.where, first, total, self.first_line))
        time = self.bars["time"]
        if len(time) > 1 and bool((np.diff(time) < 0).all()):
            raise DataError(
                f"{self.where}: the rows run from newest to oldest; --sort puts them in order"
            )

    def _inferred(self, readable: Ints) -> Timeframe:
        try:
            return infer_timeframe(readable, self.where)
        except DataError:
            self._refuse_unusable()  # unreadable cells explain more than a missing rule
            raise

    def _refuse_other_step(self, readable: Ints, wanted: Timeframe) -> None:
        try:
            found = infer_timeframe(readable, self.where)
        except DataError:
            return  # no clear step: the row by row check names what is wrong
        if found != wanted:
            raise DataError(
                f"{self.where}: the rows are {found} apart, not {wanted}; leave --timeframe out"
                " or give a file of that length"
            )


def bars_from_frame(
    frame: pd.DataFrame, where: str, *, sort: bool = False, first_line: int | None = None
) -> Table:
    """Return the candles of a *frame* with any common column names; *sort* orders them by time.

    Raises:
        DataError: a column is missing or could be two; names the columns found.
    """
    frame = _with_index(frame)
    found = recognise(frame.columns, where)
    time = times_ms(_time_cells(frame, found["time"]))
    values, bad = [], []
    for name in FIELDS:
        cells, rows = floats(frame[found[name]])
        values.append(cells)
        bad += [_unreadable(frame, row, name, found[name], "number") for row in rows]
    lost = np.flatnonzero(time == NO_TIME).tolist()
    bad += [_unreadable(frame, row, "time", found["time"], "time") for row in lost]
    bars = make_bars(time, *values)
    if sort and not bad and bool((np.diff(time) < 0).any()):
        bars, first_line = bars[np.argsort(time, kind="stable")], None
    return Table(bars, tuple(sorted(bad, key=lambda cell: cell.row)), where, first_line)


def funding_from_frame(
    frame: pd.DataFrame, where: str, *, sort: bool = False
) -> tuple[Ints, Floats]:
    """Return times (ms UTC) and rates of a *frame* with a time and a funding rate column.

    Raises:
        DataError: columns missing, cells that cannot be read, times that do not rise.
    """
    frame = _with_index(frame)
    time_name = _pick_time(frame.columns, where)
    rate_name = _find(frame.columns, RATE_NAMES)
    if time_name is None or rate_name is None:
        raise DataError(_missing(where, frame.columns, ["time" if rate_name else "funding_rate"]))
    time = times_ms(_time_cells(frame, time_name))
    rate, rows = floats(frame[rate_name])
    bad = [_unreadable(frame, row, "funding_rate", rate_name, "number") for row in rows]
    lost = np.flatnonzero(time == NO_TIME).tolist()
    bad += [_unreadable(frame, row, "time", time_name, "time") for row in lost]
    if bad:
        raise DataError(refusal(where, bad[:3], len(bad)))
    if sort:
        order = np.argsort(time, kind="stable")
        time, rate = time[order], rate[order]
    check_funding(time, rate, where)
    return time, rate


def is_funding(columns: Iterable[object]) -> bool:
    """Return whether these are the columns of funding rates rather than of candles."""
    names = list(columns)
    prices = [name for field in ("open", "close") if (name := _find(names, FIELD_NAMES[field]))]
    return not prices and _find(names, RATE_NAMES) is not None


def headerless(count: int) -> tuple[str, ...] | None:
    """Return the column names of a file without header that has *count* columns, if known.

    6: time and OHLCV; 7: with the number of trades (Kraken); 12: a kline dump of Binance.
    """
    return _HEADERLESS.get(count)


def recognise(columns: Iterable[object], where: str) -> dict[str, object]:
    """Return which column is the time and which are open, high, low, close and volume.

    Raises:
        DataError: for a missing or ambiguous one; names the columns found.
    """
    names = list(columns)
    found: dict[str, object] = {}
    if (time := _pick_time(names, where)) is not None:
        found["time"] = time
    for field in FIELDS:
        if (name := _find(names, FIELD_NAMES[field])) is not None:
            found[field] = name
    if "volume" not in found and (volume := _volume_of_coin(names, where)) is not None:
        found["volume"] = volume
    missing = [field for field in ("time", *FIELDS) if field not in found]
    if missing:
        raise DataError(_missing(where, names, missing))
    for field, name in found.items():
        twins = [other for other in names if normal(other) == normal(name)]
        if len(twins) > 1 and len(normal(name)) > 1:
            raise DataError(f"{where}: columns {_listed(twins)} could all be {field}; keep one")
    return found


def normal(name: object) -> str:
    """Return a column name in one writing: `Open time`, `openTime` and `<OPEN_TIME>` alike."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name).strip())
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return re.sub(r"_(utc|gmt|s|sec|ms|msec|us|ns)$", "", text)


def _find(columns: Iterable[object], known: Iterable[str]) -> object | None:
    names = list(columns)
    by_normal: dict[str, object] = {}
    for name in names:
        # `t` and `T` are open and close time in some exports: the small letter comes first.
        key = normal(name)
        if key not in by_normal or str(name) == key:
            by_normal[key] = name
    return next((by_normal[name] for name in known if name in by_normal), None)


def _pick_time(columns: Iterable[object], where: str) -> object | None:
    names = list(columns)
    time = _find(names, TIME_NAMES)
    if time is None and (closing := _find(names, CLOSE_TIME_NAMES)) is not None:
        raise DataError(
            f"{where}: the only time column is {closing!r}, but bars are named by their open time;"
            f" give an open time column; columns found: {_listed(names)}"
        )
    return time


def _volume_of_coin(names: list[object], where: str) -> object | None:
    """Return `Volume BTC` beside `Volume USDT`: volumes count coins, not money."""
    coins: list[object] = []
    money: list[object] = []
    for name in names:
        parts = normal(name).split("_")
        if {"volume", "vol", "turnover"} & set(parts):
            in_money = "turnover" in parts or bool(set(parts) & _QUOTES)
            (money if in_money else coins).append(name)
    coins = [name for name in coins if not {"taker", "buy", "sell"} & set(normal(name).split("_"))]
    if len(coins) > 1:
        raise DataError(f"{where}: columns {_listed(coins)} could all be the volume; keep one")
    if not coins and money:
        raise DataError(
            f"{where}: {_listed(money)} counts money, not coins; give the volume in coins in a"
            f" column named volume; columns found: {_listed(names)}"
        )
    return coins[0] if coins else None


def _missing(where: str, columns: Iterable[object], missing: list[str]) -> str:
    names = [str(name) for name in columns]
    hints = "".join(did_you_mean(field, names) for field in missing[:1])
    return (
        f"{where}: no column for {', '.join(missing)}{hints}; columns found: {_listed(names)};"
        " rename them to time, open, high, low, close, volume"
    )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(name)) for name in names) or "none"


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with a meaningful index as its first column, and a counting one gone."""
    if isinstance(frame.index, pd.DatetimeIndex) or frame.index.name is not None:
        named = frame.copy(deep=False)
        named.index.name = str(frame.index.name or "open_time")
        return named.reset_index()
    return frame.reset_index(drop=True)


def _time_cells(frame: pd.DataFrame, name: object) -> pd.Series:
    """Return the time column; a date and a time of day in two columns are put together."""
    date, clock = _find(frame.columns, ("date",)), _find(frame.columns, ("time",))
    cells = frame[name]
    if date is None or clock is None or name not in (date, clock):
        return cells
    if not frame[clock].astype("str").str.match(r"\d{1,2}:\d{2}").all():
        return cells
    return frame[date].astype("str") + " " + frame[clock].astype("str")


def _unreadable(frame: pd.DataFrame, row: int, field: str, column: object, kind: str) -> Problem:
    cell = frame[column].iloc[row]
    shown = "is empty" if pd.isna(cell) else f"{str(cell)[:40]!r} is not a {kind}"
    hint = ", write 2024-01-31 08:15" if kind == "time" else ""
    message = f"row {row}: column {str(column)!r}: {shown}{hint}"
    return Problem("unreadable", row, field, str(cell), None, message)
