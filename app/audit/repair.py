"""Raises the end of a command log that lost data above the offsets that its tables' rows have seen."""

from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from app import messages
from app.audit.log import AuditError, Group, Topic
from app.domain.row import BadRowError, row_offset
from app.settings import Settings
from app.topics import ORDER_COMMANDS, ORDERS_APP, TABLES_CHANGELOG

FLUSH_SECONDS = 600.0
POLL_EVERY = 10_000  # records, of the hundred thousand that the producer holds


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
    failed: list[str] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "acks": "all", "enable.idempotence": True})
    filler, total = messages.encode(messages.Nothing()), 0
    for partition, end in sorted(needed.items()):
        lacking = end - ends[partition]
        if lacking <= 0:
            say(f"{ORDER_COMMANDS}/{partition} ends where it should: nothing to do")
            continue
        say(f"{ORDER_COMMANDS}/{partition} ends {lacking} records too low: raising it")
        for count in range(lacking):
            producer.produce(ORDER_COMMANDS, filler, partition=partition, on_delivery=delivered)
            if count % POLL_EVERY == 0:
                producer.flush(FLUSH_SECONDS)
        total += lacking
    if producer.flush(FLUSH_SECONDS) or failed:
        raise AuditError(f"Kafka did not take all records: {failed[:1]}")
    return total
