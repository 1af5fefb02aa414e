"""What several sections derive from a run, recomputed by a slower second route."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from report_runs import Plot, write_run

from ftbt.report.source import Source
from ftbt.walkforward.store import load_run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return a run of four windows, the second failed."""
    folder = tmp_path_factory.mktemp("run") / "run-1"
    return Source(load_run(write_run(folder, Plot(windows=4, failed=(1,), symbols=("BTC", "ETH")))))


def test_in_sample_counts_every_day_once(source: Source) -> None:
    """Each window gives its training's last 30 days, linked by growth; a failed one a gap."""
    level, expected = source.capital, {}
    for _, window in source.done.iterrows():
        part = source.run.in_sample[source.run.in_sample["window"] == window["window"]]
        part = part.set_index("time")["equity"]
        first = window["train_end"] - pd.Timedelta(days=30)
        before = part[part.index < first].iloc[-1]
        for time, value in part[part.index >= first].items():
            expected[time.value // 10**6] = level * value / before
        level = list(expected.values())[-1]
    known = ~np.isnan(source.within.value)

    assert source.within.time[known].tolist() == list(expected)
    assert source.within.value[known] == pytest.approx(list(expected.values()))
    assert (~known).sum() == 1
    assert (np.diff(source.within.time) > 0).all()


def test_buy_and_hold_agrees_with_the_summary(source: Source) -> None:
    """Its metrics are those of the stored curve."""
    assert source.held["total_return"] == pytest.approx(source.run.summary.buy_and_hold_return)
    value = source.hold.value
    deepest = min(
        value[i] / max(source.capital, value[: i + 1].max()) - 1 for i in range(0, len(value), 1)
    )
    assert source.held["max_drawdown"] == pytest.approx(deepest)


def test_costs_add_up(source: Source) -> None:
    """Profit before costs less all costs is the net profit of the stitched curve."""
    net = float(source.trades["money"].sum())

    assert source.costs["before"] - source.costs["total"] == pytest.approx(net)
    assert net == pytest.approx(source.equity.value[-1] - source.capital)


def test_in_sample_metrics_are_those_of_the_chosen_trials(source: Source) -> None:
    """The median is over the finished windows' chosen trials alone."""
    values = []
    for _, window in source.done.iterrows():
        trials = source.run.trials
        row = trials[(trials["window"] == window["window"])
                     & (trials["trial"] == window["chosen_trial"])]  # fmt: skip
        values.append(float(row["metric_sharpe"].iloc[0]))

    assert len(values) == 3
    assert source.within_median("sharpe") == pytest.approx(np.median(values))
