"""`--data`, `--symbol`, `--timeframe`, `--from`, `--to`, `--holes`, `--detail` name a market."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.importer import import_file
from ftbt.data.market import Market
from ftbt.data.parquet import write_candles
from ftbt.data.resample import resample
from ftbt.data.resolve import load_markets
from ftbt.data.sample import default_sample
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import Timeframe, from_ms, parse_time
from ftbt.errors import DataError, InputError, StorageError

REAL = os.environ.get("FTBT_REAL_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="FTBT_REAL_DATA names no folder of real candles")

START = 1_704_067_200_000  # 2024-01-01
MINUTE = 60_000
DAY = 1440


def _minutes(first: int = 0, count: int = DAY) -> Bars:
    place = np.arange(first, first + count)
    close = 100.0 + np.sin(place / 50.0)
    return make_bars(START + MINUTE * place, close, close + 1, close - 1, close, 1.0 + place % 5)


def _longer(minutes: Bars, timeframe: str) -> Bars:
    return resample(Candles("x", Timeframe.parse("1m"), minutes), timeframe).bars


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """A store with 15m and 1m bars and funding of BTC, and 15m bars of ETH without funding."""
    store = CandleStore(tmp_path / "store")
    store.append("lab", _longer(_minutes(), "15m"), "BTC/USDT:USDT", "15m")
    store.append("lab", _minutes(DAY // 2, DAY // 4), "BTC/USDT:USDT", "1m")
    hours = START + 60 * MINUTE * np.arange(24)
    store.append_funding("lab", "BTC/USDT:USDT", hours, np.full(24, 1e-5))
    store.append("lab", _longer(_minutes(), "15m"), "ETH/USDT:USDT", "15m")
    return store


def _one(store: CandleStore, *names: str, **more: object) -> Market:
    (market,) = load_markets(*names, store_root=store.root, **more)  # type: ignore[arg-type]
    return market


def test_no_data_is_the_synthetic_market() -> None:
    """Without data, or with `sample`, the embedded market is used, and says what it is."""
    (market,) = load_markets(None, "BTC", "15m")
    (same,) = load_markets("sample", "BTCUSDT", "15m")
    sample = default_sample()["BTC"]

    assert market.candles.fingerprint == same.candles.fingerprint == sample.candles.fingerprint
    assert market.candles.synthetic
    assert market.candles.source.startswith("synthetic market")
    assert market.instrument == sample.instrument
    assert market.funding is sample.funding
    assert market.detail is None
    with pytest.raises(DataError, match=r"the synthetic market has no symbol 'XYZ'.*BTC, ETH, SOL"):
        load_markets("sample", "XYZ", "15m")


def test_other_lengths_of_the_synthetic_market() -> None:
    """Longer and shorter bars of the synthetic market are the same market."""
    (hourly,) = load_markets("sample", "ETH", "1h", end=parse_time("2024-02-01"))
    (fine,) = load_markets("sample", "ETH", "1h", end=parse_time("2024-02-01"), detail="5m")

    assert hourly.candles.source.endswith("resampled from 15m")
    assert len(hourly.candles) == 31 * 24
    assert fine.detail is not None
    assert fine.detail.synthetic
    assert resample(fine.detail, "1h").close.tolist() == hourly.candles.close.tolist()


def test_a_stored_series(store: CandleStore) -> None:
    """An exchange's name gives its stored candles, with funding and the venue's rules."""
    market = _one(store, "lab", "BTC", "15m")

    assert market.candles.bars.tobytes() == _longer(_minutes(), "15m").tobytes()
    assert (market.symbol, market.candles.source) == ("BTC/USDT:USDT", "lab")
    assert market.funding is not None
    assert len(market.funding) == 24
    assert market.instrument.size_decimals == 5
    assert _one(store, "lab", "ethusdt", "15m").funding is None


def test_the_store_may_be_anywhere(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder given, FTBT_STORE tells where the store is."""
    monkeypatch.setenv("FTBT_STORE", str(store.root))
    (market,) = load_markets("lab", "BTC", "15m")
    assert len(market.candles) == 96


