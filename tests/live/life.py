"""Sessions in processes of their own, which may kill themselves at a write of their journal.

python life.py: each line of JSON on stdin is a session to run in a fork of this process; its id is
the answer. A session is what `Life` of `lives.py` asks for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))

from live_kit import config_for, sleeve_of

from ftbt.live.interrupts import interrupts
from ftbt.live.journal.appending import Appender
from ftbt.live.runner import LiveRun


def kill_at(number: int, *, after: bool, counter: Path) -> None:
    """Let this process die at its *number*-th write; count them in a file."""
    write = Appender._insert
    count = 0

    def counted(self: Appender) -> None:
        nonlocal count
        count += 1
        if count == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self)
        counter.write_text(str(count))
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Appender._insert = counted  # type: ignore[method-assign]


def live(asked: dict[str, Any]) -> None:
    """Run a session until it is asked to stop."""
    state = Path(asked["state"])
    kill_at(asked["kill"], after=asked["after"], counter=state.with_name("writes"))
    plan = {int(opened): fields for opened, fields in asked["plan"].items()}
    sleeve = sleeve_of(plan, asked["parameters"])
    where = (asked["url"], asked["user"], asked["secret"])
    run = LiveRun(config_for(where, state, sleeve, asked["warm_from"]))
    with interrupts(run):
        run.run()


def main() -> None:
    """Fork a session for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        child = os.fork()
        if child:
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            live(json.loads(line))
        except BaseException:  # noqa: BLE001 - told, and then it is over
            traceback.print_exc()
            os._exit(1)
        os._exit(0)


if __name__ == "__main__":
    main()
