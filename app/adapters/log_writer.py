"""What owners write and what views ask of them, as Kafka's partitions.

Faust's own producer is not used on the way of an order: its changelog buffer swallows failures. Can go when
Faust awaits what it writes before it commits.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from app.adapters.appender import Appender, Outbox
from app.adapters.owners import partition_of
from app.ports import Fatal
from app.settings import Settings


class KafkaLane:
    """One partition as this process writes it: counts what was sent and what Kafka acknowledged.

    A hole between the offsets of two records of ours was written by somebody else. `known` is the offset before which
    all was written here or read: it stays before the first hole, until somebody has read on from there.
    """

    __slots__ = ("_fatal", "_gaps", "_next", "_outbox", "acked", "known", "partition", "sent")

    def __init__(self, appender: Appender, topic: str, partition: int, fatal: Fatal) -> None:
        self._outbox = appender.outbox(topic, partition, self._delivered, self._failed)
        self._fatal = fatal
        self.partition = partition
        self.sent = 0
        self.acked = 0
        self.known = -1
        self._next = -1  # unknown until somebody who read up to the end says so
        self._gaps: list[tuple[int, int]] = []

    def send(self, key: bytes, value: bytes | None) -> None:
        """Append a record to the partition, at the end of this turn of the loop."""
        self.sent += 1
        self._outbox.send(key, value)

    def _delivered(self, offset: int, count: int) -> None:
        if 0 <= self._next < offset:
            self._gaps.append((self._next, offset))
        self._next = offset + count
        if offset == self.known:
            self.known = self._next
        self.acked += count

    def _failed(self, count: int, reason: str) -> None:
        place = self._outbox.place
        self._fatal(f"{count} records for {place.topic}/{place.partition} were not delivered: {reason}")

    def read_up_to(self, offset: int) -> None:
        """What stands before this offset is known to the owner."""
        self._gaps = [(max(start, offset), stop) for start, stop in self._gaps if stop > offset]
        self._next = max(self._next, offset)
        self.known = max(self.known, offset)

    def strangers(self, end: int) -> list[tuple[int, int]]:
        """Ranges of offsets that this process neither wrote nor read, up to the partition's `end`; told once."""
        gaps, self._gaps = self._gaps, []
        if self.acked == self.sent and 0 <= self._next < end:
            gaps.append((self._next, end))
            self._next = end
        return gaps

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        """Tell these ranges once more: they could not be looked at."""
        self._gaps += gaps


class KafkaLogWriter:
    """Rows, chunks and events: tried until delivered; a failure for good ends the process.

    An owner that gave up would have decided what nobody learns of. Idempotent: what is sent again is taken once, and
    nothing overtakes it.
    """

    def __init__(self, settings: Settings, fatal: Fatal) -> None:
        self._fatal = fatal
        self._lanes: dict[tuple[str, int], KafkaLane] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._appender = Appender(
            settings, "bistro92-log-writer", fatal, is_idempotent=True, delivered=self._on_delivered
        )

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send on this loop what lanes are given, from now on."""
        self._appender.start(loop)

    def lane(self, topic: str, partition: int) -> KafkaLane:
        """The lane of this partition, always the same one."""
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = KafkaLane(self._appender, topic, partition, self._fatal)
        return lane

    def on_delivered(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the event loop after some records were acknowledged."""
        self._callbacks.append(callback)

    def _on_delivered(self) -> None:
        for callback in self._callbacks:
            callback()

    async def stop(self, timeout: float) -> int:
        """Deliver what is under way, for up to `timeout` s; returns what was not delivered."""
        return await self._appender.stop(timeout)


class KafkaCommands:
    """Commands: appended within the view's deadline or not at all; one that is appended twice is harmless."""

    def __init__(self, settings: Settings, topic: str, fatal: Fatal) -> None:
        self._topic = topic
        self._deadline = settings.orders.view_deadline
        self._loop: asyncio.AbstractEventLoop | None = None
        self._appender = Appender(settings, "bistro92-commands", fatal, is_idempotent=False)
        self._partitions = [self._partition(number) for number in range(settings.kafka.partitions)]

    def _partition(self, number: int) -> tuple[Outbox, deque[Callable[[str], None]]]:
        """An outbox, and whom to tell of each of its records that fails."""
        reports: deque[Callable[[str], None]] = deque()
        outbox = self._appender.outbox(
            self._topic, number, partial(_take, reports), lambda count, reason: _report(reports, count, reason)
        )
        return outbox, reports

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send on this loop what is appended, from now on."""
        self._loop = loop
        self._appender.start(loop)

    def append(self, table: str, command: bytes, on_failure: Callable[[str], None]) -> None:
        """Append a command to its table's partition, at the end of this turn of the loop.

        `on_failure` is called with the reason where it was given up; another attempt may still have been taken.
        """
        assert self._loop is not None
        outbox, reports = self._partitions[partition_of(table, len(self._partitions))]
        reports.append(on_failure)
        outbox.send(table.encode(), command, self._loop.time() + self._deadline)

    async def stop(self, timeout: float) -> int:
        """Deliver what is under way, for up to `timeout` s; returns what was not delivered."""
        return await self._appender.stop(timeout)


def _take(reports: deque[Callable[[str], None]], _offset: int, count: int) -> None:
    for _ in range(count):
        reports.popleft()


def _report(reports: deque[Callable[[str], None]], count: int, reason: str) -> None:
    for _ in range(count):
        reports.popleft()(reason)
