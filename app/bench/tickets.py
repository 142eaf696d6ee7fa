"""What the log says of tickets, and displays compared with it."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field

import orjson

from app.audit.log import Topic
from app.bench.displays import ALL, Display, Version
from app.domain.tickets import NO_STATION, versions_of
from app.messages import OrderPlaced, decode_event
from app.settings import Settings
from app.tables.kitchen import decode_order, head_of
from app.ticket_messages import split_ticket_id, ticket_id
from app.topics import KITCHEN_CHANGELOG, KITCHEN_TICKETS, ORDER_EVENTS


@dataclass
class Counted:
    """A display compared with the log: versions of tickets that it lacks, and those that came to it again."""

    station: str
    expected: int
    received: int
    missing: list[Version] = field(default_factory=list)
    repeated: int = 0
    went_back: int = 0
    snapshots: int = 0
    connections: int = 0
    broken: int = 0
    cut: int = 0


class TicketLog:
    """The messages of `kitchen-tickets` from when it was made on; a message that comes again is kept once."""

    def __init__(self, settings: Settings) -> None:
        """Raises AuditError where Kafka does not answer, or there is no such topic."""
        self.versions: dict[Version, tuple[str, str]] = {}  # state and action
        self.again = 0  # messages that had come before
        self.differing: list[Version] = []  # those that said something else then
        self._settings = settings
        self._topic = Topic(settings.kafka_bootstrap, KITCHEN_TICKETS)
        self._contents: dict[Version, bytes] = {}
        for _ in self._topic.read():
            pass

    def read(self) -> None:
        """Take in what has come; AuditError where Kafka does not answer."""
        for record in self._topic.read():
            data = record.value()
            ticket = orjson.loads(data)
            version: Version = ticket["ticket_id"], ticket["version"]
            before = self._contents.setdefault(version, data)
            if before is data:
                self.versions[version] = ticket["state"], ticket["action"]
                continue
            self.again += 1
            if before != data:
                self.differing.append(version)

    def close(self) -> None:
        """Let go of the broker."""
        self._topic.close()

    def expected_of(self, station: str) -> set[Version]:
        """The versions that a display of this station has to be told of."""
        return {v for v in self.versions if station in (ALL, split_ticket_id(v[0])[1])}

    def is_told(self, displays: Collection[Display]) -> bool:
        """Whether each display has been told of the newest version of each of its tickets."""
        newest: dict[str, int] = {}
        for name, version in self.versions:
            newest[name] = max(version, newest.get(name, 0))
        return all(
            display.states.get(name, (0, ""))[0] >= version
            for display in displays
            for name, version in newest.items()
            if display.station in (ALL, split_ticket_id(name)[1])
        )

    def compare(self, displays: Sequence[Display]) -> list[Counted]:
        """Each display with the log; what a snapshot said counts as told, whether it had to name it or not.

        Raises:
            AuditError: Kafka does not answer.
        """
        expected = [self.expected_of(display.station) for display in displays]
        lacking = [wanted - display.told.keys() for wanted, display in zip(expected, displays, strict=True)]
        places = self._places() if any(lacking) else {}
        return [
            self._compare(display, len(wanted), missing, places)
            for display, wanted, missing in zip(displays, expected, lacking, strict=True)
        ]

    def _compare(
        self, display: Display, expected: int, lacking: Set[Version], places: Mapping[Version, tuple[int, int]]
    ) -> Counted:
        missing = lacking
        for snapshot in display.snapshots:
            reached = [int(place.partition("+")[0]) for place in snapshot.partition(":")[2].split(".")]
            missing = {v for v in missing if v not in places or places[v][1] >= reached[places[v][0]]}
        return Counted(
            station=display.station,
            expected=expected,
            received=expected - len(lacking),
            missing=sorted(missing),
            repeated=display.repeated,
            went_back=display.went_back,
            snapshots=len(display.snapshots),
            connections=display.connections,
            broken=display.broken,
            cut=display.cut,
        )

    def _places(self) -> dict[Version, tuple[int, int]]:
        """Partition and offset of the first record of the kitchen's changelog that holds each version."""
        topic, found = Topic(self._settings.kafka_bootstrap, KITCHEN_CHANGELOG), dict[Version, tuple[int, int]]()
        try:
            for record in topic.read():
                data = record.value()
                if data is None or head_of(data).is_table:
                    continue
                order = decode_order(data)
                for version in versions_of(order, {}):
                    name = ticket_id(order.order_id, version.station)
                    found.setdefault((name, version.version), (record.partition(), record.offset()))
        finally:
            topic.close()
        return found


@dataclass(frozen=True)
class Orders:
    """Orders compared with their tickets; `wrong` names tickets that are missing, or too many."""

    orders: int
    tickets: int
    wrong: list[str]
    differing: int


def of_orders(settings: Settings, is_wanted: Callable[[str], bool]) -> Orders:
    """Whether each order of these tables has a ticket at each station of its lines, and none besides.

    Raises:
        AuditError: Kafka does not answer.
    """
    wanted: set[str] = set()
    events = Topic(settings.kafka_bootstrap, ORDER_EVENTS)
    tickets = Topic(settings.kafka_bootstrap, KITCHEN_TICKETS)
    orders: set[str] = set()
    found: dict[Version, bytes] = {}
    differing = 0
    try:
        for record in events.read():
            event = decode_event(record.value())
            if isinstance(event, OrderPlaced) and is_wanted(event.table):
                orders.add(event.order_id)
                wanted |= {ticket_id(event.order_id, line.station or NO_STATION) for line in event.lines}
        for record in tickets.read():
            ticket = orjson.loads(record.value())
            if is_wanted(ticket["table_number"]):
                before = found.setdefault((ticket["ticket_id"], ticket["version"]), record.value())
                differing += before != record.value()
    finally:
        events.close()
        tickets.close()
    highest: Counter[str] = Counter()
    for name, version in found:
        highest[name] = max(highest[name], version)
    wrong = [f"no ticket {name}" for name in sorted(wanted - highest.keys())]
    wrong += [f"a ticket {name} that no order asked for" for name in sorted(highest.keys() - wanted)]
    wrong += [
        f"ticket {name} has no version {version}"
        for name, last in highest.items()
        for version in range(1, last)
        if (name, version) not in found
    ]
    return Orders(len(orders), len(highest), wrong, differing)
