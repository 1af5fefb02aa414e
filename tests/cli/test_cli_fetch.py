"""`ftbt data fetch` as a user runs it, against a real HTTP server on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from exchange_server import ExchangeServer, Fault

from ftbt.cli.fetch_progress import Lines, show_seconds
from ftbt.cli.main import run
from ftbt.data.download import Outcome
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import DAY_MS, to_ms

# aiohttp says on Python 3.12 and later that it no longer needs an option that ccxt passes.
pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")

NOW = to_ms(datetime(2026, 3, 1, 10, 7, 30, tzinfo=UTC))
FETCH = ["data", "fetch", "--exchange", "binance"]
ONE = [*FETCH, "--symbol", "BTC", "--timeframe", "1h", "--from", "2026-02-20", "--no-funding"]
BARS = 9 * 24 + 10

# Tests that a shell starts in the background ignore Ctrl-C, and their children inherit that.
LISTENING = [
    sys.executable,
    "-c",
    (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    ),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ExchangeServer]:
    """Run an exchange that the command asks, with an empty store as the default one."""
    with ExchangeServer(now_ms=NOW) as running:
        monkeypatch.setenv("FTBT_EXCHANGE_URL", running.url)
        monkeypatch.setenv("FTBT_STORE", str(tmp_path / "store"))
        yield running


def stored(tmp_path: Path) -> CandleStore:
    """Return the store that the command filled."""
    return CandleStore(tmp_path / "store")


def start(*more: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start `ftbt data fetch` of many slow pages in a process of its own."""
    return subprocess.Popen(
        [*LISTENING, "-m", "ftbt", *FETCH, "--symbol", "BTC", "--no-funding", *more],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )


