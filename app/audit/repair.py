"""Sets right what a log lost that was made anew: its end, or its events."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from app import messages
from app.audit.log import AuditError, Group, Topic
from app.audit.orders import Orders, Place, of_record
from app.audit.store import Store
from app.domain.row import BadRowError, row_offset
from app.messages import BadMessageError
from app.settings import Settings
from app.topics import DAY_MS, ORDER_COMMANDS, ORDER_EVENTS, ORDERS_APP, TABLES_CHANGELOG

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


def seen_offsets(settings: Settings) -> dict[int, int]:
    """Partition -> the highest offset of a command that a row has seen, from the tables' changelog.

    Raises:
        AuditError: Kafka does not answer, or a row is of another version of this program.
    """
    seen: dict[int, int] = {}
    for record in Topic(settings.kafka_bootstrap, TABLES_CHANGELOG).read():
        if record.value() is not None:
            partition = record.partition()
            try:
                seen[partition] = max(seen.get(partition, -1), row_offset(record.value()))
            except BadRowError as error:
                raise AuditError(f"record {record.offset()} of {TABLES_CHANGELOG}/{partition}: {error}") from error
    return seen


def raise_ends(settings: Settings, say: Callable[[str], None]) -> int:
    """Append commands that change nothing until each log ends above what its rows have seen; returns how many.

    It must not end below what the workers have committed either: they read on from there, and what is appended before
    it would never be decided.

    Raises:
        AuditError: Kafka does not answer or did not take the records, or a row cannot be read.
    """
    commands, workers = Topic(settings.kafka_bootstrap, ORDER_COMMANDS), Group(settings.kafka_bootstrap, ORDERS_APP)
    ends = commands.ends()
    needed = workers.committed(commands)
    for partition, offset in seen_offsets(settings).items():
        needed[partition] = max(needed[partition], offset + 1)
    appender, filler = _Appender(settings), messages.encode(messages.Nothing())
    for partition, end in sorted(needed.items()):
        lacking = end - ends[partition]
        if lacking > 0:
            say(f"{ORDER_COMMANDS}/{partition} ends {lacking} records too low: raising it")
            for _ in range(lacking):
                appender.append(ORDER_COMMANDS, filler, partition=partition)
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
