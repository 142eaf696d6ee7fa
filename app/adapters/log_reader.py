"""Reads single records, ranges and ends of the log, beside the consumer that Faust runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.adapters.librdkafka import link_config
from app.ports import Record, UnavailableError
from app.settings import Settings

T = TypeVar("T")

BATCH = 250
# Where much is read and somebody waits for all of it: a third faster.
BULK = {"fetch.message.max.bytes": 1024 * 1024, "queued.max.messages.kbytes": 2048}
BULK_BATCH = 500


class KafkaLogReader:
    """One consumer without a group, used by one thread at a time; a read is bounded by `timeout` s."""

    def __init__(self, settings: Settings, timeout: float = 5.0) -> None:
        self._config: dict[str, Any] = {
            **link_config(settings, "bistro92-log-reader"),
            "group.id": "bistro92-log-reader",  # asked for by the library; nothing is joined or committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            # Little at a time, for a worker's memory counts.
            "fetch.message.max.bytes": 256 * 1024,
            "queued.max.messages.kbytes": 1024,
            "fetch.queue.backoff.ms": 5,  # else, once so much is queued, it waits a second before it fetches on
        }
        self._timeout = timeout
        self._consumer: Consumer | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log-reader")

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the partition's last record; UnavailableError while Kafka is away."""
        return await self._run(partial(self._end, topic, partition))

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        """The records from `start` to before `stop` that still stand; UnavailableError while Kafka is away."""
        return await self._run(partial(self._read, topic, partition, start, stop))

    async def _run(self, work: Callable[[Consumer], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[Consumer], T]) -> T:
        if self._consumer is None:
            self._consumer = Consumer(self._config)
        try:
            return work(self._consumer)
        except KafkaException as error:
            raise UnavailableError(f"the log cannot be read: {error}") from error

    def _end(self, topic: str, partition: int, consumer: Consumer) -> int:
        ends = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout)
        if ends is None:
            raise UnavailableError(f"the end of {topic}/{partition} is not known in {self._timeout:g} s")
        return int(ends[1])

    async def batches(self, topic: str, spans: Mapping[int, range]) -> AsyncIterator[tuple[int, list[Record]]]:
        """The same of many records and several partitions, in batches with their partition."""
        loop = asyncio.get_running_loop()
        # A consumer of its own: seconds of reading must not hold up those who want a single record.
        consumer = Consumer({**self._config, **BULK})
        left = {partition: span for partition, span in spans.items() if span}
        try:
            consumer.assign([TopicPartition(topic, partition, span.start) for partition, span in left.items()])
            deadline = loop.time() + self._timeout
            while left:
                try:
                    batches = await loop.run_in_executor(None, _consume_all, consumer, left)
                except KafkaException as error:
                    raise UnavailableError(f"the log cannot be read: {error}") from error
                for batch in batches:
                    yield batch
                if batches:
                    deadline = loop.time() + self._timeout
                elif left and loop.time() > deadline:
                    raise UnavailableError(f"{topic}, {sorted(left)} could not be read in {self._timeout:g} s")
        finally:
            await loop.run_in_executor(None, consumer.close)

    def _read(self, topic: str, partition: int, start: int, stop: int, consumer: Consumer) -> list[Record]:
        consumer.assign([TopicPartition(topic, partition, start)])
        found: list[Record] = []
        at, deadline = start, time.monotonic() + self._timeout
        try:
            while time.monotonic() < deadline:
                records, is_end = _consume(consumer, at, stop)
                found += records
                at = records[-1].offset + 1 if records else at
                if is_end:
                    return found
        finally:
            consumer.unassign()
        raise UnavailableError(f"{topic}/{partition} from {start} could not be read in {self._timeout:g} s")

    def stop(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._thread.submit(self._consumer.close)
        self._thread.shutdown(wait=True)


def _consume(consumer: Consumer, at: int, stop: int) -> tuple[list[Record], bool]:
    """The next records from offset `at` to before `stop`, and whether they are the last ones.

    Raises:
        KafkaException: Kafka refuses, or is away.
    """
    records: list[Record] = []
    # No more than there can be: the call waits for so many, or until its time is up.
    for message in consumer.consume(min(BATCH, stop - at), timeout=0.1):
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                return records, True
            raise KafkaException(error)
        offset = message.offset()
        if offset >= stop:
            return records, True
        records.append(Record(offset, message.timestamp()[1], message.key() or b"", message.value()))
    return records, bool(records) and records[-1].offset >= stop - 1


def _consume_all(consumer: Consumer, left: dict[int, range]) -> list[tuple[int, list[Record]]]:
    """The next records of several partitions; those that have come to the end of their span leave `left`.

    Raises:
        KafkaException: Kafka refuses, or is away.
    """
    found: dict[int, list[Record]] = {}
    for message in consumer.consume(BULK_BATCH, timeout=0.02):
        partition, error = message.partition(), message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        span = left.get(partition)
        if span is None:
            continue
        offset = message.offset()
        if error is None and offset < span.stop:
            record = Record(offset, message.timestamp()[1], message.key() or b"", message.value())
            found.setdefault(partition, []).append(record)
        if error is not None or offset >= span.stop - 1:
            del left[partition]
    return list(found.items())
