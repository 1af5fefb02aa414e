"""A local exchange that speaks Hyperliquid's API, for rehearsals and tests.

The core (`clock`, `market`, `book`, `orders`, `matching`, `ledger`, `margin`, `venue`) is pure
and deterministic: the same candles, options and sequence of actions give the same bytes. The
layers around it (`info`, `exchange`, `sockets`, `control`, `server`) only translate.

`ftbt.localnet.process.localnet` starts one in a process of its own.
"""
