"""A small restaurant in memory for tests of the views: the real decision on every command, without a log."""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import jsonschema
from aiohttp import web

from app.adapters.owners import state_of
from app.domain import decide as d
from app.domain.claims import Claims, Role
from app.domain.house_clock import HouseClock
from app.domain.menu import Menu, MenuItem
from app.domain.menu_edits import Edit, Edited, Refused, revised
from app.domain.row import NO_ROW, Row
from app.messages import Answer, CancelOrder, CloseSession, Command, OpenSession, OrderPlaced, PlaceOrder, TableState
from app.ports import OPEN_DOOR, UNLIMITED, Admission, KeptOrder, Limiter, Revision, UnavailableError
from app.settings import Settings
from app.web.internal import add_internal_routes
from app.web.openapi import describe_api
from app.web.routes import add_routes
from app.web.server import ContractRunner
from app.web.services import Services

DISHES = (
    MenuItem("m1", "Grilled Salmon", 1899, "Mains", "grill", "With lemon", ("fish",)),
    MenuItem("m2", "Onion Soup", 850, "Starters", "stove", "Gratinated", ("milk", "gluten")),
    MenuItem("m3", "Oysters", 2400, "Starters", "cold", "Six of them", ("molluscs",), available=False),
)


class HouseMenu:
    """The menu as every worker would have it; tests give it other dishes, or take it away with None."""

    def __init__(self) -> None:
        self.menu: Menu | None = revised(Menu(), DISHES).menu
        self.stale_since: float | None = None
        self._last = self.menu or Menu()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def dishes(self) -> Sequence[MenuItem] | None:
        return None if self.menu is None else self.menu.items

    @dishes.setter
    def dishes(self, dishes: Sequence[MenuItem] | None) -> None:
        if dishes is None:
            self.menu = None
        else:
            self.take(revised(self._last, dishes).menu)

    def take(self, menu: Menu) -> None:
        self.menu = self._last = menu
        for callback in self._callbacks:
            callback()

    def current(self) -> Menu:
        if self.menu is None:
            raise UnavailableError("no menu yet")
        return self.menu

    def find(self, item_id: str) -> MenuItem | None:
        return self.current().find(item_id)

    async def catch_up(self, revision: int) -> None:
        """It is always the newest."""

    async def reload(self) -> None:
        """It is always the newest."""

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)


@dataclass
class HouseEditor:
    """Makes revisions at once."""

    menu: HouseMenu
    away: bool = False
    revisions: list[Revision] = field(default_factory=list)

    async def apply(self, edit: Edit, who: str, what: str) -> Edited | Refused:
        before = await self.newest()
        edited = edit(before)
        if isinstance(edited, Edited) and edited.menu is not before:
            after = replace(edited.menu, at=before.at + 1)
            self.revisions.insert(0, Revision(after.revision, after.at, who, what, before, after))
            self.menu.take(after)
            return replace(edited, menu=after)
        return edited

    async def newest(self) -> Menu:
        if self.away:
            raise UnavailableError("store is away")
        return self.menu.current()

    async def history(self, limit: int, before: int | None = None) -> Sequence[Revision]:
        return [revision for revision in self.revisions if before is None or revision.revision < before][:limit]


@dataclass
class HouseStore:
    """Orders as the ledger has written them; tests take some away, or the whole store."""

    orders: dict[str, OrderPlaced] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    away: bool = False

    async def order(self, order_id: str) -> KeptOrder | None:
        if self.away:
            raise UnavailableError("store is away")
        order = self.orders.get(order_id)
        return None if order is None else self._kept(order)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[KeptOrder]:
        if self.away:
            raise UnavailableError("store is away")
        return [self._kept(order) for order in of_session(self.orders.values(), table, session, after_version)]

    def _kept(self, order: OrderPlaced) -> KeptOrder:
        return KeptOrder(order, order.order_id in self.cancelled)


def of_session(orders: Any, table: str, session: int, after: int) -> list[OrderPlaced]:
    found = [order for order in orders if (order.table, order.session) == (table, session) and order.version > after]
    return sorted(found, key=lambda order: order.version)


