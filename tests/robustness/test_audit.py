"""The look-ahead audit: every peek is caught, at its bar, with its line and its cause."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import pytest
from audit_kit import BIASED, biased, place, quick, write

from ftbt.data.candles import Candles
from ftbt.robustness.audit import Audit, Finding
from ftbt.robustness.lookahead.futures import replace_bars

DAY = 96  # bars of 15 minutes
FOUR_HOURS = 16
FILES = sorted(path.stem for path in BIASED.glob("*.py"))


def first(verdict: Audit) -> Finding:
    """The first order that changed."""
    assert verdict.verdict == "look-ahead", verdict
    found = verdict.findings[0]
    assert (found.kind, found.what) == ("look-ahead", "order")
    return found


def sent(found: Finding) -> bool:
    """Whether the strategy sends the order on the bars as they are."""
    return found.before != "no order"


# --- what looks ahead is caught -------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_biased_strategy_is_caught(name: str) -> None:
    """Each file of tests/biased is found to look ahead, by an order not later than its cut."""
    found = first(biased(name))
    assert 0 <= found.bar <= found.cut
    assert found.time == place().candles.time[found.bar]
    assert found.needs >= 1
    assert found.bar + found.needs > found.cut, "it depends on a bar after the cut at least"
    assert found.place is not None
    assert found.place.file == f"{name}.py"


@pytest.mark.parametrize("name", ["shifted_close", "next_index", "remembered_bars"])
def test_the_next_close_is_caught_at_the_bar_before_it(name: str) -> None:
    """Who reads the next close is caught by an order right at the cut, one bar ahead."""
    close = place().candles.close
    verdict = biased(name)
    found = first(verdict)
    assert (found.bar, found.needs) == (found.cut, 1)
    for one in verdict.findings:
        assert one.bar == one.cut
        change = close[one.bar + 1] / close[one.bar]
        expected = change < 0.997 if name == "next_index" else change > 1.002
        assert expected == sent(one)


def test_a_line_that_looks_ahead_is_named_with_its_values() -> None:
    """The shifted close is named as the attribute that holds it, with both of its values."""
    close = place().candles.close
    found = first(biased("shifted_close"))
    assert found.value is not None
    assert found.value.name.startswith("self.change")
    assert found.value.bar == found.cut
    assert found.value.before == close[found.cut + 1] / close[found.cut]
    assert found.value.after != found.value.before


def test_an_unconfirmed_swing_is_caught_at_its_own_bar() -> None:
    """The swing is bought fewer than five bars before the cut that ends its confirmation."""
    low = place().candles.low
    verdict = biased("unconfirmed_swing")
    found = first(verdict)
    assert found.cut - 5 < found.bar <= found.cut
    assert found.needs <= 5
    assert found.value is not None
    assert (found.value.name, found.value.bar) == ("pivots.low_event (Pivots)", found.bar)
    assert found.place is not None
    assert found.place.code == "def rule(bar, pivots, p, setup):"
    for one in verdict.findings:
        if one.value is not None and one.value.before == 1.0:
            assert low[one.value.bar] == low[one.value.bar - 5 : one.value.bar + 6].min()


def test_the_days_final_close_is_caught_on_the_day_of_the_cut() -> None:
    """Each order that changes was sent on the day that the cut goes through."""
    verdict = biased("days_final_close")
    for one in verdict.findings:
        assert one.bar // DAY == one.cut // DAY
    found = first(verdict)
    assert found.bar + found.needs < (found.bar // DAY + 1) * DAY
    assert found.value is not None
    assert found.value.name == "self.final"
    assert found.value.bar == found.bar // DAY * DAY, "wrong since midnight"


def test_an_unfinished_bar_is_caught_inside_of_it() -> None:
    """Each order that changes was sent inside the 4h bar that the cut goes through."""
    verdict = biased("unfinished_4h")
    for one in verdict.findings:
        assert one.bar // FOUR_HOURS == one.cut // FOUR_HOURS
    assert first(verdict).needs < FOUR_HOURS


def test_a_centred_window_is_caught_within_its_half() -> None:
    """Orders change up to ten bars before the cut, half of the window of 21."""
    verdict = biased("centred_window")
    assert all(one.cut - 10 <= one.bar <= one.cut for one in verdict.findings)
    found = first(verdict)
    assert found.needs <= 10
    assert found.value is not None
    assert found.value.name == "self.smooth"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole_sample_score", "self.score"),
        ("ranked_signals", "self.taken"),
        ("global_fit", "self.weights[0]"),
        ("tuned_on_all", "self.p.large"),
    ],
)
def test_what_is_taken_from_the_whole_history_is_named(name: str, value: str) -> None:
    """The array or number that was made of all bars is named, and it reaches far ahead."""
    found = first(biased(name))
    assert found.value is not None
    assert found.value.name == value
    assert found.needs > DAY // 4


def test_the_first_change_of_a_whole_sample_score_is_where_its_score_decides() -> None:
    """The bar is the first at which the score of the shorter history decides another way."""
    verdict = biased("whole_sample_score")
    close = place().candles.close
    for one in verdict.findings:
        if one.future != "no bars after it":
            continue
        decided = []
        for known in (close, close[: one.cut + 1]):
            score = (known - known.mean()) / known.std()
            held, bars = False, {}
            for bar in range(verdict.trade_from, one.cut):
                if not held and score[bar] < -0.5:
                    held, bars[bar] = True, "buy"
                elif held and score[bar] > 0.0:
                    held, bars[bar] = False, "sell"
            decided.append(bars)
        apart = set(decided[0].items()) ^ set(decided[1].items())
        assert one.bar == min(bar for bar, _ in apart)


def test_a_cancellation_that_looks_ahead_is_caught_where_it_is_sent(tmp_path: Path) -> None:
    """An order that is withdrawn before a bad bar changes at the bar of its cancellation."""
    file = write(
        tmp_path,
        "dodge",
        """
