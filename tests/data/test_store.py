"""The store keeps what it is given bit for bit, merges without loss, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Bars, make_bars
from ftbt.data.listing import original_name, safe_name
from ftbt.data.parquet import write_candles
from ftbt.data.store import CandleStore, default_root
from ftbt.data.timeframe import from_ms
from ftbt.errors import DataError, InputError, StorageError

START = 1_704_067_200_000  # 2024-01-01
STEP = 900_000


def _bars(first: int = 0, count: int = 10) -> Bars:
    """Bars whose prices follow from their place alone, so that overlaps agree."""
    place = np.arange(first, first + count)
    close = 100.0 + np.sin(place) / 3.0
    return make_bars(START + STEP * place, close, close + 1, close - 1, close, 1.0 + place % 7)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    """An empty store."""
    return CandleStore(tmp_path / "store")


def test_what_goes_in_comes_out(store: CandleStore) -> None:
    """A series is read back with every bit, its names and whether it is made up."""
    assert (
        store.append("lab", _bars(), "BTC/USDT:USDT", "15m", synthetic=True, source="seed 1") == 10
    )
    candles = store.read("lab", "BTC/USDT:USDT", "15m")

    assert candles.bars.tobytes() == _bars().tobytes()
    assert candles.symbol == "BTC/USDT:USDT"
    assert str(candles.timeframe) == "15m"
    assert candles.source == "seed 1"
    assert candles.synthetic
    assert (store.root / "lab" / "BTC%2FUSDT%3AUSDT" / "15m.parquet").is_file()


@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(
        st.tuples(st.floats(5e-324, 1e308), st.floats(0, 1e308)), min_size=1, max_size=30
    ),
    skipped=st.lists(st.integers(1, 5), min_size=30, max_size=30),
)
def test_any_sound_bars_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[float, float]],
    skipped: list[int],
) -> None:
    """Whatever sound bars, holes included, are stored: they come back bit for bit."""
    store = CandleStore(tmp_path_factory.mktemp("store"))
    price = np.array([value for value, _ in values])
    time = START + STEP * np.cumsum(skipped[: len(price)])
    bars = make_bars(time, price, price, price, price, [volume for _, volume in values])

    assert store.append("lab", bars, "X", "15m") == len(bars)
    parts = store.read_segments("lab", "X", "15m", holes="split")

    assert b"".join(part.bars.tobytes() for part in parts) == bars.tobytes()
    assert store.first_open("lab", "X", "15m") == time[0]
    assert store.last_open("lab", "X", "15m") == time[-1]


@settings(deadline=None, max_examples=40)
@given(pages=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=6))
def test_pages_in_any_order_make_one_file(
    tmp_path_factory: pytest.TempPathFactory, pages: list[tuple[int, int]]
) -> None:
    """Overlapping pages appended in any order give the same bytes as all bars at once."""
    folder = tmp_path_factory.mktemp("store")
    one, other = CandleStore(folder / "one"), CandleStore(folder / "other")
    added = sum(one.append("lab", _bars(*page), "X", "15m") for page in pages)
    places = sorted({first + at for first, count in pages for at in range(count)})
    whole = _bars(0, 60)[places]

    assert added == len(whole) == other.append("lab", whole, "X", "15m")
    assert one.path("lab", "X", "15m").read_bytes() == other.path("lab", "X", "15m").read_bytes()


def test_the_same_again_changes_nothing(store: CandleStore) -> None:
    """Bars that are there already are not new, and the file is not written again."""
    store.append("lab", _bars(), "X", "15m")
    path = store.path("lab", "X", "15m")
    before = path.stat()

    assert store.append("lab", _bars(3, 4), "X", "15m") == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_differing_bar_is_refused_unless_meant(store: CandleStore) -> None:
    """A closed bar with other values is an error that names it; overwrite takes the new ones."""
    store.append("lab", _bars(), "X", "15m")
    other = _bars(8, 6)
    other["close"][1] += 0.25
    other["volume"][0] = 99.0

    with pytest.raises(DataError) as caught:
        store.append("lab", other, "X", "15m")
    assert len(store.read("lab", "X", "15m")) == 10
    added = store.append("lab", other, "X", "15m", overwrite=True)

    assert "lab X 15m: 2024-01-01 02:00 UTC and 1 more differs" in str(caught.value)
    assert "volume 2 stored, 99 new" in str(caught.value)
    assert "--overwrite" in str(caught.value)
    assert added == 4
    assert store.read("lab", "X", "15m").bars[8:].tobytes() == other.tobytes()


def test_unsound_bars_never_enter(store: CandleStore) -> None:
    """Appending checks everything but holes, and a refused page leaves the series as it was."""
    store.append("lab", _bars(), "X", "15m")
    bad = _bars(10, 5)
    bad["high"][2] = 1.0
    for wrong, words in ((bad, "row 2 .*high 1 is below low"), (_bars()[::-1], "before the row")):
        with pytest.raises(DataError, match=f"lab X 15m: .*{words}"):
            store.append("lab", wrong, "X", "15m")
    with pytest.raises(DataError, match="there are no bars"):
        store.append("lab", _bars(0, 0), "X", "15m")

    assert store.read("lab", "X", "15m").bars.tobytes() == _bars().tobytes()


def test_holes_are_judged_when_read(store: CandleStore) -> None:
    """A hole is stored; reading refuses it or splits at it; filling it heals the series."""
    store.append("lab", _bars(0, 4), "X", "15m")
    store.append("lab", _bars(7, 3), "X", "15m")

    with pytest.raises(DataError, match=r"lab X 15m: row 4 .* 3 bars missing.*--holes split"):
        store.read("lab", "X", "15m")
    parts = store.read_segments("lab", "X", "15m", holes="split")
    assert [len(part) for part in parts] == [4, 3]

    store.append("lab", _bars(4, 3), "X", "15m")
    assert store.read("lab", "X", "15m").bars.tobytes() == _bars().tobytes()


def test_made_up_bars_never_join_real_ones(store: CandleStore) -> None:
    """Synthetic and real values cannot be in one series, whichever came first."""
    store.append("lab", _bars(), "X", "15m")
    with pytest.raises(DataError, match="synthetic values cannot join a real series"):
        store.append("lab", _bars(10), "X", "15m", synthetic=True)
    store.append_funding("lab", "X", np.array([START]), np.array([1e-4]), synthetic=True)
    with pytest.raises(DataError, match="real values cannot join a synthetic series"):
        store.append_funding("lab", "X", np.array([START + 1]), np.array([1e-4]))


def test_what_is_not_there(store: CandleStore) -> None:
    """An unknown series is answered with what there is and the nearest name."""
    with pytest.raises(DataError, match="has no exchange 'lab'; fill it with"):
        store.read("lab", "BTCUSDT", "15m")
    store.append("binance", _bars(), "BTCUSDT", "15m")
    store.append_funding("binance", "ETHUSDT", np.array([START]), np.array([1e-4]))

    for names, words in (
        (
            ("binanc", "BTCUSDT", "15m"),
            "exchange 'binanc' - did you mean 'binance'.; there is: binance",
        ),
        (("binance", "BTCUSD", "15m"), "symbol 'BTCUSD' of binance - did you mean 'BTCUSDT'"),
        (("binance", "BTCUSDT", "5m"), "5m candles of binance BTCUSDT.*; there is: 15m"),
        (("binance", "ETHUSDT", "15m"), "15m candles of binance ETHUSDT; fill it"),
    ):
        with pytest.raises(DataError, match=words):
            store.read(*names)
    assert store.last_open("binance", "ETHUSDT", "15m") is None
    assert store.first_open("nowhere", "ETHUSDT", "15m") is None
    assert store.last_funding("binance", "BTCUSDT") is None
    assert store.read_funding("binance", "BTCUSDT") is None


def test_one_length_has_one_file(store: CandleStore) -> None:
    """60m and 1h are the same series."""
    bars = _bars()
    bars["time"] = START + 3_600_000 * np.arange(10)
    store.append("lab", bars[:5], "X", "60m")
    assert store.append("lab", bars, "X", "1h") == 5
    assert str(store.read("lab", "X", "60m").timeframe) == "1h"


def test_funding_is_merged_like_bars(store: CandleStore) -> None:
    """Rates are kept to the millisecond and last bit; a differing one is refused by name."""
    time = START + 3_600_000 * np.arange(5) + [0, 3, 0, 41, 0]
    rate = np.array([1e-4, -2.5e-5, 0.0, 1 / 3e4, 4e-4])
    assert store.append_funding("lab", "X", time[:3], rate[:3]) == 3
    assert store.append_funding("lab", "X", time[1:], rate[1:]) == 2
    funding = store.read_funding("lab", "X")

    assert funding is not None
    assert (funding.symbol, funding.source) == ("X", "lab")
    assert funding.time.tolist() == time.tolist()
    assert funding.rate.tobytes() == rate.tobytes()
    assert store.last_funding("lab", "X") == time[-1]
    with pytest.raises(DataError, match=r"01:00 UTC differs .* rate -2.5e-05 stored, 0.1 new"):
        store.append_funding("lab", "X", time[1:2], np.array([0.1]))
    with pytest.raises(DataError, match=r"row 1: funding time .* does not come after"):
        store.append_funding("lab", "X", time[[1, 0]], rate[:2])
    with pytest.raises(DataError, match=r"funding_rate nan is not in"):
        store.append_funding("lab", "X", time[:1], np.array([np.nan]))
    with pytest.raises(DataError, match="there are no funding rates"):
        store.append_funding("lab", "X", time[:0], rate[:0])


def test_listing(store: CandleStore) -> None:
    """The list has one entry per series with span, holes, bars without volume and size."""
    bars = np.delete(_bars(), [4, 5])
    bars["volume"][:2] = 0.0
    store.append("b", bars, "X/Y", "15m", synthetic=True)
    store.append("b", _bars(), "A", "15m")
    store.append_funding("b", "A", np.array([START, START + 1]), np.array([1e-4, 1e-4]))
    daily = _bars()
    daily["time"] = START + 86_400_000 * np.arange(10)
    store.append("a", daily, "A", "1d")
    hourly = _bars()
    hourly["time"] = START + 3_600_000 * np.arange(10)
    store.append("b", hourly, "A", "1h")

    listing = store.list()

    assert [(one.exchange, one.symbol, one.timeframe, one.bars) for one in listing] == [
        ("a", "A", "1d", 10),
        ("b", "A", "15m", 10),
        ("b", "A", "1h", 10),
        ("b", "A", "funding", 2),
        ("b", "X/Y", "15m", 8),
    ]
    last = listing[-1]
    assert (last.holes, last.missing, last.zero_volume, last.synthetic) == (1, 2, 2, True)
    assert (last.start, last.end) == (from_ms(START), from_ms(START + 10 * STEP))
    assert last.bytes == store.path("b", "X/Y", "15m").stat().st_size
    assert store.exchanges() == ["a", "b"]
    assert store.symbols("b") == ["A", "X/Y"]
    assert [str(length) for length in store.timeframes("b", "A")] == ["15m", "1h"]


def test_damage_is_noticed(store: CandleStore) -> None:
    """A changed byte anywhere gives one line of error or the old values, never other values."""
    bars = _bars(0, 200)
    store.append("lab", bars, "X", "15m")
    path = store.path("lab", "X", "15m")
    content = path.read_bytes()
    places = range(4, len(content), 31)
    noticed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            candles = store.read("lab", "X", "15m")
        except (StorageError, DataError) as error:
            noticed += "cannot be read" in str(error) and "\n" not in str(error)
        else:
            assert candles.bars.tobytes() == bars.tobytes()

    assert noticed > 0.7 * len(places)


def test_files_that_are_not_of_the_store(store: CandleStore) -> None:
    """Half a file, a foreign Parquet file or text: one line, and the list shows the others."""
    store.append("lab", _bars(), "A", "15m")
    store.append("lab", _bars(), "B", "15m")
    whole = store.path("lab", "A", "15m").read_bytes()
    path = store.path("lab", "A", "15m")
    foreign = path.with_name("foreign.parquet")
    pd.DataFrame({"time": [1]}).to_parquet(foreign)
    for content in (whole[: len(whole) // 2], foreign.read_bytes(), b"", b"time,open\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="cannot be read") as caught:
            store.read("lab", "A", "15m")
        assert "\n" not in str(caught.value)
        with pytest.raises(StorageError, match="cannot be read"):
            store.append("lab", _bars(), "A", "15m")

    broken = {one.symbol + one.timeframe: bool(one.broken) for one in store.list()}
    assert broken == {"A15m": True, "Aforeign": True, "B15m": False}
    assert [str(length) for length in store.timeframes("lab", "A")] == ["15m"]


def test_values_made_wrong_behind_the_store(store: CandleStore) -> None:
    """Bars are checked again when read: a valid file with impossible prices is refused."""
    store.append("lab", _bars(), "A", "15m")
    candles = store.read("lab", "A", "15m")
    wrong = candles.bars.copy()
    wrong["low"][3] = 900.0
    object.__setattr__(candles, "bars", wrong)
    write_candles(store.path("lab", "A", "15m"), candles)

    with pytest.raises(DataError, match=r"15m\.parquet: row 3 .*high .* is below low 900"):
        store.read("lab", "A", "15m")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A store below a file is one clear line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot lock .*file"):
        CandleStore(tmp_path / "file").append("lab", _bars(), "X", "15m")


@settings(deadline=None, max_examples=200)
@given(st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip())))
def test_any_symbol_has_a_safe_folder(name: str) -> None:
    """Any symbol makes a folder name of plain letters that leads back to it, and only to it."""
    folder = safe_name(name)

    assert original_name(folder) == name
    assert set(folder) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%_-")


def test_names_that_are_no_folders() -> None:
    """Names that lead out of the store or that Windows reserves are spelled out; none is empty."""
    assert safe_name("..") == "%2E%2E"
    assert safe_name("con") == "%63on"
    assert safe_name("kPEPE") == "kPEPE"
    with pytest.raises(InputError, match="must not be empty"):
        safe_name(" ")


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is in `data`, unless FTBT_STORE names another folder."""
    monkeypatch.delenv("FTBT_STORE", raising=False)
    assert default_root() == Path("data")
    monkeypatch.setenv("FTBT_STORE", "/elsewhere")
    assert default_root() == Path("/elsewhere")


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from ftbt.data.candles import make_bars
from ftbt.data.store import CandleStore
store, first = CandleStore(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for page in range(first, 60, 2):
    place = np.arange(10 * page, 10 * page + 10)
    one = np.full(10, 100.0 + page)
    store.append("lab", make_bars(900_000 * place, one, one, one, one, one), "X", "15m")
    store.append_funding("lab", "X", 900_000 * place, np.full(10, 1e-5 * page))
"""


def test_two_processes_lose_nothing(store: CandleStore) -> None:
    """Two processes that append to one series at the same time leave every bar of both."""
    command = [sys.executable, "-c", _WRITER, str(store.root)]
    writers = [
        subprocess.Popen(
            [*command, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for first in (0, 1)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0

    candles, funding = store.read("lab", "X", "15m"), store.read_funding("lab", "X")
    assert candles.time.tolist() == [900_000 * place for place in range(600)]
    assert candles.open.tolist() == [100.0 + place // 10 for place in range(600)]
    assert funding is not None
    assert funding.time.tolist() == candles.time.tolist()
    names = {path.name for path in store.path("lab", "X", "15m").parent.iterdir()}
    assert {name for name in names if not name.endswith(".lock")} == {
        "15m.parquet",
        "funding.parquet",
    }


def test_a_killed_writer_leaves_a_whole_file(store: CandleStore) -> None:
    """A process that is killed while it appends leaves bars of whole pages, and no lock."""
    command = [sys.executable, "-c", _WRITER, str(store.root), "0"]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.stdin.write("go\n")
    writer.stdin.flush()
    path = store.path("lab", "X", "15m")
    while not path.exists():
        assert writer.poll() is None
    writer.kill()
    writer.communicate()

    assert len(store.read_segments("lab", "X", "15m", holes="split")[0]) == 10
    assert store.append("lab", _bars(), "X", "15m") == 10
