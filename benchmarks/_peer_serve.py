"""Runs inside a peer's environment: answers questions, one line of JSON each, until its input ends.

`python _peer_<name>.py bars.npy` loads the bars and says that it is ready. Each question
`{"work": name, ...}` is answered by what the function of that name returns, with the processor and
wall time that it took; so peers can take turns on one machine.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def serve(works: Mapping[str, Callable[..., dict[str, Any]]], versions: Mapping[str, str]) -> None:
    """Answer questions on the standard input by *works*, called as `work(bars, **question)`."""
    bars = np.load(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    # What a peer prints of its own (banners, progress bars) must not stand between the answers.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        print(json.dumps({"versions": dict(versions)}), file=answers, flush=True)
        for line in sys.stdin:
            question = json.loads(line)
            work = works[question.pop("work")]
            print(json.dumps(_answer(work, bars, question)), file=answers, flush=True)


def _answer(
    work: Callable[..., dict[str, Any]], bars: Any, question: Mapping[str, Any]
) -> dict[str, Any]:
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    try:
        found = work(bars, **question)
    except Exception:  # noqa: BLE001 - the other side tells it
        return {"error": traceback.format_exc()}
    took = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    return {**took, **found}
