"""A rehearsal: the live process against the local exchange, over candles that are known.

* `plan` - which bars, and the back-test on them
* `sitter` - the live process, and what its status file says
* `pacing` - the market goes as fast as that process follows
* `faults` - what is to go wrong, and when
* `run` - all of it, and the comparison

Only the command line uses it: it starts the local exchange, which no part of trading may know.
"""
