"""Importing a file means: read, check, merge, and say what came in."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.importer import import_file
from ftbt.data.parquet import SeriesInfo, write_candles, write_funding
from ftbt.data.store import CandleStore
from ftbt.data.symbols import match_symbol, symbol_of_name
from ftbt.data.timeframe import Timeframe, from_ms
from ftbt.errors import DataError, InputError, StorageError

REAL = os.environ.get("FTBT_REAL_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="FTBT_REAL_DATA names no folder of real candles")

START = 1_704_067_200_000
STEP = 900_000


def _bars(count: int = 8) -> Bars:
    close = 100.0 + np.arange(count) / 3.0
    time = START + STEP * np.arange(count)
    return make_bars(time, close, close + 1, close - 1, close, 1.5 * np.ones(count))


def _csv(folder: Path, name: str, bars: Bars) -> Path:
    path = folder / name
    pd.DataFrame({field: bars[field] for field in bars.dtype.names or ()}).to_csv(path, index=False)
    return path


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """An empty store."""
    return CandleStore(tmp_path / "store")


def test_a_file_becomes_a_series(tmp_path: Path, store: CandleStore) -> None:
    """Symbol and timeframe come from the file, and the series is the file bit for bit."""
    bars = np.delete(_bars(), 3)
    bars["volume"][5:] = 0.0
    path = _csv(tmp_path, "BTCUSDT-15m.csv", bars)
    report = import_file(path, store)

    assert (report.exchange, report.symbol, report.timeframe) == ("imported", "BTCUSDT", "15m")
    assert (report.rows, report.added, report.synthetic) == (7, 7, False)
    assert (report.start, report.end) == (from_ms(START), from_ms(START + 8 * STEP))
    assert [hole.bars for hole in report.holes] == [1]
    assert [run.bars for run in report.zero_volume] == [2]
    assert store.read_bars("imported", "BTCUSDT", "15m")[0].tobytes() == bars.tobytes()
    assert import_file(path, store).added == 0


def test_what_the_user_says_wins(tmp_path: Path, store: CandleStore) -> None:
    """Exchange, symbol and timeframe can be given."""
    path = _csv(tmp_path, "BTCUSDT-15m.csv", _bars())
    report = import_file(path, store, "binance", "XBT/USD", "15m")

    assert store.symbols("binance") == ["XBT/USD"]
    assert report.symbol == "XBT/USD"
    with pytest.raises(DataError, match="the rows are 15m apart, not 1h"):
        import_file(path, store, timeframe="1h")


def test_sort_and_overwrite(tmp_path: Path, store: CandleStore) -> None:
    """Newest-first files need sort, corrected ones overwrite; without, nothing is stored."""
    path = _csv(tmp_path, "BTCUSDT-15m.csv", _bars()[::-1])
    with pytest.raises(DataError, match=r"BTCUSDT-15m.csv: .*newest to oldest; --sort"):
        import_file(path, store)
    assert store.list() == []
    assert import_file(path, store, sort=True).added == 8

    changed = _bars()
    changed["volume"][2] = 7.0
    path = _csv(tmp_path, "BTCUSDT-15m.csv", changed)
    with pytest.raises(DataError, match=r"00:30 UTC differs .* volume 1.5 stored, 7 new"):
        import_file(path, store)
    assert import_file(path, store, overwrite=True).added == 0
    assert store.read("imported", "BTCUSDT", "15m").volume[2] == 7.0


def test_a_bad_row_stores_nothing(tmp_path: Path, store: CandleStore) -> None:
    """A file with one bad cell is refused by file, line, row, column and value."""
    bars = _bars()
    bars["low"][4] = -1.0
    with pytest.raises(DataError, match=r"15m.csv: line 6, row 4 \(.*\): low -1 is not above 0"):
        import_file(_csv(tmp_path, "BTCUSDT-15m.csv", bars), store)
    assert store.list() == []


def test_files_of_our_own(tmp_path: Path, store: CandleStore) -> None:
    """A file written by ftbt knows its symbol and that it is made up, whatever it is called."""
    candles = Candles("kPEPE", Timeframe.parse("15m"), _bars(), "synthetic market (seed 7)", True)
    path = tmp_path / "anything.parquet"
    write_candles(path, candles)
    report = import_file(path, store)
    stored = store.read("synthetic", "kPEPE", "15m")

    assert (report.exchange, report.symbol, report.synthetic) == ("synthetic", "kPEPE", True)
    assert stored.synthetic
    assert stored.source == "synthetic market (seed 7)"
    assert stored.fingerprint == candles.fingerprint


def test_funding_files(tmp_path: Path, store: CandleStore) -> None:
    """A time and a funding rate make a funding series, of our own files too."""
    time = pd.date_range("2024-01-01", periods=4, freq="8h", tz="UTC")
    rate = [1e-4, -1e-5, 0.0, 1 / 3e4]
    path = tmp_path / "BTCUSDT-funding.parquet"
    pd.DataFrame({"timestamp": time, "funding_rate": rate}).to_parquet(path)
    report = import_file(path, store, "binance")
    funding = store.read_funding("binance", "BTCUSDT")

    assert (report.timeframe, report.rows, report.added) == ("funding", 4, 4)
    assert report.end == time[-1]
    assert funding is not None
    assert funding.rate.tolist() == rate
    assert funding.time.tolist() == [START + 28_800_000 * number for number in range(4)]

    own = SeriesInfo("file", "BTC", "funding", "synthetic market (seed 7)", True)
    write_funding(tmp_path / "f.parquet", funding.time, funding.rate, own)
    assert import_file(tmp_path / "f.parquet", store).exchange == "synthetic"
    made_up = store.read_funding("synthetic", "BTC")
    assert made_up is not None
    assert made_up.source == "synthetic market (seed 7)"


def test_files_without_a_symbol(tmp_path: Path, store: CandleStore) -> None:
    """When neither the file nor its name tells the symbol, it must be given."""
    path = _csv(tmp_path, "prices.csv", _bars())
    with pytest.raises(InputError, match=r"prices.csv: its name does not tell .* --symbol"):
        import_file(path, store)
    assert import_file(path, store, symbol="BTC").symbol == "BTC"
    with pytest.raises(StorageError, match="there is no such file"):
        import_file(tmp_path / "BTC-1h.csv", store)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT-15m.parquet", "BTCUSDT"),
        ("BTCUSDT-15m-2024-01.csv", "BTCUSDT"),
        ("BTCUSDT-funding.parquet", "BTCUSDT"),
        ("BTCUSDT-fundingRate-2024-01.zip", "BTCUSDT"),
        ("Binance_BTCUSDT_1h.csv", "BTCUSDT"),
        ("BTC-15m.parquet", "BTC"),
        ("kPEPE-1h.parquet", "kPEPE"),
        ("1000PEPEUSDT-15m.csv", "1000PEPEUSDT"),
        ("BTC_USDT-5m.feather", "BTC/USDT"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT"),
        ("btcusdt.csv.gz", "BTCUSDT"),
        ("BYBIT_ETHUSDT.P, 60.csv", "ETHUSDT"),
        ("XBTUSD_60.csv", "XBTUSD"),
        ("prices.csv", None),
        ("my-candles.csv", None),
        ("2024-01.csv", None),
        ("BTC-and-ETH.csv", None),
    ],
)
def test_symbols_in_names_of_files(name: str, symbol: str | None) -> None:
    """The naming habits of exchanges and tools tell the symbol; other names tell none."""
    assert symbol_of_name(Path(name)) == symbol


@pytest.mark.parametrize(
    ("wanted", "known", "found"),
    [
        ("BTC", ["BTCUSDT", "ETHUSDT"], "BTCUSDT"),
        ("btcusdt", ["BTC/USDT:USDT", "ETH/USDT:USDT"], "BTC/USDT:USDT"),
        ("BTC/USDT", ["BTC-USDT", "BTC-USDC"], "BTC-USDT"),
        ("BTC", ["BTC", "BTCUSDT"], "BTC"),
        ("kpepe", ["kPEPE", "PEPE"], "kPEPE"),
        ("ETHUSDC", ["ETH", "BTC"], "ETH"),
    ],
)
def test_symbols_match_leniently(wanted: str, known: list[str], found: str) -> None:
    """The quote and the case may be left out as long as one symbol is meant."""
    assert match_symbol(wanted, known, "binance") == found


def test_symbols_that_do_not_match() -> None:
    """Several candidates or none are refused with the list; another quote is another market."""
    with pytest.raises(DataError, match="'BTC' could be BTCUSDT or BTCUSDC; write it in full"):
        match_symbol("BTC", ["BTCUSDT", "BTCUSDC"], "binance")
    with pytest.raises(DataError, match="binance has no symbol 'BCTUSDT' - did you mean 'BTCUSDT'"):
        match_symbol("BCTUSDT", ["BTCUSDT", "ETHUSDT"], "binance")
    with pytest.raises(DataError, match=r"no symbol 'BTCUSDC'.*there is: BTCUSDT"):
        match_symbol("BTCUSDC", ["BTCUSDT"], "binance")


@needs_real
def test_real_files(store: CandleStore) -> None:
    """Every real file is imported whole, with the holes and outages that are known of it."""
    folder = Path(str(REAL)) / "binance-perp"
    reports = {
        (report.symbol, report.timeframe): report
        for path in sorted(folder.glob("SOL*.parquet"))
        for report in [import_file(path, store, "binance")]
    }

    assert set(reports) == {("SOLUSDT", name) for name in ("1m", "15m", "1h", "funding")}
    assert all(report.rows == report.added for report in reports.values())
    assert [hole.bars for hole in reports["SOLUSDT", "1h"].holes] == [72, 48]
    assert [run.bars for run in reports["SOLUSDT", "15m"].zero_volume] == [4]
    frame = pd.read_parquet(folder / "SOLUSDT-15m.parquet")
    assert store.read("binance", "SOLUSDT", "15m").close.tolist() == frame["close"].tolist()
