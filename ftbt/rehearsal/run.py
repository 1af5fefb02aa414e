"""One rehearsal from its plan to its drift."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ftbt.data.timeframe import from_ms, show_ms
from ftbt.errors import FtbtError, InputError
from ftbt.live.drift import Drift
from ftbt.live.evidence import Fault
from ftbt.live.journal import read_journal
from ftbt.live.parity import compare_record
from ftbt.live.record import KINDS, read_record
from ftbt.localnet.options import Options
from ftbt.localnet.process import Localnet, localnet, named_key
from ftbt.rehearsal.faults import PlannedFault
from ftbt.rehearsal.pacing import Pace, Paced, Pacer
from ftbt.rehearsal.plan import Plan
from ftbt.rehearsal.sitter import LIVE, Sitter, live_process, until_ready

JOURNAL = "journal.db"
# Budgets run by the wall clock, in which a whole week passes in minutes.
NO_BUDGET = "10000"
_READY_S = 180.0
_OVER_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsed:
    """What a rehearsal came to.

    Attributes:
        drift: the comparison; None when no bar was decided on.
        paced: what the market's drive took.
        seconds: wall time of market and live process together.
        failure: why it ended early, None for the whole of it.
    """

    drift: Drift | None
    paced: Paced
    seconds: float
    failure: BaseException | None


def live_words(
    plan: Plan, url: str, state: Path, asked: Sequence[str], program: Sequence[str] = LIVE
) -> list[str]:
    """Return the command line of the live process.

    Args:
        plan: the rehearsal.
        url: of the local exchange.
        state: folder of the live process.
        asked: strategy, parameters, money and limits as the user typed them.
        program: what to run.
    """
    return [
        *program, "--mode", "paper", "--network", "localnet", "--url", url,
        "--symbol", ",".join(plan.symbols), "--timeframe", plan.timeframe.text,
        "--capital", repr(plan.settings.capital), "--state", str(state),
        "--warmup-from", from_ms(plan.first_ms).isoformat(),
        "--until", from_ms(plan.end_ms).isoformat(), "--request-margin", NO_BUDGET, *asked,
    ]  # fmt: skip


def exchange_options(plan: Plan) -> Options:
    """Return what the local exchange is started with: it stands still before the first bar.

    Its request budgets are off: they run by the wall clock, and a week passes in minutes.
    """
    return Options(
        symbols=plan.symbols,
        timeframe=plan.timeframe.text,
        # The bar before is the first to be decided on: its close is proved by the first trade.
        begin=from_ms(plan.begin_ms + plan.timeframe.ms).isoformat(),
        paused=True,
        settings=plan.settings,
        limits=False,
    )


def rehearse(
    plan: Plan,
    state: Path,
    asked: Sequence[str],
    *,
    faults: tuple[PlannedFault, ...] = (),
    tell: Callable[[Pace], None] = lambda _: None,
    program: Sequence[str] = LIVE,
    patience_s: float = 60.0,
) -> Rehearsed:
    """Run the live process over the bars of *plan* and compare it with the back-test.

    Whatever ends it early (Ctrl-C, the live process, the exchange), all processes are ended, and
    what there is until then is compared.

    Args:
        plan: which bars.
        state: folder of the live process; must not hold a journal.
        asked: words of the user for the live process, see `live_words`.
        faults: what is to go wrong.
        tell: called with how far it is.
        program: the live process's.
        patience_s: how long it may take for one stop of the market.

    Raises:
        InputError: a state folder that was traded with before.
    """
    if (state / JOURNAL).exists():
        raise InputError(f"{state} holds the journal of another session: name another --state")
    began = time.monotonic()
    paced, failure = Paced(plan.begin_ms), None
    try:
        options = exchange_options(plan)
        with localnet(options, plan.markets, capital=Decimal(repr(plan.settings.capital))) as net:
            agent = {"user": net.user.address, "agent": named_key("agent").address, "name": "ftbt"}
            net.control("/agent", agent)
            words = live_words(plan, net.url, state, asked, program)
            with live_process(words, state) as sitter:
                paced = _drive(net, sitter, plan, faults, tell, patience_s, paced)
    except (FtbtError, KeyboardInterrupt) as error:
        failure = error
    seconds = time.monotonic() - began
    return Rehearsed(_compare(plan, state, paced, failure), paced, seconds, failure)


def _drive(
    net: Localnet, sitter: Sitter, plan: Plan, faults: tuple[PlannedFault, ...],
    tell: Callable[[Pace], None], patience_s: float, paced: Paced,
) -> Paced:  # fmt: skip
    until_ready(sitter, _READY_S)
    pacer = Pacer(
        net, sitter, net.user.address, plan.span(), patience_s, faults, tell,
    )  # fmt: skip
    # Shared, so that an error leaves what was done until then.
    pacer.paced = paced
    pacer.drive()
    sitter.wait(_OVER_S)
    return paced


def _compare(plan: Plan, state: Path, paced: Paced, failure: BaseException | None) -> Drift | None:
    """Return the comparison up to the last bar that was decided on, None without one."""
    if paced.reached_ms < plan.begin_ms + 2 * plan.timeframe.ms:
        return None
    with read_journal(state / JOURNAL) as reader:
        record = read_record(reader.events(kinds=KINDS))
    faults = tuple(Fault(*one) for one in paced.struck)
    notes = _notes(plan, paced, failure)
    expected = plan.back_test(paced.reached_ms, int(record.result.time[0]))
    return compare_record(expected, record, plan.markets, faults, notes)


def _notes(plan: Plan, paced: Paced, failure: BaseException | None) -> list[str]:
    notes = []
    if not plan.has_detail:
        notes.append("no detail bars: the path inside a bar is a guess on both sides")
    if paced.quiet:
        notes.append(f"at {paced.quiet} opens a coin did not trade: decided when others had again")
    if paced.blind:
        notes.append(f"after faults the market went on {paced.blind} times before it was followed")
    if failure is not None:
        notes.append(f"ended early, after the bar that closed {show_ms(paced.reached_ms)}")
    return notes
