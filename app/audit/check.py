"""What the rows acknowledge, what the log and the kitchen tell and what Cassandra holds, compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.audit.orders import Found, Orders, Place, agree, id_bytes, id_of, same_id
from app.audit.tickets import Cooking
from app.domain.row import Row
from app.topics import KITCHEN_TICKETS

SHOWN = 20


@dataclass(frozen=True)
class Acknowledgement:
    """An order that a pad was told of."""

    place: Place
    order_id: bytes


@dataclass
class Report:
    """What the audit found.

    `tickets`: orders that have a ticket at each of their stations, which add up to their lines. `expired` orders are
    older than the log, or than what is left of the tickets, and were compared without it. `behind` counts events that
    the ledger had not done with, and orders whose tickets the kitchen had not told of.
    `undecodable` records of the log are no events: consumers set them aside. An order that lost its event is lost, too.
    """

    acknowledged: int = 0
    events: int = 0
    cassandra: int = 0
    tickets: int = 0
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    expired: int = 0
    behind: int = 0
    undecodable: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees."""
        return not (self.lost or self.duplicated or self.differing)

    def lose(self, text: str, count: int = 1) -> None:
        """An acknowledged order is missing somewhere."""
        self.lost += count
        self._problem(text)

    def duplicate(self, text: str) -> None:
        """An order stands twice, or two stand at one place."""
        self.duplicated += 1
        self._problem(text)

    def differ(self, text: str) -> None:
        """Two sources contradict one another."""
        self.differing += 1
        self._problem(text)

    def _problem(self, text: str) -> None:
        if len(self.problems) < SHOWN:
            self.problems.append(text)

    def __str__(self) -> str:
        line = (
            f"acknowledged={self.acknowledged} events={self.events} cassandra={self.cassandra} "
            f"tickets={self.tickets} lost={self.lost} duplicated={self.duplicated}"
        )
        more = {name: getattr(self, name) for name in ("differing", "expired", "behind", "undecodable")}
        return line + "".join(f" {name}={count}" for name, count in more.items() if count)


def note(orders: Orders, place: Place, found: Found, report: Report, *, may_repeat: bool) -> None:
    """Add an order to what a source tells; two at one place are reported, the same once more only unless it may."""
    try:
        before = orders.add(place, found)
    except ValueError as error:
        report.differ(f"{orders.name}: {error} ({place})")
        return
    if before is None:
        return
    if not same_id(before, found):
        report.duplicate(f"{orders.name}: {id_of(before)} and {id_of(found)} both stand at {place}")
    elif not may_repeat:
        report.duplicate(f"{orders.name}: {id_of(found)} stands twice ({place})")
    elif not agree(before, found):
        report.differ(f"{orders.name}: {id_of(found)} is told in two ways ({place})")


def absent(held: Mapping[str, Found | None]) -> list[str]:
    """The sources that lack an order."""
    return [name for name, found in held.items() if found is None]


def contrary(order: Found, held: Mapping[str, Found | None]) -> str | None:
    """The first source that tells an order in another way, if one does."""
    return next((name for name, found in held.items() if found is not None and not agree(order, found)), None)


def compare(
    rows: Mapping[str, Row],
    events: Orders,
    stores: Sequence[Orders],
    cooking: Cooking,
    report: Report,
    *,
    log_is_cut: bool,
    acknowledgements: Iterable[Acknowledgement] = (),
) -> None:
    """Compare the sources; `log_is_cut` says that the oldest events have left the log by their age."""
    check = _Check(rows, events, stores, cooking, report, log_is_cut)
    check.sessions()
    check.tickets()
    check.rows()
    check.ids()
    check.pads(acknowledgements)
    report.acknowledged = sum(row.placed for row in rows.values())
    report.events = events.count


