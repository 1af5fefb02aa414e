"""`ftbt data sample`, run as the program runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftbt.cli.main import run
from ftbt.data import parquet
from ftbt.data.candles import make_bars
from ftbt.data.sample import START, sample_market
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import to_ms


def _sample(*more: str) -> int:
    return run(["data", "sample", "--days", "2", *more])


def test_fills_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without options the three coins land in the store as exchange sample, marked synthetic."""
    assert _sample("--store", str(tmp_path)) == 0
    store = CandleStore(tmp_path)
    market = sample_market(days=2)
    assert store.symbols("sample") == sorted(market)
    for symbol, one in market.items():
        stored = store.read("sample", symbol, "15m")
        assert stored.fingerprint == one.candles.fingerprint
        assert stored.synthetic
        assert stored.source == "synthetic market (seed 7, no edge)"
        funding = store.read_funding("sample", symbol)
        assert funding is not None
        assert one.funding is not None
        assert funding.fingerprint == one.funding.fingerprint
    printed = capsys.readouterr().out
    assert printed.startswith("synthetic market (seed 7, no edge): BTC, ETH, SOL, 2 days")
    assert "192 new bars" in printed
    assert "48 new hourly rates" in printed


def test_the_default_store_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FTBT_STORE names the store when --store does not."""
    monkeypatch.setenv("FTBT_STORE", str(tmp_path / "mine"))
    assert _sample("--symbols", "BTC") == 0
    assert CandleStore(tmp_path / "mine").symbols("sample") == ["BTC"]
    assert str(tmp_path / "mine") in capsys.readouterr().out


def test_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--out writes candles, detail and funding of each symbol, and what they are made of."""
    out = tmp_path / "files"
    code = _sample(
        "--out", str(out), "--symbols", "BTC,kPEPE", "--symbol", "X/Y", "--timeframe", "1h",
        "--detail", "--seed", "3", "--edge", "0.5", "--start", "2025-02-03",
    )  # fmt: skip
    assert code == 0
    names = [f"{one}-{kind}" for one in ("BTC", "X-Y", "kPEPE") for kind in ("1h", "1m", "funding")]
    assert sorted(path.stem for path in out.iterdir()) == sorted(names)
    bars, info = parquet.read_bars(out / "BTC-1h.parquet")
    fine, fine_info = parquet.read_bars(out / "BTC-1m.parquet")
    assert len(bars) == 48
    assert bars["high"].max() == fine["high"].max()
    assert info.synthetic
    assert fine_info.synthetic
    assert info.source == "synthetic market (seed 3, edge 0.5)"
    time, rate, funding_info = parquet.read_funding(out / "BTC-funding.parquet")
    assert len(time) == len(rate) == 48
    assert funding_info.synthetic
    assert "BTC-1m.parquet: 2880 bars" in capsys.readouterr().out


def test_longer_market_extends_the_stored_one(tmp_path: Path) -> None:
    """More days of the same market append to what is stored."""
    place = ("--store", str(tmp_path), "--symbols", "ETH")
    assert _sample(*place) == 0
    assert _sample(*place, "--days", "3") == 0
    stored = CandleStore(tmp_path).read("sample", "ETH", "15m")
    expected = sample_market(("ETH",), days=3)["ETH"].candles
    assert stored.fingerprint == expected.fingerprint


@pytest.mark.parametrize("change", [("--seed", "8"), ("--edge", "1"), ("--start", "2025-01-01")])
def test_another_market_is_not_mixed_in(
    change: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that holds another synthetic market is left alone until --overwrite replaces it."""
    place = ("--store", str(tmp_path), "--symbols", "ETH")
    assert _sample(*place, "--days", "4") == 0
    before = CandleStore(tmp_path).read("sample", "ETH", "15m").fingerprint
    capsys.readouterr()
    # SOL is new: nothing of it may be written either.
    assert _sample("--store", str(tmp_path), "--symbols", "SOL,ETH", *change) == 2
    printed = capsys.readouterr()
    assert "holds another market, synthetic market (seed 7, no edge)" in printed.err
    assert "--overwrite" in printed.err
    assert printed.out == ""
    assert CandleStore(tmp_path).symbols("sample") == ["ETH"]
    assert CandleStore(tmp_path).read("sample", "ETH", "15m").fingerprint == before

    assert _sample(*place, *change, "--overwrite") == 0
    assert len(CandleStore(tmp_path).read("sample", "ETH", "15m")) == 2 * 96


def test_real_candles_are_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real values under the name sample stay, even with --overwrite."""
    store = CandleStore(tmp_path)
    times = to_ms(START) + 900_000 * np.arange(3)
    one = np.ones(3)
    store.append("sample", make_bars(times, one, one, one, one, one), "BTC", "15m")
    assert _sample("--store", str(tmp_path), "--symbols", "BTC", "--overwrite") == 2
    assert "holds real values" in capsys.readouterr().err
    assert len(store.read("sample", "BTC", "15m")) == 3


@pytest.mark.parametrize("timeframe", ["15m", "4h"])
def test_prints_the_stylised_facts(
    timeframe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A long enough market comes with its facts on 15m bars beside the ranges of real ones."""
    code = run(
        ["data", "sample", "--out", str(tmp_path), "--days", "90", "--symbols", "BTC,SOL",
         "--timeframe", timeframe]
    )  # fmt: skip
    assert code == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(line for line in lines if line.startswith("stylised fact"))
    assert head.split()[-2:] == ["BTC", "SOL"]
    tails = next(line for line in lines if line.startswith("tail index"))
    assert all(1.5 < float(value) < 6 for value in tails.split()[-2:])
    correlation = next(line for line in lines if line.startswith("correlation of BTC and SOL"))
    assert 0.5 < float(correlation.split()[-1]) < 0.95


def test_short_market_prints_no_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two days say nothing about tails, and the program says so instead of printing noise."""
    assert _sample("--out", str(tmp_path), "--symbols", "BTC") == 0
    printed = capsys.readouterr().out
    assert "measured from 90 days on" in printed
    assert "tail index" not in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--days", "0"), "from 1 to 3650"),
        (("--edge", "3"), "from -2 to 2"),
        (("--seed", "-1"), "0 or more"),
        (("--symbols", "BTC,,ETH"), "symbol ''"),
        (("--timeframe", "15min"), "15min"),
        (("--start", "yesterday"), "yesterday"),
        (("--store", "elsewhere"), "--out and --store"),
    ],
)
def test_wrong_options_are_one_line(
    options: tuple[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value out of range ends with exit code 2, one line and no file."""
    out = tmp_path / "none"
    assert run(["data", "sample", "--out", str(out), *options]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not out.exists()
