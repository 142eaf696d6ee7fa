"""Sets right what a log lost that was made anew: its end, or its events."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from app import messages
from app.audit.log import AuditError, Group, Topic
from app.audit.orders import Orders, Place, of_record
from app.audit.places import Places
from app.audit.store import Store
from app.audit.tickets import of_ticket
from app.domain.row import BadRowError, row_offset
from app.messages import BadMessageError
from app.settings import Settings
from app.tables.kitchen import offset_of
from app.topics import (
    DAY_MS,
    KITCHEN_APP,
    KITCHEN_CHANGELOG,
    KITCHEN_COMMANDS,
    KITCHEN_TICKETS,
    ORDER_COMMANDS,
    ORDER_EVENTS,
    ORDERS_APP,
    TABLES_CHANGELOG,
)

FLUSH_SECONDS = 600.0
POLL_EVERY = 10_000  # records, of the hundred thousand that the producer holds
HOUR_MS = 3_600_000


class _Appender:
    """Appends many records; what Kafka did not take is told at the end."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
            }
        )
        self._failed: list[str] = []
        self.count = 0

    def append(self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = -1) -> None:
        """One more record; without a partition its key tells which."""
        self._producer.produce(topic, value, key, partition, on_delivery=self._delivered)
        self.count += 1
        if self.count % POLL_EVERY == 0:
            self._producer.flush(FLUSH_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(str(error))

    def finish(self) -> int:
        """How many records were appended.

        Raises:
            AuditError: Kafka did not take all of them.
        """
        if self._producer.flush(FLUSH_SECONDS) or self._failed:
            raise AuditError(f"Kafka did not take all records: {self._failed[:1]}")
        return self.count


@dataclass(frozen=True)
class Decided:
    """A log that a service's workers decide from, and what they keep of it."""

    topic: str
    workers: str
    changelog: str
    offset_of: Callable[[bytes], int]  # of the last command that a record of the changelog has seen


def logs() -> tuple[Decided, ...]:
    """The logs whose ends count."""
    return (
        Decided(ORDER_COMMANDS, ORDERS_APP, TABLES_CHANGELOG, row_offset),
        Decided(KITCHEN_COMMANDS, KITCHEN_APP, KITCHEN_CHANGELOG, offset_of),
    )


def seen_offsets(settings: Settings, log: Decided) -> dict[int, int]:
    """Partition -> the highest offset of a command that a record has seen, from the changelog.

    Raises:
        AuditError: Kafka does not answer, or a record is of another version of this program.
    """
    seen: dict[int, int] = {}
    for record in Topic(settings.kafka_bootstrap, log.changelog).read():
        if record.value() is not None:
            partition = record.partition()
            try:
                seen[partition] = max(seen.get(partition, -1), log.offset_of(record.value()))
            except BadRowError as error:
                raise AuditError(f"record {record.offset()} of {log.changelog}/{partition}: {error}") from error
    return seen


def raise_ends(settings: Settings, log: Decided, say: Callable[[str], None]) -> int:
    """Append commands that change nothing until the log ends above what its records have seen; returns how many.

    It must not end below what the workers have committed either: they read on from there, and what is appended before
    it would never be decided.

    Raises:
        AuditError: Kafka does not answer or did not take the records, or a record cannot be read.
    """
    commands, workers = Topic(settings.kafka_bootstrap, log.topic), Group(settings.kafka_bootstrap, log.workers)
    commands.ends()  # where its partitions begin
    needed = workers.committed(commands)
    for partition, offset in seen_offsets(settings, log).items():
        needed[partition] = max(needed[partition], offset + 1)
    ends = commands.ends()  # after all else: workers of the other log may be running, and this one's end rises
    appender, filler = _Appender(settings), messages.encode(messages.Nothing())
    for partition, end in sorted(needed.items()):
        lacking = end - ends[partition]
        if lacking > 0:
            say(f"{log.topic}/{partition} ends {lacking} records too low: raising it")
            for _ in range(lacking):
                appender.append(log.topic, filler, partition=partition)
    return appender.finish()


def append_lost_events(settings: Settings) -> int:
    """Append the events of orders that stand in Cassandra and, young as they are, should stand in the log; how many.

    A cancelled one's cancel goes behind it.

    A consumer that has them already takes them for what they are: the same once more.

    Raises:
        AuditError: Kafka or Cassandra does not answer, or Kafka did not take the records.
    """
    known, topic = Orders(ORDER_EVENTS), Topic(settings.kafka_bootstrap, ORDER_EVENTS)
    for message in topic.read():
        try:
            order = of_record(message.key(), message.value())
            if order is not None:
                known.add(order.place, order.found)
        except (BadMessageError, ValueError):
            continue  # no event of ours: the audit tells of it
    # Older ones may have left by their age; an hour for what Kafka's clock and ours differ.
    oldest = time.time() * 1000 - settings.kafka.event_days * DAY_MS + HOUR_MS
    appender, store = _Appender(settings), Store(settings)
    try:
        for event in store.events():
            if event.placed_at > oldest and known.get(Place(event.table, event.session, event.version)) is None:
                appender.append(ORDER_EVENTS, messages.encode(event), key=event.table.encode())
    finally:
        store.close()
    return appender.finish()


def append_lost_copies(settings: Settings) -> int:
    """Append to the kitchen's log once more the orders that it was given and told no ticket of; returns how many.

    Orders that were copied into a log which was lost before they were decided on would be cooked by nobody. Those that
    the kitchen knows it takes for what they are: the same once more.

    Raises:
        AuditError: Kafka does not answer, or did not take the records.
    """
    bootstrap = settings.kafka_bootstrap
    events, group = Topic(bootstrap, ORDER_EVENTS), Group(bootstrap, KITCHEN_APP)
    events.ends()  # where its partitions begin
    copied = group.committed(events)
    told = Places()
    for message in Topic(bootstrap, KITCHEN_TICKETS).read():
        try:
            told.add(of_ticket(message.key(), message.value()).place)
        except (BadMessageError, ValueError):
            continue  # no ticket of ours: the audit tells of it
    appender = _Appender(settings)
    for message in events.read():
        try:
            order = of_record(message.key(), message.value())
        except (BadMessageError, ValueError):
            continue
        if order is not None and message.offset() < copied[message.partition()] and not told.has(order.place):
            appender.append(KITCHEN_COMMANDS, message.value(), key=message.key())
    return appender.finish()
