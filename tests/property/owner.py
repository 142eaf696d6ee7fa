"""An owner of one table that reads a log without failing, and evenings for it to read."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from app.domain.decide import (
    Accepted,
    At,
    Cancelled,
    SessionChanged,
    decide,
    decide_cancelled,
    decide_close,
    decide_open,
)
from app.domain.row import NO_ROW, Chunk, Row
from app.messages import (
    CloseSession,
    NoteCancelled,
    OpenSession,
    OrderPlaced,
    PlaceOrder,
    SessionClosed,
    SessionOpened,
    order_cancelled,
)
from tests.property.restaurant import HOUR, Read, cancel, close_session, open_session, place

Log = list[tuple[Read, At]]


@dataclass
class Owner:
    """Decides with the real rules; `keeps` full chunks stay in the row, as if their acknowledgement were late."""

    keeps: int = 0
    row: Row = NO_ROW
    chunks: dict[int, list[Chunk]] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)

    def read(self, command: Read, at: At) -> Any:
        """Decide, keep the row, tell the events."""
        decision = self.decide(command, at)
        if isinstance(decision, Accepted | SessionChanged | Cancelled):
            self.events.append(self._event(command, decision, at))
            self._keep(decision.row)
        return decision

    def decide(self, command: Read, at: At) -> Any:
        """Decide only."""
        if isinstance(command, PlaceOrder):
            return decide(self.row, self.chunks.get(command.session, []), command, at)
        if isinstance(command, OpenSession):
            return decide_open(self.row, command, at)
        if isinstance(command, NoteCancelled):
            return decide_cancelled(self.row, command, at)
        return decide_close(self.row, command, at)

    def _keep(self, row: Row) -> None:
        if row.session != self.row.session:
            while list(self.row.full_chunks()):
                self.row = self._move_chunk(self.row)
            if (last := self.row.last_chunk()) is not None:
                self.chunks.setdefault(self.row.session, []).append(Chunk(last[0], self.row.time, last[1]))
        while len(list(row.full_chunks())) > self.keeps:
            row = self._move_chunk(row)
        self.row = row

    def _move_chunk(self, row: Row) -> Row:
        number, ids = next(row.full_chunks())
        self.chunks.setdefault(row.session, []).append(Chunk(number, row.time, ids))
        return row.without_chunk()

    def _event(self, command: Read, decision: Any, at: At) -> Any:
        if isinstance(command, OpenSession):
            return SessionOpened(command.table, command.session, at.time)
        if isinstance(command, CloseSession):
            return SessionClosed(command.table, command.session, at.time)
        if isinstance(command, NoteCancelled):
            return order_cancelled(command)
        return OrderPlaced(
            order_id=command.order_id,
            client_order_id=command.client_order_id,
            table=command.table,
            session=command.session,
            version=decision.version + 1,
            lines=command.lines,
            total=command.total,
            currency=command.currency,
            placed_at=at.time,
            offset=at.offset,
        )


MOVES = st.one_of(
    st.tuples(
        st.just("order"),
        st.integers(0, 12),  # which client id
        st.sampled_from([0, 0, 0, 0, -1, 1]),  # the version sent, against the table's
        st.sampled_from(["", "", "", "sold out"]),
        st.sampled_from([1, 1, 1, 2]),  # other lines
        st.sampled_from([0, 0, 0, 0, -1, 1]),  # the session sent, against the table's
    ),
    st.tuples(st.just("fresh"), st.integers(1, 5)),  # so many new orders that fit
    st.tuples(st.just("open"), st.integers(0, 2)),
    st.tuples(st.just("close"), st.integers(-1, 1)),
    st.tuples(st.just("cancel"), st.integers(-2, 12)),  # which of the orders so far, or one that does not stand yet
    st.tuples(st.just("wait"), st.sampled_from([0.1, 1, 11, 23, 28, 60])),
)


def evenings(max_size: int = 40) -> st.SearchStrategy[Log]:
    """Logs of one table: guests who order, order again and guess versions; orders that are cancelled; parties that come
    and go; days that pass.
    """
    return st.lists(MOVES, max_size=max_size).map(tell)


def tell(moves: list[tuple[Any, ...]]) -> Log:
    """The log of these moves: guests look at the table as it stands, then send."""
    log: Log = [(open_session(), At(3, 0))]
    told, time, fresh = Owner(), 0, 0
    told.read(*log[0])

    def append(command: Read) -> None:
        at = At(log[-1][1].offset + 1 + len(log) % 3, time)  # other tables' commands stand in between
        log.append((command, at))
        told.read(command, at)

    for kind, *args in moves:
        time += 1_000
        row = told.row
        match kind:
            case "order":
                client, version, refusal, quantity, session = args
                append(
                    place(
                        f"c{client}",
                        session=row.session + session,
                        version=row.version + version,
                        refusal=refusal,
                        quantity=quantity,
                    )
                )
            case "fresh":
                for _ in range(args[0]):
                    fresh += 1
                    append(place(f"f{fresh}", session=told.row.session, version=told.row.version))
            case "open":
                append(open_session(row.session + args[0]))
            case "close":
                append(close_session(row.session + args[0]))
            case "cancel":
                append(_cancelled(told, args[0]))
            case "wait":
                time += int(args[0] * HOUR)
    return log


def _cancelled(told: Owner, which: int) -> NoteCancelled:
    orders = [event for event in told.events if isinstance(event, OrderPlaced)]
    if which < 0 or not orders:
        return cancel(max(1, told.row.version - which), session=told.row.session)
    order = orders[-1 - which % len(orders)]
    return cancel(order.version, session=order.session, client_id=order.client_order_id, total=order.total)
