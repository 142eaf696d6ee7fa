"""A small restaurant in memory for tests of the views: the real decision on every command, without a log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain import decide as d
from app.domain.claims import Claims, Role
from app.domain.menu import MenuItem
from app.domain.row import NO_ROW, Row
from app.messages import Answer, CloseSession, Command, OpenSession, OrderPlaced, PlaceOrder, TableState
from app.ports import UnavailableError
from app.settings import Settings
from app.web.services import Services

DISHES = (
    MenuItem("m1", "Grilled Salmon", 1899, "Mains", "grill", "With lemon", ("fish",)),
    MenuItem("m2", "Onion Soup", 850, "Starters", "stove", "Gratinated", ("milk", "gluten")),
    MenuItem("m3", "Oysters", 2400, "Starters", "cold", "Six of them", ("molluscs",), available=False),
)


@dataclass
class HouseMenu:
    dishes: Sequence[MenuItem] | None = DISHES

    def items(self) -> Sequence[MenuItem]:
        if self.dishes is None:
            raise UnavailableError("no menu yet")
        return self.dishes

    def find(self, item_id: str) -> MenuItem | None:
        return next((dish for dish in self.items() if dish.id == item_id), None)


@dataclass
class HouseStore:
    """Orders as the ledger has written them; tests take some away, or the whole store."""

    orders: dict[str, OrderPlaced] = field(default_factory=dict)
    away: bool = False

    async def order(self, order_id: str) -> OrderPlaced | None:
        if self.away:
            raise UnavailableError("store is away")
        return self.orders.get(order_id)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        if self.away:
            raise UnavailableError("store is away")
        return of_session(self.orders.values(), table, session, after_version)


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
        return TableState(table, row.session, row.is_open, row.version, row.total, row.opened_at)

    async def order(self, table: str | None, order_id: str) -> OrderPlaced | None:
        if self.away:
            raise UnavailableError("owner is away")
        known = [] if self.forgotten else self.events
        return next((order for order in known if order.order_id == order_id and table in (None, order.table)), None)

    async def orders_of_session(self, table: str, session: int, after_version: int = 0) -> Sequence[OrderPlaced]:
        if self.away:
            raise UnavailableError("owner is away")
        return of_session([] if self.forgotten else self.events, table, session, after_version)


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

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.menu = HouseMenu()
        self.store = HouseStore()
        self.owner = Owner(self.store)
        self.not_ready: str | None = None
        self.services = Services(
            settings=self.settings,
            edge=self.owner,
            owners=self.owner,
            store=self.store,
            menu=self.menu,
            tokens=PlainTokens(),
            ready=lambda: self.not_ready,
        )
