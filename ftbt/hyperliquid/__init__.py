"""The client of Hyperliquid: signing, REST, sockets, closed bars, and their budgets.

`network` says where, `keys` who, `nonces` and `budget` how often, `wire` in which numbers;
`rest` reads, `sending` acts and `resolving` finds out what became of an action whose answer was
lost; `sockets` listens, `bars` and `feed` hand closed bars to Backtrader. Only `sdk` knows the
official SDK.
"""
