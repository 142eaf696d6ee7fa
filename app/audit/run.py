"""One audit: read, compare, and while the ledger is still writing, again."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from app.audit.check import Acknowledgement, Report, compare, note
from app.audit.log import AuditError, Group, KitchenGroup, Topic
from app.audit.orders import Orders, Place, id_bytes, of_record
from app.audit.store import TABLES, Store
from app.audit.tickets import Cooking, of_ticket
from app.domain.row import BadRowError, Row, newer
from app.messages import BadMessageError, NewerSchemaError
from app.settings import Settings
from app.topics import KITCHEN_TICKETS, LEDGER_APP, ORDER_EVENTS, TABLES_CHANGELOG

POLL = 0.3  # s between looks at what is still missing


def audit(settings: Settings, acknowledgements: Iterable[Acknowledgement] = (), wait: float = 30.0) -> Report:
    """Compare rows, log and Cassandra; problems count once `wait` s have passed without everything agreeing.

    Raises:
        AuditError: a source cannot be read.
    """
    told = list(acknowledgements)
    deadline = time.monotonic() + wait
    store = Store(settings)
    log = _Log(settings)
    try:
        while True:
            log.read()
            behind, uncooked = log.ledger_lag(), log.kitchen_lag()
            if (behind or uncooked) and time.monotonic() < deadline:
                time.sleep(POLL)
                continue
            report = log.report(store, told)
            report.behind += behind
            if report.is_clean or time.monotonic() > deadline:
                return report
            time.sleep(POLL)
    finally:
        log.close()
        store.close()


def read_acknowledgements(lines: Iterable[str]) -> Iterator[Acknowledgement]:
    """The orders of a file that a load wrote: one JSON object each.

    Raises:
        AuditError: a line is none.
    """
    for number, line in enumerate(lines, start=1):
        try:
            told = json.loads(line)
            place = Place(str(told["table"]), int(told["session"]), int(told["version"]))
            yield Acknowledgement(place, id_bytes(told["order_id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise AuditError(f"line {number} of the acknowledged orders: {error!r}") from error


class _Log:
    """What the log tells, read on as it grows."""

    def __init__(self, settings: Settings) -> None:
        bootstrap = settings.kafka_bootstrap
        self._changelog = Topic(bootstrap, TABLES_CHANGELOG)
        self._topic = Topic(bootstrap, ORDER_EVENTS)
        self._tickets = Topic(bootstrap, KITCHEN_TICKETS)
        self._ledger = Group(bootstrap, LEDGER_APP)
        self._kitchen = KitchenGroup(bootstrap)
        self._rows: dict[str, Row] = {}
        self._events = Orders(ORDER_EVENTS)
        self._cooking = Cooking()
        self._found = Report()  # problems of the log alone

    def read(self) -> None:
        """Read on; rows and tickets first, so that none is newer than the events."""
        self._cooking.done = self._kitchen.done(self._topic)
        for message in self._tickets.read():
            self._ticket(message)
        for message in self._changelog.read():
            self._row(message.key().decode(errors="replace"), message.value())
        for message in self._topic.read():
            self._event(message)

    def ledger_lag(self) -> int:
        """Events that the ledger has not done with."""
        return self._ledger.lag(self._topic)

    def kitchen_lag(self) -> int:
        """Events that were read and the kitchen had not done with before."""
        return sum(max(0, end - self._cooking.done.get(number, 0)) for number, end in self._topic.read_to.items())

    def report(self, store: Store, told: list[Acknowledgement]) -> Report:
        """The comparison with Cassandra as it is now."""
        report = Report(
            duplicated=self._found.duplicated,
            differing=self._found.differing,
            undecodable=self._found.undecodable,
            problems=list(self._found.problems),
        )
        stores = []
        for table in TABLES:
            orders = Orders(table)
            for item in store.orders(table):
                if isinstance(item, str):
                    report.differ(item)
                else:
                    note(orders, *item, report, may_repeat=False)
            stores.append(orders)
        cut = self._topic.is_cut
        cooking = self._cooking
        compare(self._rows, self._events, stores, cooking, report, log_is_cut=cut, acknowledgements=told)
        return report

    def close(self) -> None:
        """Let go of Kafka."""
        self._changelog.close()
        self._topic.close()
        self._tickets.close()
        self._ledger.close()
        self._kitchen.close()

    def _row(self, table: str, value: bytes | None) -> None:
        if value is None:
            return
        try:
            self._rows[table] = newer(self._rows.get(table), Row.decode(value))
        except BadRowError as error:
            self._found.differ(f"{TABLES_CHANGELOG}, table {table}: {error}")

    def _ticket(self, message: Any) -> None:
        partition = message.partition()
        if self._tickets.starts[partition]:
            self._cooking.oldest.setdefault(partition, message.timestamp()[1])
        try:
            amiss = self._cooking.tickets.add(of_ticket(message.key(), message.value()))
        except BadMessageError as error:
            self._found.differ(f"{KITCHEN_TICKETS}[{partition}]@{message.offset()}: {error}")
            return
        if amiss is not None and amiss.kind == "duplicated":
            self._found.duplicate(amiss.text)
        elif amiss is not None:
            self._found.differ(amiss.text)

    def _event(self, message: Any) -> None:
        where = f"{ORDER_EVENTS}[{message.partition()}]@{message.offset()}"
        try:
            order = of_record(message.key(), message.value())
        except NewerSchemaError as error:
            self._found.differ(f"{where}: {error}")
            return
        except BadMessageError:
            self._found.undecodable += 1
            return
        except ValueError as error:
            self._found.differ(f"{where}: {error}")
            return
        if order is not None:
            note(self._events, order.place, order.found, self._found, may_repeat=True)
            self._cooking.tell(order, message.partition(), message.offset())
