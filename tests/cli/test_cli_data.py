"""`ftbt data import`, `list` and `check` as a user meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest

from ftbt.cli.data import COMMANDS, data
from ftbt.cli.main import run
from ftbt.data.candles import Bars, Candles, make_bars
from ftbt.data.parquet import write_candles
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import Timeframe

START = 1_704_067_200_000  # 2024-01-01
STEP = 900_000


def _bars(count: int = 96) -> Bars:
    close = 100.0 + np.sin(np.arange(count))
    time = START + STEP * np.arange(count)
    return make_bars(time, close, close + 1, close - 1, close, np.ones(count))


def _csv(name: str, bars: Bars) -> Path:
    path = Path(name)
    pd.DataFrame({field: bars[field] for field in bars.dtype.names or ()}).to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with the store where it is by default: in `data`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FTBT_STORE", raising=False)
    return tmp_path


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The group's help lists its commands in the order of need, with an example."""
    assert run(["data", "--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"  {name} ") for name in ("fetch", "import", "list", "check", "sample")]
    assert places == sorted(places)
    assert "Example: ftbt data import" in shown


def test_help_waits_for_no_library() -> None:
    """The group's help is shown without importing pandas, Arrow or the exchange library."""
    code = (
        "import sys; from ftbt.cli.main import run; run(['data', '--help']);"
        "print([name for name in ('pandas', 'pyarrow', 'ccxt', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of the group can be loaded and shows an example of itself."""
    command = data.get_command(click.Context(data), name)

    assert command is not None
    assert command.name == name
    assert run(["data", name, "--help"]) == 0
    assert f"Example: ftbt data {name}" in capsys.readouterr().out


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped command is answered with the nearest one."""
    assert run(["data", "imprt"]) == 2
    assert "no command 'imprt' - did you mean 'import'?" in capsys.readouterr().err


def test_import_then_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Files are imported one after the other, each in a line, and are in the list then."""
    holed = np.delete(_bars(), range(40, 44))
    holed["volume"][:2] = 0.0
    btc, eth = _csv("BTCUSDT-15m.csv", _bars()), _csv("ETHUSDT-15m.csv", holed)
    assert run(["data", "import", str(btc), str(eth), "--exchange", "binance"]) == 0
    shown = capsys.readouterr().out
    assert run(["data", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()

    assert (
        "BTCUSDT-15m.csv: 96 bars, 96 new, 2024-01-01 00:00 to 2024-01-02 00:00 UTC"
        " -> binance BTCUSDT 15m\n"
    ) in shown
    assert "hole: 4 bars missing, opens 2024-01-01 10:00 UTC .. 2024-01-01 10:45 UTC" in shown
    assert "2 bars without volume, opens 2024-01-01 00:00 UTC .. 2024-01-01 00:15 UTC" in shown
    assert "prices flat" not in shown
    assert listed[0].split() == [
        "exchange", "symbol", "timeframe", "bars", "from", "to", "holes", "no", "volume", "size",
    ]  # fmt: skip
    assert listed[1].split()[:7] == [
        "binance", "BTCUSDT", "15m", "96", "2024-01-01", "2024-01-02", "0",
    ]  # fmt: skip
    assert listed[2].split()[6:9] == ["1", "(4)", "2"]
    assert CandleStore(Path("data")).read("binance", "BTCUSDT", "15m").bars.tobytes() == (
        _bars().tobytes()
    )


def test_the_store_of_the_option_and_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--store beats FTBT_STORE, which beats the folder `data`."""
    monkeypatch.setenv("FTBT_STORE", "one")
    path = _csv("BTC-15m.csv", _bars())
    assert run(["data", "import", str(path)]) == 0
    assert run(["data", "import", str(path), "--store", "two", "--symbol", "XBT"]) == 0

    assert CandleStore(Path("one")).symbols("imported") == ["BTC"]
    assert CandleStore(Path("two")).symbols("imported") == ["XBT"]
    assert not Path("data").exists()
    assert run(["data", "list", "--store", "three"]) == 0
    assert "the store three is empty" in capsys.readouterr().out


def test_a_refused_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a bad cell gives one line on the error channel, code 2, and stores nothing."""
    bars = _bars()
    bars["high"][17] = 3.0
    assert run(["data", "import", str(_csv("BTC-15m.csv", bars))]) == 2
    shown = capsys.readouterr()

    assert shown.out == ""
    assert shown.err.startswith(
        "error: BTC-15m.csv: line 19, row 17 (2024-01-01 04:15 UTC): high 3 is below low "
    )
    assert shown.err.count("\n") == 1
    assert not Path("data").exists()


def test_some_files_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Of several files the sound ones are stored; code 3 tells that some were refused."""
    good, bad = _csv("BTC-15m.csv", _bars()), _csv("ETH-15m.csv", _bars()[::-1])
    assert run(["data", "import", str(bad), str(good)]) == 3
    assert "error: ETH-15m.csv: the rows run from newest to oldest" in capsys.readouterr().err
    assert CandleStore(Path("data")).symbols("imported") == ["BTC"]

    assert run(["data", "import", str(bad), str(bad)]) == 2
    assert run(["data", "import", str(bad), "--sort"]) == 0
    assert run(["data", "import", str(good), str(bad), "--symbol", "X"]) == 2
    assert "--symbol names one symbol, the files are of several" in capsys.readouterr().err


def test_differing_values_need_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    """Other values for a stored bar are refused, and taken with --overwrite."""
    assert run(["data", "import", str(_csv("BTC-15m.csv", _bars()))]) == 0
    changed = _bars()
    changed["volume"][3] = 5.0
    path = str(_csv("BTC-15m.csv", changed))

    assert run(["data", "import", path]) == 2
    assert "volume 1 stored, 5 new; nothing was changed; --overwrite" in capsys.readouterr().err
    assert run(["data", "import", path, "--overwrite"]) == 0
    assert CandleStore(Path("data")).read("imported", "BTC", "15m").volume[3] == 5.0


def test_check_lists_every_problem_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem is listed with its line, runs without volume too, and code 2 follows."""
    bars = np.delete(_bars(), 70)
    bars["volume"][80:83] = 0.0
    for row in range(10, 15):
        bars["low"][row] = -1.0
    path = _csv("BTC-15m.csv", bars)
    text = path.read_text().splitlines()
    text[31] = text[31].rpartition(",")[0] + ",oops"
    path.write_text("\n".join(text))

    assert run(["data", "check", str(path)]) == 2
    shown = capsys.readouterr()

    for row in range(10, 15):
        assert f"non-positive  line {row + 2}, row {row} (" in shown.out
    assert "unreadable    line 32, row 30: column 'volume': 'oops' is not a number" in shown.out
    assert "hole          line 72, row 70 (2024-01-01 17:45 UTC): 1 bar missing" in shown.out
    assert "no volume     row 80: 3 bars without volume" in shown.out
    assert "error: BTC-15m.csv: 7 problems, listed above; --holes split" in shown.err


def test_check_of_sound_files(capsys: pytest.CaptureFixture[str]) -> None:
    """A sound file says so with its span, holes pass with split, made-up files say so."""
    path = _csv("BTC-15m.csv", np.delete(_bars(), 70))
    assert run(["data", "check", str(path)]) == 2
    assert run(["data", "check", str(path), "--holes", "split"]) == 0
    shown = capsys.readouterr().out
    assert "BTC-15m.csv: 15m, 95 bars, 2024-01-01 00:00 UTC to 2024-01-02 00:00 UTC\n" in shown
    assert shown.endswith("sound\n")

    candles = Candles("BTC", Timeframe.parse("15m"), _bars(), "made", synthetic=True)
    write_candles(Path("made.parquet"), candles)
    assert run(["data", "check", "made.parquet"]) == 0
    assert "made.parquet: synthetic market, 15m, 96 bars" in capsys.readouterr().out

    funding = pd.DataFrame({"time": [START, START + 1], "funding_rate": [1e-4, 2e-4]})
    funding.to_csv("BTC-funding.csv", index=False)
    assert run(["data", "check", "BTC-funding.csv"]) == 0
    assert "funding, 2 rates" in capsys.readouterr().out


def test_check_of_the_store(capsys: pytest.CaptureFixture[str]) -> None:
    """All series of an exchange are checked, or those of one symbol and length."""
    store = CandleStore(Path("data"))
    store.append("lab", _bars(), "BTC/USDT:USDT", "15m")
    store.append("lab", np.delete(_bars(), 5), "ETH/USDT:USDT", "15m")
    store.append_funding("lab", "BTC/USDT:USDT", np.array([START]), np.array([1e-5]))

    assert run(["data", "check", "lab", "--symbol", "BTC"]) == 0
    shown = capsys.readouterr().out
    assert "lab BTC/USDT:USDT: 15m, 96 bars" in shown
    assert "lab BTC/USDT:USDT: funding, 1 rates" in shown
    assert run(["data", "check", "lab"]) == 2
    assert "hole  row 5 (2024-01-01 01:30 UTC): 1 bar missing" in capsys.readouterr().out
    for more, words in (
        (["labb"], "did you mean 'lab'"),
        (["lab", "--symbol", "SOL"], "lab has no symbol 'SOL'"),
        (["lab", "--timeframe", "1h"], "lab has no 1h candles; see ftbt data list"),
        (["missing.csv"], "missing.csv: there is no such file"),
    ):
        assert run(["data", "check", *more]) == 2
        assert words in capsys.readouterr().err


def test_a_damaged_file_in_the_store(capsys: pytest.CaptureFixture[str]) -> None:
    """The list shows the other series and ends with one line on the damaged one."""
    store = CandleStore(Path("data"))
    store.append("lab", _bars(), "BTC", "15m")
    store.append("lab", _bars(), "ETH", "15m")
    store.path("lab", "BTC", "15m").write_bytes(b"rubbish")

    assert run(["data", "list"]) == 2
    shown = capsys.readouterr()
    assert "cannot be read" in shown.out.splitlines()[1]
    assert shown.out.splitlines()[2].split()[:4] == ["lab", "ETH", "15m", "96"]
    assert "15m.parquet cannot be read (" in shown.err
    assert shown.err.count("\n") == 1


def test_as_a_real_process(folder: Path) -> None:
    """The program imports, lists and refuses with the documented codes, without colour in pipes."""

    def ftbt(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ftbt", "data", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    _csv("BTC-15m.csv", _bars())
    imported, listed, refused = (
        ftbt("import", "BTC-15m.csv"),
        ftbt("list"),
        ftbt("check", "nothing"),
    )

    assert (imported.returncode, listed.returncode, refused.returncode) == (0, 0, 2)
    assert imported.stdout.endswith("-> imported BTC 15m\n")
    assert listed.stdout.splitlines()[1].startswith("imported  BTC     15m          96  2024-01-01")
    assert refused.stderr.startswith("error: 'nothing' is neither a file nor an exchange")
    assert "\x1b" not in imported.stdout + listed.stdout + refused.stderr
    assert "Traceback" not in imported.stderr + listed.stderr + refused.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_on_a_terminal() -> None:
    """On a terminal the list is drawn with a bold head and fits 80 columns."""
    CandleStore(Path("data")).append("binance", _bars(), "BTC/USDT:USDT", "15m")
    reader, writer = os.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "ftbt", "data", "list"]
    done = subprocess.run(command, stdout=writer, env=environment, check=False, timeout=60)
    os.close(writer)
    shown = os.read(reader, 65_536).decode()
    os.close(reader)

    assert done.returncode == 0
    assert "\x1b[1m" in shown
    assert "2024-01-01" in shown
    assert all(len(line) <= 80 for line in shown.splitlines()[1:])