waiting = None

def next(self):
    if self.waiting is not None and self.waiting.alive():
        lows = self.data.low.array
        if len(self) < len(lows) and lows[len(self)] < self.waiting.created.price * 0.998:
            self.cancel(self.waiting)
    elif not self.position:
        price = self.data.close[0] * 0.998
        self.waiting = self.buy(size=0.05, exectype=bt.Order.Limit, price=price)
    elif len(self) % 10 == 0:
        self.close()
""",
    )
    found = first(quick(file, prefixes=15))
    assert (found.bar, found.needs) == (found.cut, 1)
    assert found.place is not None
    assert found.place.code == "self.cancel(self.waiting)"
    assert "cancelled in bar" in found.before + found.after


def test_a_stop_under_a_low_to_come_is_caught_by_its_price(tmp_path: Path) -> None:
    """The order is the same but for its price, which is told for both futures."""
    file = write(
        tmp_path,
        "safe_stop",
        """
def next(self):
    if not self.position and len(self) % 50 == 0:
        lows = self.data.low.array[len(self) - 1 : len(self) + 30]
        close = self.data.close[0]
        self.buy_bracket(
            size=0.05, exectype=bt.Order.Market,
            stopprice=min(lows) * 0.999, limitprice=close * 1.01,
        )
""",
    )
    found = first(quick(file))
    assert found.before.startswith("sell 0.05, stop ")
    assert found.after.startswith("sell 0.05, stop ")
    assert found.before != found.after
    assert found.needs <= 30


def test_a_lag_that_reaches_around_to_the_end_is_caught(tmp_path: Path) -> None:
    """`close[-200]` at bar 5 is a bar near the end of the data: Python counts from there."""
    body = """
def next(self):
    if not self.position and self.data.close[-200] > self.data.close[0]:
        self.buy(size=0.05)
    elif self.position and len(self) % 11 == 0:
        self.close()
