"""Reading the log beside the consumer, on real Kafka."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.adapters.log_reader import BULK_BATCH, KafkaLogReader
from tests.stack import Stack

pytestmark = pytest.mark.stack

MANY = 2 * BULK_BATCH + 7


@pytest.fixture
def topic(stack: Stack) -> str:
    """Three partitions of so many records each, and one without any."""
    name, bootstrap = f"test-{uuid4().hex}", {"bootstrap.servers": stack.settings.kafka_bootstrap}
    admin = AdminClient(bootstrap)  # kept: its answers end with it
    for made in admin.create_topics([NewTopic(name, 4, 1)], operation_timeout=30).values():
        made.result()
    producer = Producer(bootstrap)
    for number in range(MANY):
        for partition in range(3):
            producer.produce(name, f"{partition}/{number}", b"key", partition)
    assert producer.flush(30) == 0
    return name


@contextmanager
def reader(stack: Stack) -> Iterator[KafkaLogReader]:
    log = KafkaLogReader(stack.settings)
    try:
        yield log
    finally:
        log.stop()


async def test_several_partitions_are_read_each_from_its_start_to_its_stop(stack: Stack, topic: str) -> None:
    spans = {0: range(MANY), 1: range(5, MANY - 5), 2: range(0), 3: range(10)}  # in 3 there is nothing, though
    found: dict[int, list[bytes | None]] = defaultdict(list)
    with reader(stack) as log:
        async for partition, records in log.batches(topic, spans):
            found[partition] += [record.value for record in records]
            assert all(record.offset in spans[partition] for record in records)
    assert {partition: len(values) for partition, values in found.items()} == {0: MANY, 1: MANY - 10}
    assert found[1] == [f"1/{number}".encode() for number in spans[1]]


async def test_the_end_and_a_range_are_read(stack: Stack, topic: str) -> None:
    with reader(stack) as log:
        assert await log.end(topic, 2) == MANY
        assert [record.value for record in await log.read(topic, 2, 3, 5)] == [b"2/3", b"2/4"]