class _Check:
    """One comparison."""

    def __init__(
        self,
        rows: Mapping[str, Row],
        events: Orders,
        stores: Sequence[Orders],
        cooking: Cooking,
        report: Report,
        log_is_cut: bool,
    ) -> None:
        self._rows, self._events, self._stores, self._cooking = rows, events, stores, cooking
        self._report, self._log_is_cut = report, log_is_cut
        self._expected: defaultdict[str, int] = defaultdict(int)  # orders of each table that are known by their place

    def sessions(self) -> None:
        """Every place from a session's first to its highest known version must be filled everywhere, by one order."""
        keys = {key for source in (self._events, *self._stores) for key in source.sessions}
        keys |= {(table, row.session) for table, row in self._rows.items() if row.version}
        for table, session in sorted(keys):
            row = self._rows.get(table)
            top = max(source.top(table, session) for source in (self._events, *self._stores))
            if row is not None and row.session == session:
                if top > row.version:
                    self._report.differ(f"table {table}'s row stands at version {row.version}, others tell {top}")
                top = max(top, row.version)
            self._expected[table] += top
            for version in range(1, top + 1):
                self._place(Place(table, session, version))

    def _place(self, place: Place) -> None:
        event = self._events.get(place)
        held = {store.name: store.get(place) for store in self._stores}
        missing = absent(held)
        first = event or next((found for found in held.values() if found is not None), None)
        if event is None and not missing and self._log_is_cut:
            self._report.expired += 1
        elif event is None:
            missing.insert(0, self._events.name)
        no_tickets = self._tickets_of(place, event)
        if missing or no_tickets:
            name = id_of(first) if first else "the order"
            texts = [f"missing in {', '.join(missing)}"] if missing else []
            self._report.lose(f"{name} at {place} is {', '.join(texts + no_tickets)}")
        if first is None:
            return
        if (other := contrary(first, held)) is not None:
            self._report.differ(f"{other} tells another order than {self._events.name} at {place}")
            return
        self._report.cassandra += None not in held.values()

    def _tickets_of(self, place: Place, event: Found | None) -> list[str]:
        """Count an order's tickets; in which way they are missing, if they are."""
        amiss, excuse = self._cooking.judge(place, id_bytes(id_of(event)) if event else None)
        self._report.behind += excuse == "behind"
        self._report.expired += excuse == "expired" and event is not None
        self._report.tickets += amiss is None and not excuse
        if amiss is not None and amiss.kind == "differing":
            self._report.differ(f"{place}: {amiss.text}")
        return [amiss.text] if amiss is not None and amiss.kind == "lost" else []

    def tickets(self) -> None:
        """Tickets are of orders that the log tells of."""
        for place in self._cooking.tickets:
            if self._events.get(place) is None and not self._log_is_cut:
                self._report.differ(f"{KITCHEN_TICKETS} has an order at {place}, of which the log tells nothing")

    def rows(self) -> None:
        """A row counts the orders of all of its table's sessions."""
        for table in sorted({*self._rows, *self._expected}):
            row, known = self._rows.get(table), self._expected[table]
            placed = row.placed if row else 0
            if known < placed:
                text = f"table {table}'s row counts {placed} orders, of which {placed - known} are nowhere"
                self._report.lose(text, placed - known)
            elif known > placed:
                self._report.differ(f"table {table}'s row counts {placed} orders, but there are {known}")

    def ids(self) -> None:
        """An order id stands at one place. It is a hash of table and session, so it cannot recur outside of these."""
        for table, session in sorted(self._events.sessions):
            places: dict[str, Place] = {}
            for place, found in self._events.of_session(table, session):
                before = places.setdefault(id_of(found), place)
                if before != place:
                    self._report.duplicate(f"{id_of(found)} was placed at version {before.version} and at {place}")

    def pads(self, acknowledgements: Iterable[Acknowledgement]) -> None:
        """What a pad was told must stand everywhere."""
        for told in acknowledgements:
            for source in (self._events, *self._stores):
                found = source.get(told.place)
                if found is None and source is self._events and self._log_is_cut:
                    continue
                if found is None:
                    self._report.lose(f"acknowledged {id_of(told.order_id)} at {told.place} is not in {source.name}")
                    break
                if not same_id(found, told.order_id):
                    self._report.differ(
                        f"a pad was told {id_of(told.order_id)} at {told.place}, {source.name} has {id_of(found)}"
                    )
                    break
