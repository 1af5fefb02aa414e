"""What `ftbt recover` has found, in words."""

from __future__ import annotations

from pathlib import Path

from ftbt.data.timeframe import show_ms
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.live.fold import Folded, order_words
from ftbt.live.journal import JournalReader
from ftbt.live.offline import Place
from ftbt.live.prospect import Prospect, There, open_words


def journal_lines(known: Folded, reader: JournalReader) -> list[str]:
    """Return what the journal says."""
    desk, newest = known.broker.desk, max(one.market_ms for one in reader.latest(1))
    lines = [
        f"the journal says, up to {show_ms(newest)}:",
        f"  {len(desk.trades)} trades closed, {len(desk.fills)} fills",
    ]
    for coin, (size, entry) in known.positions.items():
        lines.append(f"  {size:+g} {coin} at {entry:g}")
    lines += [] if known.positions else ["  flat"]
    coins = list(known.broker.coins)
    lines += [f"  {order_words(one, coins[one.symbol])}" for one in known.waiting]
    unanswered = len(reader.unanswered())
    if unanswered:
        lines.append(
            f"  {unanswered} actions were sent and have no answer: the start asks for each first"
        )
    return lines


def there_lines(there: There, place: Place) -> list[str]:
    """Return what the exchange has."""
    lines = [
        f"{place.network} has for {place.account}, at {show_ms(there.market_ms)}:",
        f"  equity {there.equity:,.2f}",
    ]
    lines += [f"  {size:+f} {coin} at {entry:f}" for coin, (size, entry) in there.positions.items()]
    lines += [] if there.positions else ["  flat"]
    return lines + [f"  {open_words(order)}" for order in there.orders]


def difference_lines(found: Prospect) -> list[str]:
    """Return each difference, its class, and what the next start does about it."""
    if not found.differences:
        return ["journal and exchange agree: the next start goes on where the last one ended"]
    lines = ["differences, and what the next start does:"]
    for one in found.differences:
        mark = "!" if one.escalated else " "
        lines.append(f"{mark} {one.kind}: {one.text}: {one.then}")
    if any(one.escalated for one in found.differences):
        lines.append("! needs a person: docs/incident-response.md tells what to do")
    return lines


def begun_lines(there: There, place: Place, folder: Path) -> list[str]:
    """Return what must be known after a new journal was begun."""
    cloids = CloidMaker(place.deployment)
    own = [order for order in there.orders if cloids.owns(order.cloid)]
    lines = [
        "a new journal was begun. Know what follows:",
        (
            "  what was earned and lost is forgotten here: profit, limits of the day and week and"
            " the drawdown begin anew with the next start; give it the --capital that is there now"
        ),
        "  the deployment is halted: nothing is opened until ftbt resume",
    ]
    for coin, (size, _) in there.positions.items():
        if coin in place.coins:
            lines.append(
                f"! foreign position: {size:+f} {coin}: the next start does not close it, gives it"
                " no stop, and opens nothing in it until it is gone"
            )
    if own:
        lines.append(
            f"! {len(own)} orders of this deployment, stops among them, mean nothing to the new"
            " journal: the next start cancels them"
        )
    if own or there.positions:
        lines.append(f"! to have neither: ftbt kill {folder} closes both now, before a start")
    return lines