@dataclass
class Owner:
    """Edge and owners in one: decides on commands one after the other, as the log would have it."""

    store: HouseStore
    away: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    events: list[OrderPlaced] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    forgotten: bool = False
    address: str = "unix:house"

    def new_request_id(self) -> str:
        return f"r{len(self.commands)}"

    async def ask(self, command: Command) -> Answer:
        if self.away:
            raise UnavailableError("owner is away")
        self.commands.append(command)
        row = self.rows.get(command.table, NO_ROW)
        at = d.At(len(self.commands), 1_700_000_000_123 + len(self.commands))
        match command:
            case OpenSession():
                return self._session(command, d.decide_open(row, command, at), "opened")
            case CloseSession():
                return self._session(command, d.decide_close(row, command, at), "closed")
            case PlaceOrder():
                return self._order(command, d.decide(row, (), command, at), at)

    def _session(self, command: Command, decision: d.SessionDecision, done: Any) -> Answer:
        self.rows[command.table] = row = decision.row
        outcome = done if isinstance(decision, d.SessionChanged) else "unchanged"
        return Answer(command.request_id, outcome, session=row.session, is_open=row.is_open)

    def _order(self, command: PlaceOrder, decision: d.OrderDecision, at: d.At) -> Answer:
        match decision:
            case d.Accepted(row, _):
                self.rows[command.table] = row
                self._place(command, row.version, at)
                return Answer(command.request_id, "accepted", row.version)
            case d.Replayed(version):
                return Answer(command.request_id, "replayed", version + 1)
            case d.IdReused():
                return Answer(command.request_id, "id_reused")
            case d.SessionClosed():
                return Answer(command.request_id, "session_closed")
            case d.InvalidItem(detail):
                return Answer(command.request_id, "invalid_item", detail=detail)
            case d.VersionConflict(current):
                return Answer(command.request_id, "version_conflict", current)
        raise AssertionError(decision)

    def _place(self, command: PlaceOrder, version: int, at: d.At) -> None:
        order = OrderPlaced(
            order_id=command.order_id,
            client_order_id=command.client_order_id,
            table=command.table,
            session=command.session,
            version=version,
            lines=command.lines,
            total=command.total,
            currency=command.currency,
            placed_at=at.time,
            offset=at.offset,
            note=command.note,
        )
        self.events.append(order)
        self.store.orders[order.order_id] = order

    async def table(self, table: str) -> TableState:
        if self.away:
            raise UnavailableError("owner is away")
        row = self.rows.get(table, NO_ROW)
        return state_of(table, row)

    async def order(self, table: str | None, order_id: str) -> OrderPlaced | None:
        if self.away:
            raise UnavailableError("owner is away")
        known = [] if self.forgotten else self.events
        return next((order for order in known if order.order_id == order_id and table in (None, order.table)), None)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        if self.away:
            raise UnavailableError("owner is away")
        return of_session([] if self.forgotten else self.events, table, session, after_version)


@dataclass
class HouseKitchen:
    """Answers as the test says; what it cancels is noted in the owner's row at once."""

    owner: Owner
    outcome: Any = "cancelled"
    detail: str = ""
    away: bool = False
    asked: list[CancelOrder] = field(default_factory=list)
    address: str = "unix:house"

    def new_request_id(self) -> str:
        return f"k{len(self.asked)}"

    async def ask(self, command: Any) -> Answer:
        if self.away:
            raise UnavailableError("the kitchen is away")
        self.asked.append(command)
        if self.outcome == "cancelled":
            at = d.At(len(self.owner.commands) + len(self.asked), 1_700_000_000_123)
            decision = d.decide_cancelled(self.owner.rows[command.table], command, at)
            assert isinstance(decision, d.Cancelled)
            self.owner.rows[command.table] = decision.row
        return Answer(command.request_id, self.outcome, detail=self.detail)


@dataclass
class HouseWatch:
    """Keeps what it hears."""

    outcomes: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def answered(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)

    def took(self, part: str, seconds: float) -> None:
        assert seconds >= 0
        self.parts.append(part)


class PlainTokens:
    """Tokens that read as what they say, ``role/table/session``; for tests that are not about signatures."""

    def verify(self, token: str) -> Claims | None:
        role, _, rest = token.partition("/")
        table, _, session = rest.partition("/")
        roles: dict[str, Role] = {
            "pad": "pad",
            "kitchen": "kitchen",
            "manager": "manager",
            "operator": "operator",
            "worker": "worker",
        }
        return Claims(roles[role], 2**40, table, int(session or 0)) if role in roles else None


