"""Tables of other programs are understood, or refused with the reason and the columns found."""

from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import FIELDS, Bars, make_bars
from ftbt.data.cells import NO_TIME, times_ms
from ftbt.data.columns import Table, bars_from_frame, funding_from_frame, is_funding
from ftbt.data.tables import read_table
from ftbt.data.timeframe import Timeframe
from ftbt.errors import DataError, StorageError

START = 1_704_067_200_000  # 2024-01-01
STEP = 900_000
COUNT = 6


def _bars() -> Bars:
    time = START + STEP * np.arange(COUNT)
    return make_bars(
        time, [10.1, 11, 12, 11, 10, 9.7], [13.0] * 6, [8.0] * 6, [11.0] * 6, [0.3] * 6
    )


def _rows(bars: Bars, *order: str) -> list[list[str]]:
    return [[repr(row[name].item()) for name in order] for row in bars]


def _text(header: str, rows: list[list[str]], delimiter: str = ",") -> str:
    lines = ([header] if header else []) + [delimiter.join(row) for row in rows]
    return "\n".join(lines) + "\n"


def _read(path: Path, sort: bool = False) -> Table:
    raw = read_table(path)
    return bars_from_frame(raw.frame, path.name, sort=sort, first_line=raw.first_line)


def _same(table: Table) -> bool:
    table.check(table.timeframe(None))
    return table.bars.tobytes() == _bars().tobytes()


@pytest.mark.parametrize(
    "header",
    [
        "time,open,high,low,close,volume",
        "timestamp,o,h,l,c,v",
        "t,o,h,l,c,v",
        "date,Open,High,Low,Close,Volume",
        "Date,OPEN,HIGH,LOW,CLOSE,VOLUME",
        "Open time,Open,High,Low,Close,Volume",
        "open_time,open,high,low,close,volume",
        "openTime,openPrice,highPrice,lowPrice,closePrice,baseVolume",
        "unix,open,high,low,close,Volume BTC",
        "Timestamp,Open,High,Low,Close,Volume_(BTC)",
        "datetime,open,high,low,close,vol",
        "ts,open,high,low,close,volumefrom",
        "Unix Timestamp,Open,High,Low,Close,Volume",
        "time_period_start,price_open,price_high,price_low,price_close,volume_traded",
        "timestamp_ms,open,high,low,close,volume",
        "Time (UTC),Open,High,Low,Close,Volume ",
        "\ufefftime,open,high,low,close,volume",
        '"time","open","high","low","close","volume"',
        ",open,high,low,close,volume",
    ],
)
def test_common_headers(tmp_path: Path, header: str) -> None:
    """The column names in common use are understood, whatever their case and spelling."""
    path = tmp_path / "a.csv"
    path.write_text(_text(header, _rows(_bars(), "time", *FIELDS)), encoding="utf-8")
    assert _same(_read(path))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (  # CryptoDataDownload
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
            "{time},2001-01-01 00:00:00,BTC/USDT,{open},{high},{low},{close},{volume},9e9,4",
        ),
        (  # Binance futures dump
            (
                "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
                "taker_buy_volume,taker_buy_quote_volume,ignore"
            ),
            "{time},{open},{high},{low},{close},{volume},1,9e9,3,0.1,9e8,0",
        ),
        (  # Bybit
            "start_at,open,high,low,close,volume,turnover",
            "{time},{open},{high},{low},{close},{volume},9e9",
        ),
        (  # Coinbase puts low before high
            "time,low,high,open,close,volume",
            "{time},{low},{high},{open},{close},{volume}",
        ),
        (  # Hyperliquid: t is the open, T the close
            "t,T,s,i,o,c,h,l,v,n",
            "{time},5,BTC,15m,{open},{close},{high},{low},{volume},7",
        ),
        (  # the same with the close first
            "T,t,s,i,o,c,h,l,v,n",
            "5,{time},BTC,15m,{open},{close},{high},{low},{volume},7",
        ),
        (  # Yahoo
            "Date,Open,High,Low,Close,Adj Close,Volume",
            "{time},{open},{high},{low},{close},1.0,{volume}",
        ),
        (  # OKX
            "ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm",
            "{time},{open},{high},{low},{close},{volume},5,6,1",
        ),
        (  # CryptoCompare
            "time,high,low,open,volumefrom,volumeto,close",
            "{time},{high},{low},{open},{volume},9e9,{close}",
        ),
    ],
)
def test_exports_with_more_columns(tmp_path: Path, header: str, row: str) -> None:
    """Of the many columns of an export the right ones are taken, volume counted in coins."""
    path = tmp_path / "a.csv"
    names = _bars().dtype.names or ()
    lines = [row.format(**{n: repr(bar[n].item()) for n in names}) for bar in _bars()]
    path.write_text("\n".join([header, *lines]) + "\n")
    assert _same(_read(path))


