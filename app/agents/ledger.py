"""The agent of the ledger service: events into Cassandra, acknowledged in order once they stand there for good."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from app.messages import BadMessageError, Event, NewerSchemaError, check_key, decode_event
from app.ports import UNWATCHED, DeadLetters, EventWriter, Fatal, LedgerWatch

log = structlog.get_logger(__name__)

# Records that a ledger holds in memory, however long Cassandra is away.
MAX_HELD = 6000
# Records that are written together at most, give or take a batch: events take more room than the records they came in.
MAX_GROUP = 1000


@dataclass(slots=True)
class _Group:
    """Batches that were written together: `breaks` as it was before, `at` by the loop's clock when it was done."""

    batches: list[Any]
    breaks: int
    at: float
    events: int = 0  # the others of its records were set aside

    @property
    def records(self) -> list[Any]:
        return [record for batch in self.batches for record in batch.value]


class LedgerAgent:
    """Writes what it is given.

        consumer ──> waiting ──> one group at a time:   ──> written: for a second, ──> ack in order
                                 decode, write in parallel  then ask for a sign of life
                                                        <── broke off meanwhile: write it again

    While one group is written the next one gathers: the longer a write takes, the more the next one carries. A group
    is not acknowledged at once, since a Cassandra that is killed loses what it answered last. A batch whose partition
    has meanwhile gone elsewhere is never acknowledged; whoever has it writes it again, which changes nothing.
    """

    def __init__(
        self,
        writer: EventWriter,
        dead_letters: DeadLetters,
        fatal: Fatal,
        acknowledge: Callable[[Any], None],
        settle: float,
        watch: LedgerWatch = UNWATCHED,
    ) -> None:
        """`acknowledge` is called with a batch's message, whose assignment may have ended; `settle` is in s."""
        self._writer = writer
        self._dead_letters = dead_letters
        self._fatal = fatal
        self._acknowledge = acknowledge
        self._settle = settle
        self._watch = watch
        self._waiting: deque[Any] = deque()
        self._writing = False
        self._written: deque[_Group] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self.held = 0
        self.acked = 0

    async def take(self, stream: Any) -> None:
        """Take what comes, one event for what a fetch brought of a partition, as long as there is room."""
        # noack: Faust acknowledges what it has handed over; can go when it waits.
        async for batch in stream.noack().events():
            if self._closing:
                continue  # it is read again at the next start
            self._waiting.append(batch)
            self.held += len(batch.value)
            self._changed.set()
            while self.held >= MAX_HELD:
                await self._change()

    def forget(self) -> None:
        """The partitions are assigned anew: what was not acknowledged is read again, here or elsewhere."""
        for group in (_Group(list(self._waiting), 0, 0), *self._written):
            self.held -= len(group.records)
        self._waiting.clear()
        self._written.clear()
        self._changed.set()

    async def close(self, timeout: float) -> None:
        """Take nothing more, and wait up to `timeout` s for what was written to settle."""
        self._closing = True
        self._waiting.clear()
        try:
            async with asyncio.timeout(timeout):
                while self._writing or self._written:
                    await self._change()
        except TimeoutError:
            log.warning("not all was acknowledged before the stop; it is read again", records=self.held)

    async def run(self) -> None:
        """Write and acknowledge, for ever; whatever goes wrong here ends the process."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_groups())
                tasks.create_task(self._settle_groups())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the ledger failed")
            self._fatal(f"the ledger failed: {error!r}")

    async def _write_groups(self) -> None:
        while True:
            while not self._waiting:
                await self._change()
            group = _Group(self._next_batches(), self._writer.breaks, 0)
            self._writing = True
            group.events = await self._write(group.records)
            group.at = asyncio.get_running_loop().time()
            self._written.append(group)
            self._writing = False
            self._changed.set()

    def _next_batches(self) -> list[Any]:
        batches: list[Any] = []
        count = 0
        while self._waiting and count < MAX_GROUP:
            batches.append(self._waiting.popleft())
            count += len(batches[-1].value)
        return batches

    async def _write(self, records: list[Any]) -> int:
        """Write what these records tell of; how many events that are."""
        events: list[Event] = []
        for record in records:
            try:
                events.append(_decode(record))
            except NewerSchemaError as error:
                # No garbage, so it must not be set aside. What came before it is written; then this process ends, and
                # again at each start, until it is of a release that knows the schema. Nothing is lost meanwhile.
                await self._writer.write(events)
                self._fatal(f"{record.topic}/{record.partition} offset {record.offset}: {error}")
            except BadMessageError as error:
                await self._dead_letters.put(record, str(error))
        await self._writer.write(events)
        self._watch.written(events)
        return len(events)

    async def _settle_groups(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._written:
                await self._change()
            group = self._written[0]
            await asyncio.sleep(max(0.0, group.at + self._settle - loop.time()))
            # A kill shows in the next answer at the latest: the new process answers on a new connection only.
            await self._writer.wait_until_it_answers()
            if any(group.breaks != self._writer.breaks for group in self._written):
                await self._write_again()
            else:
                self._acknowledge_until(loop.time() - self._settle)
            self._changed.set()

    async def _write_again(self) -> None:
        """Write once more what was written before Cassandra broke off."""
        breaks = self._writer.breaks
        groups = [group for group in self._written if group.breaks != breaks]
        log.warning("written again, since cassandra broke off", records=sum(len(group.records) for group in groups))
        for group in groups:
            breaks = self._writer.breaks
            await self._writer.write([event for event in map(_event, group.records) if event is not None])
            group.breaks, group.at = breaks, asyncio.get_running_loop().time()

    def _acknowledge_until(self, until: float) -> None:
        """Acknowledge what was written by then."""
        while self._written and self._written[0].at <= until:
            group = self._written.popleft()
            for batch in group.batches:
                self._acknowledge(batch.message)
            count = len(group.records)
            self.held -= count
            self.acked += count
            self._watch.acknowledged(group.events)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _decode(record: Any) -> Event:
    event = decode_event(record.value)
    check_key(event, record.key)
    return event


def _event(record: Any) -> Event | None:
    """The record's event; None where it was set aside."""
    try:
        return _decode(record)
    except BadMessageError:
        return None
