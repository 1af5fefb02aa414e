"""Both engines give the same answer on several symbols and strategies on one account."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import given
from portfolio_kit import Account, accounts, long_account
from test_parity import FEW, MANY, assert_same

from ftbt.strategy.records import REFUSAL_WORDS, Refusal


def assert_answers_agree(question: Account):
    """Assert that both engines answer *question* alike; return the answer."""
    answer = question.ask("compiled")
    assert_same(answer, question.ask("reference"))
    return answer


@hypothesis.settings(FEW, max_examples=100)
@given(accounts())
def test_engines_agree_on_small_accounts(question):
    """Any setups of any strategies on any small markets give the same result on both engines."""
    assert_answers_agree(question)


@hypothesis.settings(FEW, max_examples=30)
@given(accounts())
def test_accounts_agree_with_what_live_runs_do(question):
    """Several symbols moved one bar at a time, as live, give the same result to the last bit."""
    assert_same(question.ask("compiled"), question.ask("bar-by-bar"))


@pytest.mark.slow
@MANY
@given(accounts(most=30))
def test_engines_agree_on_ten_thousand_accounts(question):
    """Any setups of any strategies on any small markets give the same result on both engines."""
    assert_answers_agree(question)


def test_engines_agree_on_long_accounts():
    """Long runs agree, and the questions reach every rule that needs several symbols."""
    answers = [assert_answers_agree(long_account(seed, 250)) for seed in range(40)]
    refused = {word for answer in answers for word in answer.refused}
    for rule in (Refusal.POSITIONS, Refusal.ONE_PER_SYMBOL, Refusal.TOTAL_EXPOSURE):
        assert REFUSAL_WORDS[rule] in refused
    assert sum(len(answer.trades) for answer in answers) > 500


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_engines_agree_on_a_thousand_long_accounts(block):
    """Long runs of several symbols and strategies agree."""
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        try:
            assert_answers_agree(long_account(seed, 400))
        except AssertionError as error:
            raise AssertionError(f"long_account({seed}, 400): {error}") from error
