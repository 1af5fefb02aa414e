"""`ftbt size` explains what the engines compute."""

from __future__ import annotations

import re

import pytest

from ftbt.cli.main import run
from ftbt.risk.sizing import confidence_scale, position_size

CALL = ["size", "--equity", "500", "--entry", "67000", "--stop", "66300", "--confidence", "78"]


def test_the_size_is_the_engines_size(capsys: pytest.CaptureFixture[str]) -> None:
    """The number that is explained comes from the function that back-test and live use."""
    assert run(CALL) == 0

    shown = capsys.readouterr().out
    expected, _, _ = position_size(
        500.0, 67000.0, 66300.0, confidence_scale(78.0, 0.5), 0.02, 3.0, 10.0, 0.00055, 5, 1000.0
    )
    found = re.search(r"cut to the lot: ([\d.]+)", shown)
    assert found is not None
    assert float(found[1]) == pytest.approx(expected)
    assert "risk decides" in shown


def test_a_tight_stop_is_bound_by_the_cap(capsys: pytest.CaptureFixture[str]) -> None:
    """When a cap binds it is named."""
    assert run([*CALL[:6], "66990", *CALL[7:]]) == 0
    assert "the cap on exposure decides" in capsys.readouterr().out
    assert run([*CALL[:6], "66990", *CALL[7:], "--exposure", "10"]) == 0
    assert "the cap on notional decides" in capsys.readouterr().out


def test_too_small_an_order_is_said_to_be_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the venue's smallest order nothing would be sent."""
    assert run(["size", "--equity", "5", "--entry", "67000", "--stop", "60000"]) == 0
    assert "not sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--equity", "0", "--equity must be above 0, up to 1e+12"),
        ("--confidence", "140", "--confidence must be from 0 to 100"),
        ("--stop", "67000", "there is no risk"),
        ("--stop", "66999.9", "--stop 66999.9 and --entry 67000 are both 67000 on the price steps"),
        ("--risk", "0.5", "--risk must be above 0, up to 0.05"),
        ("--leverage", "nan", "--leverage must be from 1 to 200"),
    ],
)
def test_impossible_numbers_are_refused(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each number has its range, named in the error."""
    assert run([*CALL, option, value]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--equity", "--entry", "--stop"])
def test_a_number_that_is_needed_is_asked_for(
    missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without equity, entry or stop there is nothing to explain: one line says which is missing."""
    at = CALL.index(missing)

    assert run([*CALL[:at], *CALL[at + 2 :]]) == 2

    assert f"Missing option '{missing}'" in capsys.readouterr().err


def test_a_coin_has_its_rules_in_small_letters_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`btc` is sized by the lot and the leverage of BTC."""
    shown = []
    for symbol in ("BTC", "btc"):
        assert run([*CALL, "--symbol", symbol]) == 0
        shown.append(capsys.readouterr().out.replace(symbol, "BTC"))

    assert shown[0] == shown[1]
