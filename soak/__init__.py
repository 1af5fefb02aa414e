"""Days of trading in minutes, with everything that may go wrong: is anything lost?

`python -m soak` (or `make soak`) runs the live process against the local exchange over a market and
a list of faults that are drawn from a seed, kills and restarts it, and keeps accounts of its own.
What came out stands in `docs/soak-report.md`.

* `catalogue` - what may go wrong; `plan` - what does, and when
* `ward` - the live process, through kills and restarts
* `watching` - the exchange and the process as they are seen from outside, ten times a second
* `driving` - the market, and what is done to the process on its way
* `ledger` - accounts of its own; `accounts` - compared with exchange and journal
* `intents`, `limits` - no order twice, no limit broken
* `figures`, `page` - what was promised, and what was kept
"""