def test_longer_bars_are_made_of_the_longest_that_fit(store: CandleStore) -> None:
    """A length that is not stored is made of shorter bars, and the source says so."""
    market = _one(store, "lab", "BTC", "1h")
    assert market.candles.source == "lab, resampled from 15m"
    assert market.candles.bars["close"].tolist() == _longer(_minutes(), "1h")["close"].tolist()

    fives = _one(store, "lab", "BTC", "5m")
    assert fives.candles.source == "lab, resampled from 1m"
    assert fives.candles.start == from_ms(START + MINUTE * DAY // 2)
    with pytest.raises(DataError, match=r"has candles of 15m: 5m bars cannot be made of them"):
        _one(store, "lab", "ETH", "5m")


def test_part_of_the_data(store: CandleStore) -> None:
    """From and to cut to whole bars inside of them; nothing inside is an error with the span."""
    start, end = parse_time("2024-01-01T03:07"), parse_time("2024-01-01T09:07")
    market = _one(store, "lab", "BTC", "1h", start=start, end=end)

    assert (market.candles.start, market.candles.end) == (
        parse_time("2024-01-01T04:00"),
        parse_time("2024-01-01T09:00"),
    )
    with pytest.raises(DataError, match="data run from 2024-01-01 00:00 UTC to 2024-01-02 00:00"):
        _one(store, "lab", "BTC", "15m", start=parse_time("2025-01-01"))
    with pytest.raises(InputError, match="--from 2024-01-02 00:00 UTC must lie before --to"):
        _one(store, "lab", "BTC", "15m", start=parse_time("2024-01-02"), end=end)
    with pytest.raises(DataError, match="no whole 1h bar is left"):
        _one(store, "lab", "BTC", "1h", start=start, end=parse_time("2024-01-01T04:37"))


def test_detail_bars(store: CandleStore) -> None:
    """Detail bars come with the candles where they are, and only shorter ones that divide."""
    market = _one(store, "lab", "BTC", "1h", detail="5m")

    assert market.detail is not None
    assert str(market.detail.timeframe) == "5m"
    assert len(market.detail) == DAY // 4 // 5
    assert len(market.candles) == 24
    assert _one(store, "lab", "BTC", "1h", detail="5m", end=parse_time("2024-01-01T13:00")).detail
    for detail in ("1h", "4h", "25m"):
        with pytest.raises(InputError, match=f"--detail {detail} must be a whole fraction of"):
            _one(store, "lab", "BTC", "1h", detail=detail)
    with pytest.raises(DataError, match="has candles of 15m: 1m bars cannot be made"):
        _one(store, "lab", "ETH", "15m", detail="1m")


def test_holes_are_refused_or_split(store: CandleStore) -> None:
    """A hole is refused by default; split gives one market per stretch, in the detail too."""
    store.append("gap", np.delete(_minutes(), range(600, 700)), "BTC", "1m")
    with pytest.raises(DataError, match=r"gap BTC 1m: .*100 bars missing, opens 2024-01-01 10:00"):
        _one(store, "gap", "BTC", "15m")
    markets = load_markets("gap", "BTC", "15m", holes="split", detail="1m", store_root=store.root)

    assert [len(market.candles) for market in markets] == [600 // 15, (DAY - 705) // 15]
    for market in markets:
        assert market.detail is not None
        assert (market.detail.start, market.detail.end) == (
            market.candles.start,
            market.candles.end,
        )
        assert len(market.detail) == 15 * len(market.candles)
    with pytest.raises(InputError, match="not 'fill'"):
        load_markets("gap", "BTC", "15m", holes="fill", store_root=store.root)


def test_holes_outside_of_the_asked_part_do_not_matter(store: CandleStore) -> None:
    """A hole before --from or after --to is no reason to refuse."""
    store.append("gap", np.delete(_minutes(), range(600, 700)), "BTC", "1m")
    after = _one(store, "gap", "BTC", "15m", start=parse_time("2024-01-01T12:00"))
    before = _one(store, "gap", "BTC", "15m", end=parse_time("2024-01-01T10:00"))

    assert (len(after.candles), len(before.candles)) == (48, 40)


def test_a_hole_in_the_detail_alone(store: CandleStore) -> None:
    """Where only the detail has a hole, the candles are refused or split around it."""
    store.append("gap", _longer(_minutes(), "15m"), "BTC", "15m")
    store.append("gap", np.delete(_minutes(), [620, 1000]), "BTC", "1m")
    assert len(_one(store, "gap", "BTC", "15m").candles) == 96
    with pytest.raises(DataError, match=r"gap BTC 1m: .*1 bar missing, opens 2024-01-01 10:20"):
        _one(store, "gap", "BTC", "15m", detail="1m")
    markets = load_markets("gap", "BTC", "15m", holes="split", detail="1m", store_root=store.root)

    assert [len(market.candles) for market in markets] == [41, 24, 29]
    assert all(len(m.detail) == 15 * len(m.candles) for m in markets if m.detail is not None)
    assert all(market.detail is not None for market in markets)


@settings(deadline=None, max_examples=25)
@given(
    lost=st.sets(st.integers(1, 298), max_size=8),
    fine_lost=st.sets(st.integers(1, 298), max_size=8),
)
def test_no_market_crosses_a_hole(
    tmp_path_factory: pytest.TempPathFactory, lost: set[int], fine_lost: set[int]
) -> None:
    """However many holes candles and detail have, each bar's detail is all there or nowhere."""
    store = CandleStore(tmp_path_factory.mktemp("store"))
    bars = np.delete(_longer(_minutes(0, 900), "3m"), sorted(lost))
    store.append("gap", bars, "BTC", "3m")
    store.append("gap", np.delete(_minutes(0, 900), [3 * at for at in fine_lost]), "BTC", "1m")
    markets = load_markets("gap", "BTC", "3m", holes="split", detail="1m", store_root=store.root)
    opens = [ms for market in markets for ms in market.candles.time.tolist()]

    assert opens == [START + 3 * MINUTE * at for at in range(300) if at not in lost | fine_lost]
    for market in markets:
        assert market.detail is not None
        fine = market.detail.time.tolist()
        assert fine == list(range(fine[0], fine[-1] + 1, MINUTE))
        assert resample(market.detail, "3m").time.tolist() == market.candles.time.tolist()


def test_a_file(tmp_path: Path, store: CandleStore) -> None:
    """A path is that file, checked and not stored."""
    path = tmp_path / "BTCUSDT-1m.csv"
    bars = _minutes()
    pd.DataFrame({name: bars[name] for name in bars.dtype.names or ()}).to_csv(path, index=False)
    market = _one(store, str(path), "BTC", "15m", detail="5m")

    assert market.candles.bars.tobytes() == _longer(bars, "15m").tobytes()
    assert market.candles.source == "BTCUSDT-1m.csv, resampled from 1m"
    assert market.symbol == "BTCUSDT"
    assert market.detail is not None
    assert store.exchanges() == ["lab"]
    with pytest.raises(DataError, match=r"BTCUSDT-1m.csv has no symbol 'ETH'.*BTCUSDT"):
        _one(store, str(path), "ETH", "15m")
    path.rename(tmp_path / "prices.csv")
    assert _one(store, str(tmp_path / "prices.csv"), "ETH", "15m").symbol == "ETH"


def test_a_synthetic_file_stays_synthetic(tmp_path: Path, store: CandleStore) -> None:
    """A file of a made-up market says so on everything made from it."""
    path = tmp_path / "market.parquet"
    sample = default_sample()["SOL"].candles.slice(0, 960)
    write_candles(path, sample)
    market = _one(store, str(path), "SOL", "1h")

    assert market.candles.synthetic
    assert "synthetic market" in market.candles.source
    import_file(path, store)
    assert _one(store, "synthetic", "SOL", "1h").candles.synthetic
    assert "synthetic market" in _one(store, "synthetic", "SOL", "1h").candles.source


def test_files_that_cannot_be_used(tmp_path: Path, store: CandleStore) -> None:
    """A wrong row, funding, a folder or a missing file are one clear line each."""
    bars = _minutes(0, 40)
    bars["close"][7] = np.nan
    frame = pd.DataFrame({name: bars[name] for name in bars.dtype.names or ()})
    frame.to_csv(tmp_path / "BTC-1m.csv", index=False)
    with pytest.raises(DataError, match=r"BTC-1m.csv: line 9, row 7 \(.*\): close nan is not"):
        _one(store, str(tmp_path / "BTC-1m.csv"), "BTC", "1m")
    pd.DataFrame({"time": bars["time"], "funding_rate": 1e-5}).to_csv(tmp_path / "f.csv")
    with pytest.raises(DataError, match=r"f.csv holds funding, not candles"):
        _one(store, str(tmp_path / "f.csv"), "BTC", "1m")
    with pytest.raises(InputError, match="is a folder: give one file"):
        _one(store, str(tmp_path), "BTC", "1m")
    with pytest.raises(StorageError, match=r"missing.csv: there is no such file"):
        _one(store, str(tmp_path / "missing.csv"), "BTC", "1m")


def test_names_that_are_not_there(store: CandleStore) -> None:
    """An unknown exchange or symbol is answered with what there is and the nearest name."""
    with pytest.raises(
        DataError, match=r"--data 'labb' is neither.*did you mean 'lab'.*sample, lab"
    ):
        _one(store, "labb", "BTC", "15m")
    with pytest.raises(DataError, match=r"lab has no symbol 'SOL'.*BTC/USDT:USDT, ETH/USDT:USDT"):
        _one(store, "lab", "SOL", "15m")
    with pytest.raises(InputError, match="timeframe '15x' is not understood"):
        _one(store, "lab", "BTC", "15x")
    store.append_funding("only", "BTC", np.array([START]), np.array([1e-5]))
    with pytest.raises(DataError, match="only BTC: there is funding in the store, but no candles"):
        _one(store, "only", "BTC", "15m")


@needs_real
def test_real_candles_with_detail_and_funding(store: CandleStore) -> None:
    """Real candles, funding and one-minute detail of one exchange come together."""
    folder = Path(str(REAL)) / "binance-perp"
    for name in ("15m", "1m", "funding"):
        import_file(folder / f"BTCUSDT-{name}.parquet", store, "binance")
    start, end = parse_time("2025-05-10"), parse_time("2025-05-20")
    market = _one(store, "binance", "BTC", "15m", start=start, end=end, detail="1m")

    assert market.funding is not None
    assert len(market.candles) == 960
    assert market.detail is not None
    assert resample(market.detail, "15m").high.tolist() == market.candles.high.tolist()
