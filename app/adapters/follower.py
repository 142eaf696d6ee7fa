"""Follows partitions on the event loop: each batch is handed over as soon as it was fetched.

    follow ──> a task for each broker: fetch all that it leads ──> hand over ──> rest, where nobody waits ──┐
                          ^                                                                                │
                          └────────────────────────────────────────────────────────────────────────────────┘

Faust's consumer has aiokafka in a second event loop, and each fetch goes through four tasks and back; librdkafka has
threads of its own, each a wake-up on the way of an order, and asks again before anybody wants more. Here it is one
request at a time to each broker with all its partitions. The protocol and its records (in C) are aiokafka's.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.errors import CorruptRecordException, KafkaError, NodeNotReadyError, OffsetOutOfRangeError, for_code
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.adapters.brokers import CLOSE_SECONDS, NOBODY, RETRY_SECONDS, Brokers
from app.ports import Fatal
from app.settings import Settings

WAIT_MS = 500  # a fetch waits so long at the broker where nothing comes in
PARTITION_BYTES = 256 * 1024  # that one fetch brings of each partition; a worker's memory counts
FETCH_BYTES = 16 * PARTITION_BYTES
BATCH = 500  # records that are handed over in one call
MOST_DAMAGED = 50  # fetches in a row that bring a damaged batch, some five seconds
ROOM_SECONDS = 0.01  # until it is looked again whether there is room for more

# Called with a partition and its next records.
Arrived = Callable[[int, Sequence["Followed"]], None]
# Partition, error, end of its log and its records.
Answer = Sequence[tuple[int, int, int, bytes]]


class Followed(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A record as agents know it; `timestamp` is its log time in ms."""

    # A ledger holds thousands for a second: the collector, which has nothing to find in them, would walk them all.
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Follower:
    """One topic's partitions, from given offsets on; without a group, nothing is committed. Used on one event loop."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        arrived: Arrived,
        has_room: Callable[[], bool],
        fatal: Fatal,
        rest: float = 0.0,
        is_compacted: bool = False,
    ) -> None:
        """While `has_room` is false nothing more is handed over.

        After a fetch that brought all there was the next one comes `rest` s after its begin: what comes meanwhile
        comes together. Of a topic that `is_compacted` records may be missing: a later one of the same key tells all.
        """
        self._topic = topic
        self._arrived = arrived
        self._has_room = has_room
        self._fatal = fatal
        self._rest = rest
        self._is_compacted = is_compacted
        self._brokers = Brokers(settings, "bistro92-follower", fatal)
        self._due: dict[int, int | None] = {}  # what comes next of each partition; None: the first there is
        self._known: set[int] = set()  # partitions of which something came: nothing may be missing behind it
        self._epoch = 0  # of what is wanted
        self._busy: set[int] = set()  # brokers that have a task in this epoch
        self._asked: set[int] = set()  # brokers that have not answered a fetch
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = self._is_stopped = False
        self._damaged = (0, 0, 0)  # partition, offset, and how often in a row it was not as it was written

    def follow(self, starts: Mapping[int, int | None]) -> None:
        """From now on give the records of these partitions from these offsets on (None: the first); of no others.

        What was fetched before is given no more.
        """
        self._epoch += 1
        self._due = {} if self._is_stopped else dict(starts)
        self._known.clear()
        self._busy.clear()
        for node in self._asked:  # their answers are wanted no more, and would be waited for
            self._brokers.hang_up(node)
        if self._due and not self._is_started:
            self._is_started = True
            self._begin(self._start())
        self._dispatch()

    async def stop(self) -> None:
        """End what is under way, and close the connections."""
        self._is_stopped = True
        self.follow({})
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        await self._brokers.close()

    # ── which broker is asked ─────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        while not (self._is_stopped or await self._brokers.connect([self._topic])):  # noqa: ASYNC110 - it is tried, not waited for
            await asyncio.sleep(RETRY_SECONDS)
        self._dispatch()

    def _dispatch(self) -> None:
        """See that each broker that leads something has its task."""
        if self._due and self._brokers.is_connected:
            for node in {self._leader(partition) for partition in self._due} - self._busy:
                self._busy.add(node)
                self._begin(self._follow(node, self._epoch))

    def _leader(self, partition: int) -> int:
        return self._brokers.leader(TopicPartition(self._topic, partition))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(
            self._brokers.guarded(work, f"{self._topic} can no longer be followed")
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, node: int, epoch: int) -> None:
        """Fetch from one broker, as long as it leads something that is wanted."""
        while epoch == self._epoch:
            places = {partition: due for partition, due in self._due.items() if self._leader(partition) == node}
            if len(places) < len(self._due):
                self._dispatch()
            if not places:
                self._busy.discard(node)
                return
            if node == NOBODY:
                await self._brokers.look_for_leaders([TopicPartition(self._topic, partition) for partition in places])
            elif not self._has_room():
                await asyncio.sleep(ROOM_SECONDS)
            else:
                await self._fetch(node, places, epoch)

    # ── a fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fetch(self, node: int, places: Mapping[int, int | None], epoch: int) -> None:
        """One fetch, and all that it brought."""
        began = time.monotonic()
        try:
            if None in places.values():
                await self._find_first(node, [partition for partition, due in places.items() if due is None], epoch)
                return
            answer = await self._ask(node, places, epoch)
        except KafkaError as error:
            if epoch == self._epoch:
                await self._brokers.wait_after([error])
            return
        is_level, is_ahead, errors = True, False, []
        for partition, code, end, data in answer:
            if epoch != self._epoch:
                return
            if code:
                errors.append(self._refused(partition, places[partition], code))
                continue
            try:
                await self._take(partition, data, epoch)
            except CorruptRecordException as error:
                errors.append(self._damage(partition, error))
            due = self._due.get(partition) or 0
            is_level, is_ahead = is_level and due >= end, is_ahead or due > end
        if epoch != self._epoch:
            return
        # Whoever was first is last: an answer may be full before it comes to the last ones.
        first = next(iter(places))
        self._due[first] = self._due.pop(first)
        if errors:
            await self._brokers.wait_after(errors)
        elif is_level:
            # A leader of which the others do not have all yet says at once that there is nothing.
            rest = RETRY_SECONDS if is_ahead else self._rest
            await asyncio.sleep(began + rest - time.monotonic())

    async def _ask(self, node: int, places: Mapping[int, int | None], epoch: int) -> Answer:
        if not await self._brokers.reach(node):
            raise NodeNotReadyError(f"broker {node} cannot be reached")
        if epoch != self._epoch:
            raise KafkaError("what was wanted is not wanted any more")
        wanted = {partition: due for partition, due in places.items() if due is not None}
        self._asked.add(node)
        try:
            return await self._brokers.fetch(node, self._topic, wanted, WAIT_MS, FETCH_BYTES, PARTITION_BYTES)
        finally:
            self._asked.discard(node)

    def _refused(self, partition: int, asked: int | None, code: int) -> KafkaError:
        error: KafkaError = for_code(code)()
        if isinstance(error, OffsetOutOfRangeError) and self._due[partition] == asked:
            if partition in self._known:
                self._fatal(
                    f"{self._topic}/{partition} was read up to offset {asked}, which is not in the log any more: the "
                    "topic was made anew, lost data, or was cut before all of it was read"
                )
            self._due[partition] = None
        return error

    def _damage(self, partition: int, error: KafkaError) -> KafkaError:
        """Count how often the next batch was damaged: on the way it is once or twice, on the disk for ever."""
        due = self._due[partition] or 0
        times = self._damaged[2] + 1 if self._damaged[:2] == (partition, due) else 1
        self._damaged = partition, due, times
        if times >= MOST_DAMAGED:
            self._fatal(f"{self._topic}/{partition} cannot be read from offset {due} on: {error}. Restore the topic")
        return error

    async def _find_first(self, node: int, partitions: Sequence[int], epoch: int) -> None:
        """Find out where these begin."""
        found = await self._brokers.first_offsets(node, self._topic, partitions)
        if epoch == self._epoch:
            self._due.update({partition: at for partition, at in found.items() if self._due[partition] is None})

    # ── what came ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, partition: int, data: bytes, epoch: int) -> None:
        """Hand over what one fetch brought of a partition, as there is room for it.

        Raises:
            CorruptRecordException: a batch is not as it was written; what stood before it was handed over.
        """
        for number, (records, after) in enumerate(_batches(self._topic, partition, data)):
            if number:
                await asyncio.sleep(0)  # others have their turn, too
            while epoch == self._epoch and not self._has_room():  # noqa: ASYNC110 - it takes from a queue of Faust's
                await asyncio.sleep(ROOM_SECONDS)
            if epoch != self._epoch:
                return
            due = self._due[partition] or 0
            self._due[partition] = max(due, after)
            if fresh := [record for record in records if record.offset >= due]:  # a batch is sent whole
                self._hand_over(partition, due, fresh)

    def _hand_over(self, partition: int, due: int, records: Sequence[Followed]) -> None:
        try:
            self._check_that_none_is_missing(partition, due, records)
            self._arrived(partition, records)
        except Exception as error:  # noqa: BLE001 - the next batch would be done with first
            self._fatal(f"records of {self._topic}/{partition} could not be handed over: {error!r}")

    def _check_that_none_is_missing(self, partition: int, due: int, records: Sequence[Followed]) -> None:
        """The log has no holes; whoever is done with a record counts as done with all before it."""
        if partition not in self._known:  # the first one stands wherever the log begins
            self._known.add(partition)
            due = records[0].offset
        if self._is_compacted:
            return
        for record in records:
            if record.offset != due:
                self._fatal(
                    f"record {due} of {self._topic}/{partition} was not read, {record.offset} came in its place"
                )
            due += 1


def _batches(topic: str, partition: int, data: bytes) -> Iterator[tuple[list[Followed], int]]:
    """The records of a fetch, BATCH at most at a time, and the offset that comes after them.

    Raises:
        CorruptRecordException: a batch is not as it was written.
    """
    found: list[Followed] = []
    after = 0
    read = MemoryRecords(data)
    while read.has_next():
        batch: Any = read.next_batch()
        if batch is None:
            break
        if not batch.validate_crc():
            if found:
                yield found, after
            raise CorruptRecordException(f"{topic}/{partition} from offset {batch.base_offset} on is damaged")
        if not batch.is_control_batch:
            for record in batch:
                if len(found) == BATCH:
                    yield found, found[-1].offset + 1
                    found = []
                found.append(_followed(topic, partition, record))
        after = batch.next_offset
    if after:
        yield found, after


def _followed(topic: str, partition: int, record: Any) -> Followed:
    return Followed(
        topic, partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers) or ()
    )
