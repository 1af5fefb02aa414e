"""The control API: everything about the local exchange that no client of the venue could do.

Plain JSON over HTTP on a port of its own, loopback only, without authentication. Every path and
its fields: `docs/how-to/rehearse-on-localnet.md`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from ftbt.errors import FtbtError, InputError
from ftbt.localnet.faults import KINDS
from ftbt.localnet.interventions import Interventions, number
from ftbt.localnet.replay import Stops
from ftbt.localnet.server import HOST, Server, port_of
from ftbt.localnet.sockets import Connection, dumps
from ftbt.localnet.wireform import Unreadable, address

Body = dict[str, Any]
_MOST_BARS = 1_000_000
STOPS = ("fill", "bar", "account")


class Control:
    """Serves the control port of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.host = server.host
        self.act = Interventions(server.host.venue)
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on *port* of the loopback interface; 0 takes any free one."""
        app = web.Application()
        for path, handler in self._routes().items():
            app.router.add_post(path, self._wrap(handler))
        app.router.add_get("/clock", self._wrap(self._clock))
        app.router.add_get("/state", self._wrap(self._dump))
        app.router.add_get("/faults", self._wrap(self._list_faults))
        app.router.add_delete("/faults", self._wrap(self._clear_faults))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        self.port = port_of(site)

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _routes(self) -> dict[str, Callable[[Body], Awaitable[Any]]]:
        return {
            "/clock": self._set_clock,
            "/step": self._step,
            "/run": self._run,
            "/fund": self._fund,
            "/agent": self._agent,
            "/revoke": self._revoke,
            "/sub-account": self._sub_account,
            "/faults": self._add_fault,
            "/records": self._records,
            "/market/price": self._price,
            "/market/book": self._book,
            "/market/depth": self._depth,
            "/market/halt": self._halt,
            "/market/trade": self._trade,
            "/market/asset": self._asset,
            "/orders/place": self._place,
            "/orders/fill": self._fill,
            "/orders/cancel": self._cancel,
            "/orders/evict": self._evict,
            "/position/liquidate": self._liquidate,
            "/position/deleverage": self._deleverage,
            "/funding": self._funding,
            "/behaviour": self._behaviour,
            "/limits": self._limits,
            "/sockets": self._sockets,
            "/server/refuse": self._refuse,
        }

    def _wrap(
        self, handler: Callable[[Body], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                body = await request.json() if request.can_read_body else {}
                if not isinstance(body, dict):
                    raise InputError("the body must be a JSON object")
                answer = await handler(body)
            except (FtbtError, Unreadable, ValueError, TypeError, KeyError) as error:
                text = f"missing field {error}" if isinstance(error, KeyError) else str(error)
                return web.Response(
                    status=400, text=dumps({"error": text}), content_type="application/json"
                )
            self.server.publish()
            return web.Response(text=dumps(answer), content_type="application/json")

        return handle

    # --- time -------------------------------------------------------------------------------------

    async def _clock(self, body: Body) -> Any:
        del body
        venue, pace = self.host.venue, self.host.pace
        return {
            "market": venue.time,
            "wall": self.host.wall.now(),
            "speed": pace.speed,
            "paused": pace.paused,
            "hold_ms": pace.hold_ms,
            "next": venue.next_time(),
            "bar_ms": venue.decision_ms,
        }

    async def _set_clock(self, body: Body) -> Any:
        pace = self.host.pace
        if "speed" in body:
            speed = float(body["speed"])
            if not speed > 0:
                raise InputError(f"speed must be above 0, not {speed:g}")
            pace.speed = speed
        if "hold_ms" in body:
            pace.hold_ms = float(body["hold_ms"])
        if "paused" in body:
            pace.paused = bool(body["paused"])
        if "wall_offset_ms" in body:
            self.host.wall.offset_ms = int(body["wall_offset_ms"])
        return await self._clock({})

    async def _step(self, body: Body) -> Any:
        """Pause, then let the market trade up to and with the open of the bars-th next bar."""
        bars = int(body.get("bars", 1))
        if not 1 <= bars <= _MOST_BARS:
            raise InputError(f"bars must be from 1 to {_MOST_BARS}, not {bars}")
        return await self._move(self.host.venue.next_bar(bars), body)

    async def _run(self, body: Body) -> Any:
        """Pause, then let the market trade up to a time."""
        return await self._move(int(body["until"]), body)

    async def _move(self, until: int, body: Body) -> Any:
        """Move the market, and tell why it stopped and how often the account's orders traded."""
        user = address(body["user"]) if "user" in body else ""
        stops = _stops(body, user)
        self.host.pace.paused = True
        stopped = await self.server.replay.move(until, stops)
        self.server.publish()
        await self.server.hub.flush()
        venue = self.host.venue
        counted = {"fills": len(venue.core.fills.get(user, ()))} if user else {}
        return {"market": venue.time, "stopped": stopped, **counted}

    # --- users ------------------------------------------------------------------------------------

    async def _fund(self, body: Body) -> Any:
        amount = number(body["usd"], "usd")
        self.host.fund(address(body["user"]), amount)
        return {}

    async def _agent(self, body: Body) -> Any:
        refusal = self.host.identity.approve(
            address(body["user"]), address(body["agent"]), str(body.get("name", "")),
            self.host.wall.now(),
        )  # fmt: skip
        if refusal is not None:
            raise InputError(refusal)
        return {}

    async def _revoke(self, body: Body) -> Any:
        return {"revoked": self.host.identity.revoke(address(body["agent"]))}

    async def _sub_account(self, body: Body) -> Any:
        sub = address(body["sub"])
        self.host.identity.sub_accounts[sub] = (address(body["user"]), str(body.get("name", "")))
        if "usd" in body:
            self.host.venue.core.deposit(sub, number(body["usd"], "usd"))
        return {}

    # --- faults -----------------------------------------------------------------------------------

    async def _add_fault(self, body: Body) -> Any:
        self.host.faults.add(body)
        return {"waiting": self.host.faults.waiting()}

    async def _list_faults(self, body: Body) -> Any:
        del body
        faults = self.host.faults
        return {"waiting": faults.waiting(), "struck": list(faults.struck), "kinds": sorted(KINDS)}

    async def _clear_faults(self, body: Body) -> Any:
        del body
        self.host.faults.clear()
        return {}

    # --- the market -------------------------------------------------------------------------------

    async def _price(self, body: Body) -> Any:
        self.act.jump(str(body["coin"]), number(body["price"], "price"))
        return {}

    async def _book(self, body: Body) -> Any:
        self.act.pin_book(str(body["coin"]), body.get("bids"), body.get("asks"))
        return {}

    async def _depth(self, body: Body) -> Any:
        self.act.depth(number(body["notional"], "notional"))
        return {}

    async def _halt(self, body: Body) -> Any:
        self.act.halt(str(body["coin"]), halted=bool(body["halted"]))
        return {}

    async def _trade(self, body: Body) -> Any:
        filled = self.act.external(str(body["coin"]), number(body["size"], "size"))
        return {"filled": f"{filled:f}"}

    async def _asset(self, body: Body) -> Any:
        self.act.change_asset(str(body["coin"]), body)
        return {}

    # --- orders and positions ---------------------------------------------------------------------

    async def _place(self, body: Body) -> Any:
        return {"status": self.act.place(address(body["user"]), body)}

    async def _fill(self, body: Body) -> Any:
        size = number(body["size"], "size") if "size" in body else None
        self.act.fill(address(body["user"]), body["oid"], size)
        return {}

    async def _cancel(self, body: Body) -> Any:
        status = str(body.get("status", "canceled"))
        return {"canceled": self.act.cancel(address(body["user"]), body.get("oid"), status)}

    async def _evict(self, body: Body) -> Any:
        store = self.host.venue.core.orders
        if "kept" in body:
            store.kept = int(body["kept"])
            return {}
        return {"evicted": store.evict(address(body["user"]), int(body["oid"]))}

    async def _liquidate(self, body: Body) -> Any:
        self.act.liquidate(address(body["user"]), str(body["coin"]))
        return {}

    async def _deleverage(self, body: Body) -> Any:
        size = number(body["size"], "size") if "size" in body else None
        self.act.reduce_by_others(address(body["user"]), str(body["coin"]), size)
        return {}

    async def _funding(self, body: Body) -> Any:
        self.act.funding(str(body["coin"]), number(body["rate"], "rate"))
        return {}

    async def _dump(self, body: Body) -> Any:
        del body
        nonces = {who: len(known.seen) for who, known in self.host.identity.nonces.items()}
        return {**self.act.dump(), "nonces": nonces}

    async def _records(self, body: Body) -> Any:
        return self.act.records(address(body["user"]))

    # --- the server -------------------------------------------------------------------------------

    async def _behaviour(self, body: Body) -> Any:
        behaviour = self.host.venue.core.behaviour
        for name, value in body.items():
            known = getattr(behaviour, name, None)
            if known is None or name == "depth":
                raise InputError(f"no behaviour {name!r}")
            setattr(behaviour, name, number(value, name) if isinstance(known, Decimal) else value)
        return {}

    async def _limits(self, body: Body) -> Any:
        if "ip" in body:
            self.host.ip.enabled = bool(body["ip"])
        if "address" in body:
            self.host.address.enabled = bool(body["address"])
        if "idle_seconds" in body:
            self.server.hub.idle_seconds = float(body["idle_seconds"])
        if "exhaust" in body:
            user = address(body["exhaust"])
            volume = self.host.venue.core.account(user).volume
            self.host.address.exhaust(user, volume, self.host.wall.now())
        return {}

    async def _sockets(self, body: Body) -> Any:
        """Do something to the open WebSockets: close, abort, or silence for some seconds."""
        what, touched = str(body["do"]), self._chosen(body)
        for one in touched:
            if what == "close":
                reason = str(body.get("reason", "Expired")).encode()
                await one.socket.close(code=int(body.get("code", 1000)), message=reason)
            elif what == "abort":
                one.abort()
            elif what == "silence":
                one.silence(float(body["seconds"]))
            else:
                raise InputError(f"do must be close, abort or silence, not {what!r}")
        return {"touched": len(touched)}

    def _chosen(self, body: Body) -> list[Connection]:
        known = list(self.server.hub.connections)
        if "user" not in body:
            return known
        return [one for one in known if address(body["user"]) in one.users]

    async def _refuse(self, body: Body) -> Any:
        await self.server.refuse(float(body["seconds"]))
        return {}


def _stops(body: Body, user: str) -> Stops:
    """Return where the move that *body* asks for ends early.

    Raises:
        InputError: an unknown word, or `account` without a user.
    """
    asked = body.get("stop_on", [])
    if not isinstance(asked, list) or not set(asked) <= set(STOPS):
        raise InputError(f"stop_on must be a list of {', '.join(STOPS)}, not {asked!r}")
    if "account" in asked and not user:
        raise InputError("stop_on account needs a user: the address of the account")
    return Stops(
        fill="fill" in asked or bool(body.get("stop_on_fill", False)),
        bar="bar" in asked,
        account=user if "account" in asked else "",
    )
