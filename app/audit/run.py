"""One audit: read, compare, and while the ledger is still writing, again."""

import json
import time
from collections.abc import Iterable, Iterator

from app.audit.check import Acknowledgement, Report, compare, note
from app.audit.log import AuditError, Group, Topic
from app.audit.orders import Orders, Place, id_bytes, of_record
from app.audit.store import TABLES, Store
from app.domain.row import BadRowError, Row, newer
from app.messages import BadMessageError, NewerSchemaError
from app.settings import Settings
from app.topics import LEDGER_APP, ORDER_EVENTS, TABLES_CHANGELOG

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
            behind = log.ledger_lag()
            if behind and time.monotonic() < deadline:
                time.sleep(POLL)
                continue
            report = log.report(store, told)
            report.behind = behind
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
        self._ledger = Group(bootstrap, LEDGER_APP)
        self._rows: dict[str, Row] = {}
        self._events = Orders(ORDER_EVENTS)
        self._found = Report()  # problems of the log alone

    def read(self) -> None:
        """Read on; rows first, so that no row is newer than the events."""
        for message in self._changelog.read():
            self._row(message.key().decode(errors="replace"), message.value())
        for message in self._topic.read():
            self._event(message.key(), message.value(), f"{ORDER_EVENTS}[{message.partition()}]@{message.offset()}")

    def ledger_lag(self) -> int:
        """Events that the ledger has not done with."""
        return self._ledger.lag(self._topic)

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
        compare(self._rows, self._events, stores, report, log_is_cut=cut, acknowledgements=told)
        return report

    def close(self) -> None:
        """Let go of Kafka."""
        self._changelog.close()
        self._topic.close()
        self._ledger.close()

    def _row(self, table: str, value: bytes | None) -> None:
        if value is None:
            return
        try:
            self._rows[table] = newer(self._rows.get(table), Row.decode(value))
        except BadRowError as error:
            self._found.differ(f"{TABLES_CHANGELOG}, table {table}: {error}")

    def _event(self, key: bytes | None, value: bytes | None, where: str) -> None:
        try:
            order = of_record(key, value)
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
