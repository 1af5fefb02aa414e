"""The tables of the journal, for queries. `migrations` makes them; a test holds both together.

Each log begins with `id` (1, 2, 3, ...) and ends with `chain`, see `events.link`.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

EVENT = Table(
    "event",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("wall_ms", Integer, nullable=False),
    Column("market_ms", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("coin", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", LargeBinary, nullable=False),
)
SENT = Table(
    "sent",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("wall_ms", Integer, nullable=False),
    Column("signer", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("nonce", Integer, nullable=False),
    Column("expires_after", Integer),
    Column("kind", Text, nullable=False),
    Column("cloids", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    Column("chain", LargeBinary, nullable=False),
)
OUTCOME = Table(
    "outcome",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sent", Integer, ForeignKey("sent.id"), nullable=False),
    Column("wall_ms", Integer, nullable=False),
    Column("final", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("chain", LargeBinary, nullable=False),
)
# In the order in which they may be written: an outcome names what was sent.
LOGS = (EVENT, SENT, OUTCOME)

ABOUT = Table(
    "about",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
MIGRATION = Table(
    "migration",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("wall_ms", Integer, nullable=False),
    Column("ftbt", Text, nullable=False),
)