def test_fetch_stores_and_says_what(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several symbols and timeframes with funding: a line for each, then the store."""
    arguments = ["--symbol", "BTC", "--symbol", "ETH", "--timeframe", "15m", "--timeframe", "1h"]
    assert run([*FETCH, *arguments, "--from", "2026-02-20", "--to", "2026-02-22"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "BTC 15m: 192 new bars",
        "BTC 1h: 48 new bars",
        "BTC funding: 6 new rates",
        "ETH 15m: 192 new bars",
        "ETH 1h: 48 new bars",
        "ETH funding: 6 new rates",
        f"store: {tmp_path / 'store'}",
    ]
    assert err == ""
    assert len(stored(tmp_path).read("binance", "ETH", "1h")) == 48
    assert server.count("klines") == 4


def test_fetch_takes_another_store(server: ExchangeServer, tmp_path: Path) -> None:
    """--store names the folder."""
    assert run([*ONE, "--store", str(tmp_path / "other")]) == 0
    assert len(CandleStore(tmp_path / "other").read("binance", "BTC", "1h")) == BARS
    assert server.count("klines") == 1


def test_fetch_tells_of_holes_and_retries(
    server: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Holes stand below their series; retries go to the error stream."""
    server.holes = {to_ms(datetime(2026, 2, 25, 3, tzinfo=UTC))}
    server.faults = [Fault("status", 1, "klines", status=503)]
    assert run(ONE) == 0
    out, err = capsys.readouterr()
    assert f"BTC 1h: {BARS - 1} new bars\n  1 hole that the exchange has as well: 2026-02-25" in out
    assert re.search(r"candles of BTC 1h: .*503.*; trying again in \d\.\d s\n", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exchange", "binanc", "--symbol", "BTC"], "did you mean 'binance'?"),
        (["--exchange", "binance", "--symbol", "BTCC"], "did you mean 'BTC'?"),
        (["--exchange", "bybit", "--symbol", "BTC", "--timeframe", "8h"], "no timeframe '8h'"),
        (["--exchange", "bybit", "--symbol", "BTC", "--from", "yesterday"], "not understood"),
        (["--exchange", "bybit", "--symbol", "BTC", "--concurrency", "0"], "must be 1 to 32"),
        (["--exchange", "bybit"], "Missing option '--symbol'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_two(
    arguments: list[str],
    message: str,
    server: ExchangeServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mistyped exchange, symbol, timeframe or number is one line that helps."""
    assert run(["data", "fetch", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert stored(tmp_path).list() == []
    assert server.count("kline") == 0


def test_no_network_is_one_line_and_exit_code_two(
    server: ExchangeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens: after the set tries one line says so."""
    monkeypatch.setenv("FTBT_EXCHANGE_URL", "http://127.0.0.1:9")
    assert run([*ONE, "--tries", "1"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: no answer from binance after 1 try: the list of markets (")
    assert err.count("\n") == 1
    assert server.requests == []


def test_partial_failure_is_exit_code_three(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One series that is refused is told in its line while the other is stored."""
    server.faults = [Fault("status", 9, "'symbol': 'ETHUSDT'", status=403)]
    assert run([*ONE, "--symbol", "ETH"]) == 3
    out = capsys.readouterr().out
    assert f"BTC 1h: {BARS} new bars\n" in out
    assert "ETH 1h: 0 new bars, then failed: binance refuses: candles of ETH 1h" in out
    assert stored(tmp_path).symbols("binance") == ["BTC"]


def test_total_failure_is_the_first_error(
    server: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """When no series is complete, the run ends with the reason and exit code 2."""
    server.faults = [Fault("status", 9, "klines", status=403, body="<html>blocked</html>")]
    assert run(ONE) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: binance refuses: candles of BTC 1h (")
    assert "blocked" in err


def test_overwrite_takes_the_exchanges_values(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar that the exchange has changed is an error that names the way out, which works."""
    assert run([*ONE, "--to", "2026-02-25"]) == 0
    last = to_ms(datetime(2026, 2, 24, 23, tzinfo=UTC))
    server.spoil = {last: (10.0, 11.0, 9.0, 10.5, 3.0)}
    assert run(ONE) == 2
    assert "--overwrite takes the new values" in capsys.readouterr().err
    assert run([*ONE, "--overwrite"]) == 0
    bars, _ = stored(tmp_path).read_bars("binance", "BTC", "1h")
    assert bars[bars["time"] == last]["close"].tolist() == [10.5]


def test_ctrl_c_keeps_what_has_arrived(server: ExchangeServer, tmp_path: Path) -> None:
    """Ctrl-C in the middle stores the pages so far, says so, exits 130; the next run goes on."""
    server.faults = [Fault("slow", 9999, "klines", seconds=0.15)]
    span = ["--timeframe", "1m", "--from", "2026-02-22"]
    process = start(*span)
    deadline = time.monotonic() + 60
    while server.count("klines") < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    kept = len(stored(tmp_path).read("binance", "BTC", "1m"))
    assert kept >= 3000
    assert f"stopped: {kept:,} new rows of 1 series are kept in {tmp_path / 'store'}" in err
    assert "Traceback" not in err
    server.faults = []
    assert run([*FETCH, "--symbol", "BTC", "--no-funding", *span]) == 0
    whole = (NOW - to_ms(datetime(2026, 2, 22, tzinfo=UTC))) // 60_000
    assert len(stored(tmp_path).read("binance", "BTC", "1m")) == whole


def test_terminal_shows_a_bar_with_the_time_left(server: ExchangeServer) -> None:
    """On a terminal each series has a bar, counts and the time left."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    server.faults = [Fault("slow", 9999, "klines", seconds=0.05)]
    master, slave = pty.openpty()
    process = start("--timeframe", "15m", "--from", "2025-12-01", stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # Linux ends a terminal that everybody has left with an error
        pass
    process.communicate(timeout=20)
    os.close(master)
    assert process.returncode == 0
    total = (NOW // DAY_MS * DAY_MS - to_ms(datetime(2025, 12, 1, tzinfo=UTC))) // 900_000 + 40
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(rf"BTC 15m .*{total}/{total}", text)
    assert re.search(r"\d:\d\d:\d\d", text)


def test_lines_tell_progress_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a plain line says what is done and how long the rest takes."""
    lines = Lines(seconds=0.0)
    lines.planned("BTC 1h", 3000)
    lines.planned("ETH 1h", 1000)
    time.sleep(0.05)
    lines.advanced("BTC 1h", 1000)
    lines.finished(Outcome("BTC 1h", 1000))
    lines.advanced("ETH 1h", 1000)
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"fetching 2 series: 1,000 of 4,000 rows, 25 %, about \d+ s left", first)
    assert second.startswith("fetching 1 series: 2,000 of 4,000 rows, 50 %")


def test_spans_of_time_are_written_for_people() -> None:
    """Seconds, minutes and hours."""
    assert [show_seconds(s) for s in (3.4, 89, 600, 12_000)] == [
        *("3 s", "89 s", "10 min", "3 h 20 min")
    ]


def test_help_shows_an_example_and_imports_no_exchange_library() -> None:
    """`--help` ends with an example and answers without loading ccxt, pandas or pyarrow."""
    program = (
        "import sys; from ftbt.cli.main import run; code = run(['data', 'fetch', '--help']);"
        "slow = {'ccxt', 'pandas', 'pyarrow'} & set(sys.modules); print(slow); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Example: ftbt data fetch --exchange binance" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"
