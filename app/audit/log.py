"""Topics read from their beginning to their present end, or by the piece, beside all consumer groups."""

import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.adapters.ends import ends_of
from app.audit.kitchen import Progress
from app.topics import KITCHEN_APP, KITCHEN_COMMANDS

STALL = 30.0  # s without a record or an end, after which reading is given up
REQUEST = 10.0  # s
BATCH = 1000
BATCH_SECONDS = 0.05  # until a batch that is not full is taken


class AuditError(Exception):
    """A source cannot be read; the message says which and why."""


class RemadeError(AuditError):
    """A topic ends before what was read of it: it was made anew, and what is known of it holds no longer."""


def new_consumer(bootstrap: str, **more: Any) -> Consumer:
    """A consumer beside all groups, to be assigned and read a little at a time."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "audit",  # asked for by the library; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 2,  # else each attempt to reach a broker that is away is a line
            "reconnect.backoff.max.ms": 1000,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,  # other requests on the connection wait behind a fetch that waits
            # Little at a time: more is no faster, and takes memory.
            "fetch.message.max.bytes": 256 * 1024,
            "queued.max.messages.kbytes": 1024,
            "fetch.queue.backoff.ms": 5,  # else, once so much is queued, it waits a second before it fetches on
            **more,
        }
    )


class Topic:
    """One topic, read piece by piece: each `read` goes on where the last ended; nothing is fetched in between."""

    def __init__(self, bootstrap: str, name: str) -> None:
        """Find the partitions.

        Raises:
            AuditError: Kafka does not answer, or there is no such topic.
        """
        self.name = name
        self.starts: dict[int, int] = {}  # the oldest records that are left, as of the last look at the ends
        self._consumer = new_consumer(bootstrap)
        try:
            found = self._consumer.list_topics(name, timeout=REQUEST).topics[name]
            if found.error is not None:
                raise AuditError(f"topic {name}: {found.error.str()}")
            self._read_to = dict.fromkeys(found.partitions, 0)
            places = [TopicPartition(name, number, OFFSET_BEGINNING) for number in self._read_to]
            self._consumer.assign(places)
            self._consumer.pause(places)
        except KafkaException as error:
            raise AuditError(f"Kafka at {bootstrap}: {error.args[0].str()}") from error

    @property
    def read_to(self) -> dict[int, int]:
        """The offset after the last record that was read, by partition."""
        return dict(self._read_to)

    @property
    def is_cut(self) -> bool:
        """Whether the oldest records have left by their age."""
        return any(self.starts.values())

    def read(self) -> Iterator[Any]:
        """The records up to the end as it is now.

        Raises:
            AuditError: Kafka does not answer, or no longer.
        """
        try:
            ends = self.ends()
            pending = {number for number, end in ends.items() if end > self._read_to[number]}
            partitions = [TopicPartition(self.name, number) for number in self._read_to]
            if pending:
                self._consumer.resume(partitions)
            deadline = time.monotonic() + STALL
            while pending:
                messages = self._consumer.consume(BATCH, timeout=BATCH_SECONDS)
                if messages:
                    deadline = time.monotonic() + STALL
                elif time.monotonic() > deadline:
                    raise AuditError(f"topic {self.name}: nothing came for {STALL:.0f} s")
                for message in messages:
                    if message.error() is None:
                        self._read_to[message.partition()] = message.offset() + 1
                        yield message
                        if message.offset() + 1 >= ends[message.partition()]:
                            pending.discard(message.partition())
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        pending.discard(message.partition())  # compaction may have taken the last records
                    else:
                        raise AuditError(f"topic {self.name}: {message.error().str()}")
            self._read_to = {number: max(end, ends[number]) for number, end in self._read_to.items()}
            self._consumer.pause(partitions)
        except KafkaException as error:
            raise AuditError(f"topic {self.name}: {error.args[0].str()}") from error

    def ends(self) -> dict[int, int]:
        """The offset after the last record, by partition.

        Raises:
            AuditError: Kafka does not answer.
            RemadeError: a partition ends before what was read of it.
        """
        try:
            found = ends_of(self._consumer, self.name, self._read_to.keys(), REQUEST)
        except KafkaException as error:
            raise AuditError(f"topic {self.name}: {error.args[0].str()}") from error
        for number, (start, end) in found.items():
            self.starts[number] = start
            if end < (read_to := self._read_to[number]):
                raise RemadeError(f"topic {self.name} was made anew: partition {number} ends before offset {read_to}")
        return {number: end for number, (_, end) in found.items()}

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


class KitchenGroup:
    """Up to where the kitchen is done with `order-events`, which it copies into `kitchen-commands` first."""

    def __init__(self, bootstrap: str) -> None:
        """Find the topic.

        Raises:
            AuditError: Kafka does not answer, or there is no such topic.
        """
        self._commands = Topic(bootstrap, KITCHEN_COMMANDS)
        self._group = Group(bootstrap, KITCHEN_APP)
        self._progress: dict[int, Progress] = {}

    def done(self, events: Topic) -> dict[int, int]:
        """The offset before which it has told of each order's tickets, by partition of `events`.

        Raises:
            AuditError: Kafka does not answer.
        """
        events.ends()  # where its partitions begin
        copied = self._group.committed(events)
        ends = self._commands.ends()
        decided = self._group.committed(self._commands)
        return {
            number: self._progress.setdefault(number, Progress()).look(copied[number], ends[number], decided[number])
            for number in copied
        }

    def close(self) -> None:
        """Let go of the broker."""
        self._commands.close()
        self._group.close()


class Pieces:
    """A topic's records by their offsets, for who wants a few now and then."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._name = name
        self._consumer = new_consumer(bootstrap)

    def read(self, partition: int, start: int, stop: int) -> list[Any]:
        """The records from `start` to before `stop`, which must be there.

        Raises:
            AuditError: Kafka does not answer, or has them no longer.
        """
        found: list[Any] = []
        deadline = time.monotonic() + REQUEST
        try:
            self._consumer.assign([TopicPartition(self._name, partition, start)])
            while not found or found[-1].offset() + 1 < stop:
                if time.monotonic() > deadline:
                    raise AuditError(f"topic {self._name}: nothing came for {REQUEST:.0f} s")
                for message in self._consumer.consume(stop - start - len(found), timeout=BATCH_SECONDS):
                    if message.error() is None:
                        found.append(message)
                        deadline = time.monotonic() + REQUEST
                    elif message.error().code() != KafkaError._PARTITION_EOF:
                        raise AuditError(f"topic {self._name}: {message.error().str()}")
                    else:
                        raise AuditError(f"topic {self._name}: partition {partition} ends before offset {stop}")
            self._consumer.unassign()
        except KafkaException as error:
            raise AuditError(f"topic {self._name}: {error.args[0].str()}") from error
        return found

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


class Group:
    """A consumer group's progress on a topic; asking needs no membership, the group does not learn of it."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._name = name
        self._consumer = new_consumer(bootstrap, **{"group.id": name})

    def lag(self, topic: Topic) -> int:
        """How many records of the topic the group has not committed yet.

        Raises:
            AuditError: Kafka does not answer.
        """
        ends = topic.ends()
        done = self.committed(topic)
        return sum(max(0, end - done[number]) for number, end in ends.items())

    def committed(self, topic: Topic) -> dict[int, int]:
        """The offset of the first record that the group is not done with, by partition.

        Raises:
            AuditError: Kafka does not answer.
        """
        try:
            places = [TopicPartition(topic.name, number) for number in topic.starts]
            found = self._consumer.committed(places, timeout=REQUEST)
        except KafkaException as error:
            raise AuditError(f"group {self._name}: {error.args[0].str()}") from error
        return {place.partition: max(topic.starts[place.partition], place.offset) for place in found}

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
