"""Topics read from their beginning to their present end, beside all consumer groups."""

import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

STALL = 30.0  # s without a record or an end, after which reading is given up
REQUEST = 10.0  # s
BATCH = 1000
BATCH_SECONDS = 0.05  # until a batch that is not full is taken


class AuditError(Exception):
    """A source cannot be read; the message says which and why."""


class Topic:
    """One topic, read piece by piece: each `read` goes on where the last ended."""

    def __init__(self, bootstrap: str, name: str) -> None:
        """Find the partitions.

        Raises:
            AuditError: Kafka does not answer, or there is no such topic.
        """
        self.name = name
        self.is_cut = False  # whether the oldest records have left by their age
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "audit",  # asked for by the library; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 10,  # other requests on the connection wait behind a fetch that waits
            }
        )
        try:
            found = self._consumer.list_topics(name, timeout=REQUEST).topics[name]
            if found.error is not None:
                raise AuditError(f"topic {name}: {found.error.str()}")
            self._read_to = dict.fromkeys(found.partitions, 0)
            self._consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in self._read_to])
        except KafkaException as error:
            raise AuditError(f"Kafka at {bootstrap}: {error.args[0].str()}") from error

    def read(self) -> Iterator[Any]:
        """The records up to the end as it is now.

        Raises:
            AuditError: Kafka does not answer, or no longer.
        """
        try:
            ends = self.ends()
            pending = {number for number, end in ends.items() if end > self._read_to[number]}
            deadline = time.monotonic() + STALL
            while pending:
                messages = self._consumer.consume(BATCH, timeout=BATCH_SECONDS)
                if messages:
                    deadline = time.monotonic() + STALL
                elif time.monotonic() > deadline:
                    raise AuditError(f"topic {self.name}: nothing came for {STALL:.0f} s")
                for message in messages:
                    if message.error() is None:
                        yield message
                        if message.offset() + 1 >= ends[message.partition()]:
                            pending.discard(message.partition())
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        pending.discard(message.partition())  # compaction may have taken the last records
                    else:
                        raise AuditError(f"topic {self.name}: {message.error().str()}")
            self._read_to = {number: max(end, ends[number]) for number, end in self._read_to.items()}
        except KafkaException as error:
            raise AuditError(f"topic {self.name}: {error.args[0].str()}") from error

    def ends(self) -> dict[int, int]:
        """The offset after the last record, by partition."""
        ends = {}
        for number in self._read_to:
            low, ends[number] = self._consumer.get_watermark_offsets(TopicPartition(self.name, number), timeout=REQUEST)
            self.is_cut = self.is_cut or low > 0
        return ends

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


class Group:
    """A consumer group's progress on a topic; asking needs no membership, the group does not learn of it."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._name = name
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "enable.auto.commit": False})

    def lag(self, topic: Topic) -> int:
        """How many records of the topic the group has not committed yet.

        Raises:
            AuditError: Kafka does not answer.
        """
        try:
            ends = topic.ends()
            places = self._consumer.committed([TopicPartition(topic.name, number) for number in ends], timeout=REQUEST)
            return sum(max(0, ends[place.partition] - max(0, place.offset)) for place in places)
        except KafkaException as error:
            raise AuditError(f"group {self._name}: {error.args[0].str()}") from error

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
