"""Follows partitions on a thread of its own: each batch comes to the event loop as soon as it was fetched.

Faust's consumer has aiokafka in a second event loop, and each fetch goes through four tasks and back: a quarter of a
worker's time. librdkafka fetches and decodes without Python; what is left is a call per batch.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from app.adapters.librdkafka import link_config
from app.ports import Fatal
from app.settings import Settings

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02  # so late is a new assignment seen; a poll with records returns at once
MIN_WAIT_MS = 100
BATCH = 500  # records
MAX_WAITING = 32  # batches that the event loop has not come to; more wait in librdkafka, and then in Kafka
COMPLAIN_SECONDS = 10.0
LOOK_SECONDS = 2.0  # without a record of a partition, until it is looked whether it has any

# Called on the event loop with a partition and its next records.
Arrived = Callable[[int, Sequence["Followed"]], None]


class Followed(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A record as agents know it; `timestamp` is its log time in ms."""

    # A ledger holds thousands for a second: the collector, which has nothing to find in them, would walk them all, and
    # librdkafka's messages, if they were kept, too.
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def _followed(message: Message) -> Followed:
    return Followed(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or (),
    )


class Follower:
    """One topic's partitions, from given offsets on; without a group, nothing is committed."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        arrived: Arrived,
        has_room: Callable[[], bool],
        fatal: Fatal,
        min_bytes: int = 1,
        patience: float = POLL_SECONDS,
        is_compacted: bool = False,
    ) -> None:
        """While `has_room`, which is called on the thread, is false nothing more is fetched.

        Of a topic that `is_compacted` records may be missing: a later one of the same key tells all.
        The broker answers a fetch once it has `min_bytes`, or when it has waited for `patience`; MIN_WAIT_MS at least
        where it answers with the first byte.
        `patience` is how late, in s, a call of `follow` or `stop` may be seen; a short one costs CPU.
        """
        self._patience = patience
        self._topic = topic
        self._arrived = arrived
        self._has_room = has_room
        self._is_compacted = is_compacted
        self._fatal = fatal
        self._config: dict[str, Any] = {
            **link_config(settings, "bistro92-follower"),
            "group.id": "bistro92-follower",  # asked for by the library; nothing is joined or committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "check.crcs": True,  # what is damaged is skipped, and missed below
            # A fetch waits so long at the broker where nothing comes in; new partitions are asked for by the next one.
            "fetch.wait.max.ms": max(MIN_WAIT_MS if min_bytes == 1 else 0, int(1000 * patience)),
            "fetch.min.bytes": min_bytes,
            "fetch.message.max.bytes": 256 * 1024,  # of each partition; a worker's memory counts
            "queued.max.messages.kbytes": 2048,
            "fetch.queue.backoff.ms": 5,
        }
        self._lock = threading.Lock()
        self._wanted: Mapping[int, int | None] = {}
        self._epoch = 0  # of what is wanted
        self._assigned = 0  # of what the thread follows
        self._waiting = 0  # batches on their way to the event loop
        self._due: dict[
            int, int | None
        ] = {}  # on the thread: what comes next of each partition; None: the first there is
        self._heard: dict[int, float] = {}  # when something came last, or it was looked
        self._ends: dict[int, int] = {}  # then
        self._next: dict[int, int] = {}  # the offset that is due of each partition, once something came
        self._something = threading.Event()
        self._stopping = False
        self._complained_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def follow(self, starts: Mapping[int, int | None]) -> None:
        """From now on give the records of these partitions from these offsets on (None: the first); of no others.

        To be called on the event loop, where the records come. What was fetched before is given no more.
        """
        with self._lock:
            self._wanted = dict(starts)
            self._epoch += 1
        self._next.clear()
        if starts and self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        self._something.set()

    def stop(self) -> None:
        """End the thread and its connection; blocks for some ms."""
        self._stopping = True
        self._something.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            while not self._stopping:
                consumer = Consumer(self._config)
                try:
                    self._follow(consumer)
                finally:
                    consumer.close()
        except Exception as error:
            log.exception("the follower failed")
            self._fatal(f"{self._topic} can no longer be followed: {error!r}")

    def _follow(self, consumer: Consumer) -> None:
        """Until it is to stop, or this consumer no longer gives what there is."""
        epoch = 0
        while not (self._stopping or self._is_stalled(consumer)):
            if self._epoch != epoch:
                epoch = self._assign(consumer)
            elif not self._wanted or self._waiting >= MAX_WAITING or not self._has_room():
                self._look_later()
                self._something.wait(self._patience if self._wanted else None)
                self._something.clear()
            elif (first := consumer.poll(self._patience)) is not None:
                # What else has come by now; a call that may wait would wait until so many are there.
                self._pass_on([first, *consumer.consume(BATCH, timeout=0)], epoch)

    def _assign(self, consumer: Consumer) -> int:
        with self._lock:
            wanted, epoch = self._wanted, self._epoch
        if epoch != self._assigned:  # else another consumer goes on where the last one stopped
            self._due, self._assigned = dict(wanted), epoch
        places = [
            TopicPartition(self._topic, partition, OFFSET_BEGINNING if offset is None else offset)
            for partition, offset in self._due.items()
        ]
        self._look_later()
        if places:
            consumer.assign(places)
        else:
            consumer.unassign()
        return epoch

    def _look_later(self) -> None:
        self._heard = dict.fromkeys(self._due, time.monotonic())
        self._ends.clear()

    def _is_stalled(self, consumer: Consumer) -> bool:
        """Whether a partition had records at the last look that have not come since, though there was room for them.

        After a broker was away for two minutes a consumer was seen to fetch nothing more of two partitions, without a
        word; another one does. Of a compacted topic it cannot be told: its last records may be gone.
        """
        if self._is_compacted:
            return False
        now = time.monotonic()
        for partition in [partition for partition, at in self._heard.items() if now - at > LOOK_SECONDS]:
            due, before = self._due[partition], self._ends.get(partition)
            try:
                start, end = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=1.0)
            except (KafkaException, TypeError):  # it is away, or slow: None is no pair
                self._look_later()
                return False
            self._heard[partition], self._ends[partition] = now, end
            if before is not None and before > max(start, due or 0):
                what = {"topic": self._topic, "partition": partition, "due": due, "end": before}
                log.warning("records do not come: they are followed anew", **what)
                return True
        return False

    def _pass_on(self, messages: list[Message], epoch: int) -> None:
        batches: dict[int, list[Followed]] = defaultdict(list)
        for message in messages:
            if (error := message.error()) is not None:
                self._complain(error)
            else:
                batches[message.partition()].append(_followed(message))
        now = time.monotonic()
        for partition, records in batches.items():
            self._due[partition], self._heard[partition] = records[-1].offset + 1, now
            self._ends.pop(partition, None)
        if batches and self._loop is not None and not self._loop.is_closed():
            with self._lock:
                self._waiting += 1
            self._loop.call_soon_threadsafe(self._arrive, batches, epoch)

    def _arrive(self, batches: Mapping[int, Sequence[Followed]], epoch: int) -> None:
        with self._lock:
            self._waiting -= 1
        for partition, records in batches.items():
            if epoch != self._epoch:
                return  # not wanted any more, or asked for anew
            try:
                self._check_that_none_is_missing(partition, records)
                self._arrived(partition, records)
            except Exception as error:  # noqa: BLE001 - the loop would only log it, and the next batch be done with first
                self._fatal(f"records of {self._topic}/{partition} could not be handed over: {error!r}")

    def _check_that_none_is_missing(self, partition: int, records: Sequence[Followed]) -> None:
        """The log has no holes; whoever is done with a record counts as done with all before it."""
        for record in records:
            due = self._next.get(partition, record.offset)  # the first one stands wherever the log begins
            if record.offset != due and not (self._is_compacted and record.offset > due):
                self._fatal(
                    f"record {due} of {self._topic}/{partition} was not read, {record.offset} came in its place"
                )
            self._next[partition] = record.offset + 1

    def _complain(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("records cannot be read, trying on", topic=self._topic, reason=str(error))