class House:
    """A restaurant with one menu, one owner of all tables and one store."""

    def __init__(self, limiter: Limiter = UNLIMITED, admission: Admission = OPEN_DOOR, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.menu = HouseMenu()
        self.editor = HouseEditor(self.menu)
        self.store = HouseStore()
        self.owner = Owner(self.store)
        self.kitchen = HouseKitchen(self.owner)
        self.watch = HouseWatch()
        self.not_ready: str | None = None
        self.checks = {"assigned": "ok", "lag": "partition 2 is 1200 records behind, for 12 s"}
        self.services = Services(
            settings=self.settings,
            edge=self.owner,
            kitchen=self.kitchen,
            owners=self.owner,
            store=self.store,
            menu=self.menu,
            editor=self.editor,
            clock=HouseClock(self.settings.restaurant.time_zone),
            tokens=PlainTokens(),
            ready=lambda: self.not_ready,
            checks=lambda: self.checks,
            watch=self.watch,
            limiter=limiter,
            admission=admission,
        )

    async def seat(self, table: str = "T1") -> str:
        """Open the table's next session; the token of its pad."""
        session = self.owner.rows.get(table, NO_ROW).session + 1
        await self.owner.ask(OpenSession("r", "", table, session))
        return f"pad/{table}/{session}"


@dataclass(frozen=True)
class Reply:
    """An answer, its body read as JSON where it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """Sends requests and holds every answer against the API description."""

    application: web.Application  # of a house that is served here

    def __init__(self, url: str, description: Mapping[str, Any]) -> None:
        self.url = url
        self._description = description
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()

    async def send(self, method: str, path: str, token: str = "", **more: Any) -> Reply:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        async with self._session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **more
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json" and text
            reply = Reply(answer.status, json.loads(text) if is_json else text, answer.headers)
        self._hold_against_description(method.lower(), path, reply)
        return reply

    async def order(self, body: Any, token: str, **more: Any) -> Reply:
        """`POST /orders`; a body that is bytes or a stream goes out as it is."""
        key = "json" if isinstance(body, dict | list) else "data"
        if isinstance(body, bytes):
            body = io.BytesIO(body)
        return await self.send("POST", "/orders", token, **{key: body}, **more)

    async def get(self, path: str, token: str = "", **more: Any) -> Reply:
        return await self.send("GET", path, token, **more)

    async def post(self, path: str, token: str = "", **more: Any) -> Reply:
        return await self.send("POST", path, token, **more)

    def _hold_against_description(self, method: str, path: str, reply: Reply) -> None:
        assert reply.headers["X-Request-Id"]
        described = self._operation(method, path.split("?")[0])
        if described is None or reply.status == 500:
            return
        content = described["responses"][str(reply.status)].get("content")
        if content is None:
            assert reply.body == ""
        else:
            schema = content["application/json"]["schema"]
            jsonschema.validate(reply.body, {**schema, "components": self._description["components"]})

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What is described at this path, by its own name before any other's."""
        parts = path.split("/")
        for template, methods in sorted(self._description["paths"].items(), key=lambda entry: entry[0] != path):
            pattern = template.split("/")
            same = all(there.startswith("{") or there == here for here, there in zip(parts, pattern, strict=False))
            if len(parts) == len(pattern) and same and method in methods:
                operation: dict[str, Any] = methods[method]
                return operation
        return None


class HouseRows:
    """What another worker would be told of the owner's rows."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def table(self, table: str) -> TableState:
        row = self._owner.rows.get(table, NO_ROW)
        return state_of(table, row)

    async def order(self, table: str, order_id: str) -> OrderPlaced | None:
        return await self._owner.order(table, order_id)

    async def order_of_any_table(self, order_id: str) -> OrderPlaced | None:
        return await self._owner.order(None, order_id)

    async def orders_of_session(self, table: str, session: int, after: int) -> Sequence[OrderPlaced]:
        return await self._owner.orders_of_session(table, session, after)


def views_of(house: House) -> web.Application:
    """All views of an orders worker, as its composition root puts them together."""
    application = web.Application()
    add_routes(application, house.services)
    add_internal_routes(application, HouseRows(house.owner), house.services.tokens)
    return application


@contextlib.asynccontextmanager
async def serving(house: House) -> AsyncIterator[Client]:
    """The house's views on a real server at a port of their own."""
    application = views_of(house)
    runner = ContractRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = Client(f"http://127.0.0.1:{runner.addresses[0][1]}", describe_api(house.settings))
        client.application = application
        try:
            yield client
        finally:
            await client.close()
    finally:
        await runner.cleanup()


def order(version: int = 0, order_id: str = "id-1", table: str = "T1", **more: Any) -> dict[str, Any]:
    """An order of two salmons."""
    items = [{"menu_item_id": "m1", "quantity": 2}]
    return {"table_number": table, "items": items, "version": version, "order_id": order_id} | more