@pytest.mark.parametrize("more", [[], ["17"], ["1", "2.5", "3", "4", "5", "0"]])
def test_dumps_without_header(tmp_path: Path, more: list[str]) -> None:
    """Files without header of 6, 7 (Kraken) and 12 (Binance) columns are understood."""
    path = tmp_path / "a.csv"
    path.write_text(_text("", [row + more for row in _rows(_bars(), "time", *FIELDS)]))
    table = _read(path)

    assert _same(table)
    assert table.first_line == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    """Comma, semicolon, tab or bar; UTF-8 or UTF-16; either line end; a blank line at the end."""
    path = tmp_path / "a.csv"
    rows = _rows(_bars(), "time", *FIELDS)
    text = _text("time,open,high,low,close,volume".replace(",", delimiter), rows, delimiter)
    path.write_bytes((text + "\n\n").replace("\n", end).encode(encoding))
    assert _same(_read(path))


def test_title_above_the_header(tmp_path: Path) -> None:
    """A web address above the header is passed over, and lines are still counted right."""
    path = tmp_path / "a.csv"
    rows = _rows(_bars(), "time", *FIELDS)
    path.write_text("https://www.example.org\n" + _text("time,open,high,low,close,volume", rows))
    table = _read(path)

    assert _same(table)
    assert table.first_line == 3


def test_packed_files(tmp_path: Path) -> None:
    """Text may be packed as .gz or as a .zip with one CSV inside."""
    text = _text("time,open,high,low,close,volume", _rows(_bars(), "time", *FIELDS)).encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("BTCUSDT-15m-2024-01.csv", text)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)

    assert _same(_read(tmp_path / "a.csv.gz"))
    assert _same(_read(tmp_path / "a.zip"))
    with pytest.raises(DataError, match="must hold one CSV file, this one holds 2"):
        _read(tmp_path / "two.zip")


def test_parquet_and_feather_with_index(tmp_path: Path) -> None:
    """A time index, named or not, of any unit and zone, is the time column."""
    bars = _bars()
    frame = pd.DataFrame({name: bars[name] for name in FIELDS})
    index = pd.DatetimeIndex(bars["time"].astype("datetime64[ms]"))
    zones = index.tz_localize("UTC").tz_convert("Europe/Rome")
    for number, times in enumerate((index, zones.as_unit("ns"), index.rename("when"))):
        path = tmp_path / f"{number}.parquet"
        frame.set_index(times).to_parquet(path)
        if times.name == "when":
            with pytest.raises(DataError, match=r"no column for time.*columns found: 'when'"):
                _read(path)
        else:
            assert _same(_read(path))
    frame.insert(0, "date", zones)
    frame.to_feather(tmp_path / "a.feather")
    assert _same(_read(tmp_path / "a.feather"))


def test_date_and_time_of_day_in_two_columns(tmp_path: Path) -> None:
    """The export of MetaTrader, with dots in its dates and two columns of time, is understood."""
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    lines += [f"2024.01.01\t00:{minute:02}:00\t10\t12\t9\t11\t5\t3.5\t1" for minute in (0, 15, 30)]
    path = tmp_path / "a.csv"
    path.write_bytes("\r\n".join(lines).encode("utf-16"))
    table = _read(path)
    table.check(Timeframe.parse("15m"))

    assert list(START + STEP * np.arange(3)) == table.bars["time"].tolist()
    assert table.bars["volume"].tolist() == [3.5] * 3


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-01-01", "2024-01-02"],
        ["2024-01-01 00:00", "2024-01-02 00:00"],
        ["2024-01-01 00:00:00", "2024-01-02 00:00:00"],
        ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00.000Z"],
        ["2024-01-01 00:00:00+00:00", "2024-01-02 02:00:00+02:00"],
        ["2024-01-01 00:00:00 UTC", "2024-01-02 00:00:00.000 UTC"],
        ["2023-12-31 19:00:00-0500", "2024-01-01 19:00:00-0500"],
        ["2024.01.01 00:00", "2024.01.02 0:00"],
        ["2024/1/1", "2024/1/2 0:00:00"],
        ["20240101 000000", "20240102"],
        [20240101, 20240102],
        [1704067200, 1704153600],
        [1704067200.0, 1704153600.0],
        [1704067200000, 1704153600000],
        [1704067200000000, 1704153600000000],
        [1704067200000000000, 1704153600000000000],
        ["1704067200", "1704153600000"],
        [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)],
    ],
)
def test_writings_of_time(cells: list[object]) -> None:
    """Texts, numbers of any unit and datetimes all mean the same instants; no zone means UTC."""
    assert times_ms(pd.Series(cells)).tolist() == [START, START + 86_400_000]


