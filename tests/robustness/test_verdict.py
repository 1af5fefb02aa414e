"""From gates to the verdict, and thresholds that can only be tightened."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest

from ftbt.errors import ConfigError
from ftbt.robustness.assessment import Gate, Verdict
from ftbt.robustness.thresholds import TABLE, Thresholds
from ftbt.robustness.verdict import Outlook, judge

HARD = ("H1", "H2", "H3", "H4")
SOFT = ("S1", "S3", "S4", "S5", "S6", "S7")
VALID = ("H0 audit", "H0 costs", "H0 trades")
GOOD = Outlook(days=900, trades=400, annual_sharpe=1.5, needed_days=700.0)
FORBIDDEN = ("safe", "robust", "guarantee", "certain", "proves", "proven")


def line(name: str, outcome: str = "pass", **more: Any) -> Gate:
    """Return a gate of the scorecard."""
    weight = "information" if name == "S2" else "hard" if name.startswith("H") else "soft"
    given: dict[str, Any] = {
        "id": name,
        "name": f"gate {name}",
        "value": 1.0,
        "low": math.nan,
        "high": math.nan,
        "shown": f"value of {name}",
        "limit": 0.5,
        "threshold": f"limit of {name}",
        "source": "somewhere",
        "outcome": outcome,
        "weight": weight,
        "reason": f"reason of {name}",
        "damage": 0.0 if outcome == "pass" else 0.5,
    }
    return Gate(**{**given, **more})


def scorecard(outcomes: Mapping[str, str]) -> list[Gate]:
    """Return all gates, passed unless *outcomes* says otherwise."""
    return [line(name, outcomes.get(name, "pass")) for name in (*VALID, *HARD, "S2", *SOFT)]


def verdict(outlook: Outlook = GOOD, **outcomes: str) -> Verdict:
    """Return the verdict of a scorecard; names without the space of H0."""
    named = {name.replace("H0_", "H0 "): outcome for name, outcome in outcomes.items()}
    return judge(scorecard(named), outlook, Thresholds())


def test_everything_passed_is_a_pass() -> None:
    """All hard and soft gates passed: PASS, nothing damaging."""
    found = verdict()

    assert found.state == "PASS"
    assert found.headline == "PASS – survives these tests"
    assert found.worst == found.worst_gate == ""
    assert found.soft_fails == ()
    assert math.isnan(found.months)


@pytest.mark.parametrize("gate", VALID)
@pytest.mark.parametrize("outcome", ["fail", "not judged"])
def test_an_invalid_test_is_not_judged(gate: str, outcome: str) -> None:
    """A condition of H0 that is not met comes before everything, even before failed gates."""
    found = judge(
        scorecard({gate: outcome, "H1": "fail", "H4": "inconclusive"}), GOOD, Thresholds()
    )

    assert found.state == "NOT JUDGED"
    assert f"reason of {gate}" in found.sentence
    assert found.worst_gate == gate


def test_every_combination_of_hard_gates_follows_the_rule() -> None:
    """Any fail is FAIL; else anything but a pass is INCONCLUSIVE; else PASS (all 256 cases)."""
    outcomes = ("pass", "inconclusive", "fail", "not judged")
    for case in itertools.product(outcomes, repeat=len(HARD)):
        found = judge(scorecard(dict(zip(HARD, case, strict=True))), GOOD, Thresholds())

        expected = "FAIL" if "fail" in case else "PASS" if set(case) == {"pass"} else "INCONCLUSIVE"
        assert found.state == expected, case


@pytest.mark.parametrize("count", range(len(SOFT) + 1))
def test_one_soft_gate_may_fail(count: int) -> None:
    """Up to one failed soft gate is a PASS, two and more take it away."""
    found = verdict(**dict.fromkeys(SOFT[:count], "fail"))

    assert found.state == ("PASS" if count <= 1 else "INCONCLUSIVE")
    assert found.soft_fails == SOFT[:count]
    if count == 1:
        assert "one weak point: reason of S1" in found.sentence
    if count > 1:
        assert "stands out from luck, but reason of S1" in found.sentence
        assert found.change.startswith("Mend these, time alone won't: gate S1; gate S3")


def test_soft_gates_never_fail_a_run_and_unjudged_ones_count_for_nothing() -> None:
    """All soft gates failed is no FAIL; soft gates not judged are no failed ones."""
    assert verdict(**dict.fromkeys(SOFT, "fail")).state == "INCONCLUSIVE"
    assert verdict(**dict.fromkeys(SOFT, "not judged")).state == "PASS"


def test_information_decides_nothing() -> None:
    """Walk-forward efficiency may fail as it likes."""
    found = verdict(S2="fail", S1="fail")

    assert found.state == "PASS"
    assert found.worst_gate == "S1"


def test_tightened_soft_fails_take_the_one_away() -> None:
    """With no soft gate allowed to fail, a single one is INCONCLUSIVE."""
    strict = Thresholds().tightened(soft_fails=0)

    assert judge(scorecard({"S7": "fail"}), GOOD, strict).state == "INCONCLUSIVE"


def test_the_most_damaging_number_is_that_of_a_deciding_gate() -> None:
    """Of the gates that decided the one with the greatest damage; its value and threshold."""
    gates = [
        line("H0 audit"),
        line("H1", "inconclusive", damage=0.2),
        line("H3", "inconclusive", damage=0.4),
        line("S7", "fail", damage=0.9),
    ]
    found = judge(gates, GOOD, Thresholds())

    assert found.worst_gate == "H3"
    assert found.worst == "gate H3: value of H3 (needed: limit of H3)"
    assert found.sentence == "We could not tell this from luck because reason of H3."


def test_a_pass_still_names_its_weakest_point() -> None:
    """The failed soft gate is the most damaging number of a PASS."""
    assert verdict(S4="fail").worst_gate == "S4"


def test_headlines_tell_overfitting_from_no_edge() -> None:
    """A failed search or count of looks is overfitting; a failed record is no edge."""
    assert verdict(H3="fail").headline == "FAIL – looks overfit"
    assert verdict(H2="fail").headline == "FAIL – looks overfit"
    assert verdict(H2="fail", H1="fail").headline == "FAIL – no edge out of sample"
    assert verdict(H1="fail", H4="fail").headline == "FAIL – no edge out of sample"


def test_months_to_come_are_the_missing_length() -> None:
    """Needed days - days, in months of 30.44 days, said in whole months."""
    outlook = Outlook(days=600, trades=300, annual_sharpe=1.1, needed_days=813.0)
    found = verdict(outlook, H1="inconclusive")

    assert found.months == pytest.approx(213.0 / 30.4375)
    assert found.change == (
        "7 months more out of sample at an annual Sharpe ratio of 1.10 would lift it to the"
        " threshold."
    )


def test_years_to_come_are_said_in_years() -> None:
    """Nobody counts 60 months."""
    outlook = Outlook(days=365, trades=300, annual_sharpe=0.4, needed_days=365.0 * 17)

    assert "16 years more" in verdict(outlook, H4="fail").change


@pytest.mark.parametrize("sharpe", [-0.5, 0.0, math.nan])
def test_time_heals_no_loss(sharpe: float) -> None:
    """A Sharpe ratio of 0 or less needs another idea, not more months."""
    found = verdict(Outlook(400, 300, sharpe, math.nan), H1="fail")

    assert math.isnan(found.months)
    assert found.change.startswith("Another idea")


def test_no_length_suffices_after_too_many_looks() -> None:
    """A needed length that is not known is said, not made up."""
    found = verdict(Outlook(400, 300, 0.8, math.nan), H2="inconclusive")

    assert math.isnan(found.months)
    assert "no length of record would do" in found.change


def test_overfitting_is_not_mended_by_time() -> None:
    """When only the search is in doubt, months are no answer."""
    found = verdict(H3="inconclusive")

    assert math.isnan(found.months)
    assert found.change.startswith("A search with fewer parameters")


def test_few_trades_are_told_by_their_pace() -> None:
    """60 trades in 300 days: the 40 missing ones take 200 days."""
    found = verdict(Outlook(300, 60, 2.0, 100.0), H0_trades="not judged")

    assert found.months == pytest.approx(200.0 / 30.4375)
    assert found.change.startswith("40 more trades: about 7 months at this pace")


def test_no_trade_has_no_pace() -> None:
    """Without a trade no month can be promised."""
    found = verdict(Outlook(300, 0, math.nan, math.nan), H0_trades="not judged")

    assert math.isnan(found.months)
    assert "trades at all" in found.change


def test_no_verdict_promises_anything() -> None:
    """The words that nobody may read out of a back-test occur in no verdict."""
    outlooks = (GOOD, Outlook(400, 30, -1.0, math.nan), Outlook(400, 300, 0.5, 900.0))
    for outlook in outlooks:
        for name, outcome in itertools.product((*VALID, *HARD, *SOFT), ("fail", "inconclusive")):
            found = judge(scorecard({name: outcome, "S1": "fail"}), outlook, Thresholds())
            text = f"{found.headline} {found.sentence} {found.change} {found.worst}".lower()
            assert not any(word in text for word in FORBIDDEN), text


def test_the_table_has_sources_and_its_defaults_are_in_range() -> None:
    """Every threshold names where it comes from and lies in its own range."""
    for row in TABLE:
        assert row.source
        assert row.text
        assert row.low <= row.value <= row.high
        assert row.is_tighter(row.value)
    assert len({row.name for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_threshold_moves_one_way_only(row: Any) -> None:
    """The stricter end of its range is taken, anything looser than the default is refused."""
    strict = row.high if row.stricter == "higher" else row.low
    made = Thresholds().tightened(**{row.name: strict})

    assert made[row.name] == strict
    loose = row.value - 0.01 if row.stricter == "higher" else row.value + 0.01
    with pytest.raises(ConfigError, match=rf"threshold {row.name} is .* can only be"):
        Thresholds().tightened(**{row.name: loose})


def test_a_tightened_threshold_is_named_and_cannot_be_loosened_again() -> None:
    """Two steps in the strict direction are taken, one back is refused."""
    made = Thresholds().tightened(psr=0.97).tightened(psr=0.99)

    assert made.tightened_names == ("psr",)
    assert ("psr", 0.99, made.source("psr")) in made.rows()
    assert "tightened by the user" in made.source("psr")
    with pytest.raises(ConfigError, match=r"can only be raised, not set to 0\.97"):
        made.tightened(psr=0.97)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"prs": 0.99}, "did you mean 'psr'"),
        ({"psr": math.nan}, "must be a number"),
        ({"psr": True}, "must be a number"),
        ({"psr": 1.5}, "must be from 0.5 to 1"),
    ],
)
def test_wrong_thresholds_are_refused(values: dict[str, float], match: str) -> None:
    """An unknown name, no number, out of range: one line that says so."""
    with pytest.raises(ConfigError, match=match):
        Thresholds().tightened(**values)
