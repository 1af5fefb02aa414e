"""What a journal says, without a bot: its events carried through the books of a broker.

It is the broker of a session, restored as at a start (`ftbt.live.restore`), over feeds that stand
still and with strategies that decide nothing: so there is one fold, not one for the bot and one for
those who look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ftbt.backtest.result import Role, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import Working
from ftbt.data.market import instrument_for
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, IntegrityError
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.hyperliquid.records import Asset
from ftbt.live.broker import Account, LiveBroker
from ftbt.live.journal import JournalReader
from ftbt.live.offline import Place
from ftbt.live.restore import KINDS, Before, Restoring
from ftbt.live.still import StillFeed
from ftbt.risk.limits import Limits

Note = Callable[[str, Mapping[str, Any], str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A journal, folded.

    Attributes:
        broker: with the books as the last process had them.
        session: the newest `session` event.
        since: fills and payments of funding from then on may not be booked, ms of the market.
        events: how many were carried in.
    """

    broker: LiveBroker
    session: Mapping[str, Any]
    since: tuple[int, int]
    events: int

    @property
    def positions(self) -> dict[str, tuple[float, float]]:
        """Signed size and mean price by coin, of what is held."""
        books = self.broker.coins.values()
        return {b.coin: (b.size, float(b.position.price)) for b in books if b.size}

    @property
    def waiting(self) -> list[Working]:
        """The orders that are meant to be there: entries that wait, and what protects."""
        return [
            one
            for book in self.broker.coins.values() for one in book.active
            if one.status == Status.OPEN and (not one.reduces or book.size)
        ]  # fmt: skip


def last_description(reader: JournalReader) -> Mapping[str, Any] | None:
    """Return the newest `session` event, None when nothing has traded yet."""
    found = reader.latest(1, kinds=("session",))
    return found[0].body if found else None


def place_of(reader: JournalReader) -> Place | None:
    """Return where the deployment of a journal trades, None when nothing has traded yet."""
    said = last_description(reader)
    if said is None:
        return None
    return Place(
        reader.summary().deployment, said["network"], said["url"], said["account"],
        tuple(said["symbols"]),
    )  # fmt: skip


def fold(
    reader: JournalReader,
    prices: Mapping[str, float] | None = None,
    assets: Mapping[str, Asset] | None = None,
    now: int = 0,
    note: Note = lambda _kind, _body, _coin: None,
) -> Folded:
    """Return what *reader* says.

    Args:
        reader: of a journal.
        prices: of now, by coin; without them nothing that depends on a price may be asked.
        assets: rules of the venue by coin; None: as known for these coins.
        now: time of the market, ms; 0: that of the newest event.
        note: called with each event that the broker would write down afterwards.

    Raises:
        InputError: no session has traded with it.
        IntegrityError: its events do not fit together.
    """
    said = last_description(reader)
    if said is None:
        raise InputError(f"no session has traded with {reader.path} yet: nothing to fold")
    step = Timeframe.parse(said["timeframe"]).ms
    moment = now or max((one.market_ms for one in reader.latest(1)), default=0)
    opened = moment // step * step - step
    coins = tuple(said["symbols"])
    feeds = {coin: StillFeed(coin, opened, (prices or {}).get(coin, 0.0)) for coin in coins}
    known = assets or {coin: _asset(coin) for coin in coins}
    broker = _broker(said, {coin: known[coin] for coin in coins}, reader, step, note)
    for coin, feed in feeds.items():
        broker.add_coin(feed)  # type: ignore[arg-type]
        price = (prices or {}).get(coin, float("nan"))
        broker.coins[coin].take_bar(opened, price, price, price)
    broker.start()
    broker.clock.append(opened)
    owners = [
        SimpleNamespace(ftbt_sleeve=number, data=feed)
        for number in range(len(said["strategies"])) for feed in feeds.values()
    ]  # fmt: skip
    restoring = Restoring(broker, owners)
    count = restoring.run(reader.events(kinds=KINDS))
    return Folded(broker, said, Before.read(reader).since(moment, restoring), count)


def _broker(
    said: Mapping[str, Any], assets: Mapping[str, Asset], reader: JournalReader, step: int,
    note: Note,
) -> LiveBroker:  # fmt: skip
    money = dict(said["settings"])
    try:
        settings = Settings(**{**money, "limits": Limits(**money["limits"])})
    except (TypeError, KeyError) as error:
        raise IntegrityError(f"{reader.path} has settings that this ftbt does not know") from error
    shares = [float(one["share"]) for one in said["strategies"]]
    summary = reader.summary()
    cloids = CloidMaker(summary.deployment, summary.created_ms)
    account = Account(settings, assets, cloids, shares)
    return LiveBroker(account, step, note, lambda: None)


def _asset(coin: str) -> Asset:
    rules = instrument_for(coin)
    return Asset(coin, 0, rules.size_decimals, int(rules.max_leverage), False, False)


def order_words(working: Working, coin: str) -> str:
    """Return an order in words: `order 3: stop, sells 0.2 BTC at 41000`."""
    side = "buys" if working.side > 0 else "sells"
    price = "the market" if working.price != working.price else f"{working.price:g}"
    role = Role(working.role).name.lower()
    return f"order {working.number}: {role}, {side} {working.remaining:g} {coin} at {price}"