"""
    file = write(tmp_path, "reaches_back", body)
    assert first(quick(file, market=place(5), prefixes=3, trade_from=0)).bar < 200
    assert quick(file, market=place(5), prefixes=3, trade_from=200).clean


class Ends(bt.Strategy):
    """Sells everything at the last bar but one."""

    def next(self):
        if len(self) == self.data.buflen() - 1:
            self.close()
        elif not self.position and len(self) % 20 == 0:
            self.buy(size=0.05)
        elif self.position and len(self) % 20 == 10:
            self.close()


def test_who_knows_where_the_data_end_is_told_so() -> None:
    """An order that only comes at the end of the data is found, and what it knows is said."""
    assert "it knows where its data end" in first(quick(Ends)).detail


class Reckless(bt.Strategy):
    """Breaks where the data end, for it always looks ahead."""

    def next(self):
        if len(self) < 800 and self.data.close[3] > self.data.close[0] and not self.position:
            self.buy(size=0.01)


def test_a_strategy_that_breaks_without_its_future_is_caught() -> None:
    """What runs on all bars, and stops on the first ones alone, has looked ahead."""
    errors = [one for one in quick(Reckless).findings if one.what == "error"]
    assert errors
    assert all("IndexError" in one.detail and one.cut - 3 <= one.bar <= one.cut for one in errors)


class SignalPeek(bt.SignalStrategy):
    """A signal of the day after tomorrow."""

    def __init__(self):
        super().__init__()
        self.signal_add(bt.SIGNAL_LONGSHORT, self.data.close(2) - self.data.close)


def test_a_signal_strategy_is_caught_too() -> None:
    """Orders that no line of the user's sends have no line, but a bar and a value."""
    found = first(quick(SignalPeek, market=place(5), prefixes=3))
    assert found.cut - 2 < found.bar <= found.cut
    assert found.place is None
    assert found.value is not None


# --- what a strategy knows from elsewhere ---------------------------------------------------------

FROM_FILE = """
def start(self):
    with open(self.path) as file:
        closes = [float(line.split(",")[4]) for line in list(file)[1:]]
    self.up = [b > a * 1.002 for a, b in zip(closes, closes[1:])] + [False]

def next(self):
    if not self.position and self.up[len(self) - 1]:
        self.buy(size=0.05)
    elif self.position and len(self) % 8 == 0:
        self.close()
"""


def csv_of(candles: Candles, path: Path) -> Path:
    """The bars as a CSV file."""
    names = candles.bars.dtype.names
    rows = [",".join(names), *(",".join(f"{x:.15g}" for x in row) for row in candles.bars.tolist())]
    path.write_text("\n".join(rows))
    return path


def test_a_file_that_has_the_later_bars_is_found(tmp_path: Path) -> None:
    """No prefix shows a peek at a file; that it holds the bars to come is seen all the same."""
    path = csv_of(place().candles, tmp_path / "prices.csv")
    verdict = quick(write(tmp_path, "reads_all", f"path = {str(path)!r}\n{FROM_FILE}"), prefixes=4)
    assert verdict.verdict == "outside"
    assert [one.what for one in verdict.findings] == ["file"]
    assert "prices.csv" in verdict.findings[0].detail


def test_a_file_of_other_numbers_is_a_warning(tmp_path: Path) -> None:
    """What else is read can't be checked, and that is said; it is no look-ahead."""
    other = place().candles.bars[::-1].copy()
    path = csv_of(replace_bars(place().candles, other), tmp_path / "numbers.csv")
    verdict = quick(write(tmp_path, "reads_some", f"path = {str(path)!r}\n{FROM_FILE}"), prefixes=4)
    assert verdict.clean
    assert any("numbers.csv" in text for text in verdict.warnings)


def test_bars_that_were_not_given_are_found_where_they_are_held(tmp_path: Path) -> None:
    """A strategy that gets the whole market from elsewhere holds later bars: named by its place."""
    file = write(
        tmp_path,
        "holds_all",
        """
def next(self):
    now = len(self)
    if now < len(ALL) and not self.position and ALL[now] > self.data.close[0] * 1.002:
        self.buy(size=0.05)
    elif self.position and now % 8 == 0:
        self.close()
""",
        head="from ftbt.data.sample import sample_market\n"
        "ALL = sample_market(['BTC'], days=9)['BTC'].candles.close.tolist()",
    )
    verdict = quick(file, prefixes=4)
    assert verdict.verdict == "outside"
    assert verdict.findings[0].detail.startswith("global holds_all.ALL holds bars after")