@pytest.mark.parametrize(
    "cell", ["01/02/2024", "31.12.2023", "yesterday", "", "2024-13-01", "45321.5", -5, 45321, 1e30]
)
def test_times_that_would_be_guesses(cell: object) -> None:
    """Day-or-month-first dates, spreadsheet numbers and words are not guessed at."""
    assert times_ms(pd.Series([cell, cell])).tolist() == [NO_TIME, NO_TIME]


@settings(deadline=None, max_examples=60)
@given(
    moments=st.lists(st.integers(10**11, 4 * 10**12), min_size=1, max_size=20),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    kind=st.sampled_from(["datetime", "zone", "text"]),
)
def test_any_instant_in_any_unit_of_pandas(moments: list[int], unit: str, kind: str) -> None:
    """An instant read by pandas in whatever unit comes back as the same millisecond."""
    step = 1000 if unit == "s" else 1
    times = [moment // step * step for moment in moments]
    index = pd.DatetimeIndex(np.array(times, "datetime64[ms]")).as_unit(unit)
    column = pd.Series(index.tz_localize("UTC") if kind == "zone" else index)
    if kind == "text":
        column = pd.Series([stamp.isoformat() for stamp in index])
    assert times_ms(column).tolist() == times


@pytest.mark.parametrize("newest_first", [True, False])
def test_order_of_rows(tmp_path: Path, newest_first: bool) -> None:
    """Rows out of order are refused with the advice to sort, and sorting mends them."""
    rows = _rows(_bars(), "time", *FIELDS)
    rows = rows[::-1] if newest_first else [*rows[3:], *rows[:3]]
    path = tmp_path / "a.csv"
    path.write_text(_text("time,open,high,low,close,volume", rows))
    words = "newest to oldest; --sort" if newest_first else "before the row above it .* --sort"

    with pytest.raises(DataError, match=words):
        _same(_read(path))
    assert _same(_read(path, sort=True))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("time,open,high,low,close", "no column for volume"),
        ("tme,open,hihg,low,close,volume", "no column for time, high - did you mean 'tme'"),
        ("time,opening,high,low,close,volume", "no column for open - did you mean 'opening'"),
        ("close_time,open,high,low,close,volume", "only time column is 'close_time'"),
        ("time,open,high,low,close,Volume USDT", "'Volume USDT' counts money, not coins"),
        ("time,open,high,low,close,Volume BTC,Volume ETH", "could all be the volume; keep one"),
        ("time,high,low,close,volume,open,Open", "'open', 'Open' could all be open; keep one"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, header: str, words: str) -> None:
    """A missing or ambiguous column is refused with the columns found and the nearest name."""
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{','.join(['1'] * (header.count(',') + 1))}\n")
    with pytest.raises(DataError, match=words) as caught:
        _read(path)
    assert "a.csv: " in str(caught.value)
    assert repr(header.rpartition(",")[2]) in str(caught.value)


@settings(deadline=None, max_examples=80)
@given(
    row=st.integers(0, COUNT - 1),
    column=st.integers(0, 5),
    text=st.sampled_from(["abc", "1,5", "12..3", "--", "#REF!", "1_000", "1.2K", "0x1F", "true"]),
)
def test_any_unreadable_cell_is_named(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: int, text: str
) -> None:
    """A cell that is no number or time is named by line, row, column and its text."""
    cells = _rows(_bars(), "time", *FIELDS)
    cells[row][column] = f'"{text}"'
    path = tmp_path_factory.mktemp("cells") / "a.csv"
    path.write_text(_text("time,open,high,low,close,volume", cells))
    name = ("time", *FIELDS)[column]
    table = _read(path)

    with pytest.raises(DataError) as caught:
        table.check(Timeframe.parse("15m"))

    assert f"a.csv: line {row + 2}, row {row}: column '{name}': '{text}' is not a " in str(
        caught.value
    )
    assert (row, name) in {
        (problem.row, problem.column) for problem in table.problems(Timeframe.parse("15m"))
    }


def test_empty_cells_and_blank_lines_are_named(tmp_path: Path) -> None:
    """An empty price is not a number, a blank line in the middle has no time."""
    rows = _rows(_bars(), "time", *FIELDS)
    rows[2][3] = ""
    text = _text("time,open,high,low,close,volume", rows).splitlines()
    path = tmp_path / "a.csv"
    path.write_text("\n".join(text))
    with pytest.raises(DataError, match=r"line 4, row 2 \(.*low nan is not a number"):
        _same(_read(path))

    path.write_text("\n".join([*text[:3], "", *text[4:]]))
    with pytest.raises(DataError, match="line 4, row 2: column 'time': is empty"):
        _same(_read(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no table found"),
        ("hello\nworld\n", "no table found"),
        ("1,2\n3,4\n", "2 columns without a header"),
        ("time,open,high,low,close,volume\n1,2,3,4,5,6,7\n", "not a regular table"),
        ("time,open,high,low,close,volume\n", "there are no bars"),
    ],
)
def test_texts_that_are_no_table(tmp_path: Path, text: str, words: str) -> None:
    """What is not a table of candles is refused in one line that says so."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        _same(_read(path))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing, damaged, foreign or binary file is an error of one line, never a traceback."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    (tmp_path / "a.csv.gz").write_bytes(b"not packed")
    (tmp_path / "a.zip").write_bytes(b"not packed")
    (tmp_path / "a.csv").write_bytes(b"time,open\xff\x00\x80\n")
    (tmp_path / "a.xlsx").write_bytes(b"sheet")
    for name in ("a.parquet", "a.csv.gz", "a.zip", "missing.csv"):
        with pytest.raises(StorageError, match=name.replace(".", r"\.")) as caught:
            read_table(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="not a text file in UTF-8"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is a folder; name the files in it"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"only \.csv.* are read"):
        read_table(tmp_path / "a.xlsx")


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=30),
    quoted=st.booleans(),
)
def test_prices_keep_their_last_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], quoted: bool
) -> None:
    """A price written by Python comes back bit for bit, from numbers and from texts."""
    frame = pd.DataFrame({"time": START + STEP * np.arange(len(values))})
    for name in FIELDS:
        frame[name] = [repr(value) for value in values] if quoted else values
    path = tmp_path_factory.mktemp("prices") / "a.csv"
    frame.to_csv(path, index=False)

    for table in (bars_from_frame(frame, "prices"), _read(path)):
        assert table.bars["close"].tobytes() == np.array(values).tobytes()


def test_funding_columns() -> None:
    """A rate without prices is funding; its times and rates are read exactly and checked."""
    frame = pd.DataFrame(
        {"calc_time": [START + 3, START + 3_600_001], "last_funding_rate": ["0.0001", "-0.000025"]}
    )
    time, rate = funding_from_frame(frame, "funding.csv")

    assert is_funding(frame.columns)
    assert not is_funding(["time", "open", "close", "rate"])
    assert (time.tolist(), rate.tolist()) == ([START + 3, START + 3_600_001], [0.0001, -0.000025])
    with pytest.raises(DataError, match=r"row 1: funding time .* does not come after .* --sort"):
        funding_from_frame(frame[::-1], "funding.csv")
    assert funding_from_frame(frame[::-1], "f", sort=True)[0].tolist() == time.tolist()
    with pytest.raises(DataError, match=r"row 0 .*funding_rate 1.5 is not in -0.1 \.\. 0.1"):
        funding_from_frame(frame.assign(last_funding_rate=1.5), "funding.csv")
    with pytest.raises(
        DataError, match="row 0: column 'last_funding_rate': 'high' is not a number"
    ):
        funding_from_frame(frame.assign(last_funding_rate="high"), "funding.csv")
    with pytest.raises(DataError, match="no column for time"):
        funding_from_frame(frame.drop(columns="calc_time"), "funding.csv")
