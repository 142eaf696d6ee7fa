"""The agent of the ledger service: events into Cassandra, acknowledged in order once they stand there."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from app.messages import BadMessageError, Event, NewerSchemaError, decode_event
from app.ports import DeadLetters, EventWriter, Fatal

log = structlog.get_logger(__name__)

# One group is written while the next one gathers: the longer a write takes, the more the next one carries. Twice this
# is what a ledger holds in memory, however long Cassandra is away.
GROUP_EVENTS = 1000


class LedgerAgent:
    """Writes what it is given.

        consumer ──> waiting ──> group: decode, write all, wait for all ──> ack in order
                     (bounded)   (one at a time)

    Records are acknowledged to Kafka group by group, in the order in which they came, so what is committed has been
    written. A record whose partition has meanwhile gone elsewhere is not acknowledged; whoever has it writes it again,
    which changes nothing.
    """

    def __init__(
        self, writer: EventWriter, dead_letters: DeadLetters, fatal: Fatal, is_mine: Callable[[Any], bool]
    ) -> None:
        """`is_mine` tells whether a record's assignment still holds."""
        self._writer = writer
        self._dead_letters = dead_letters
        self._fatal = fatal
        self._is_mine = is_mine
        self._waiting: deque[Any] = deque()  # the events themselves: Faust forgets records that nobody holds
        self._changed = asyncio.Event()
        self._writing = False
        self._closing = False
        self.written = 0

    async def run(self, stream: Any) -> None:
        """Take what comes, as long as there is room."""
        async for event in stream.noack().events():
            if self._closing:
                continue  # it is read again at the next start
            self._waiting.append(event)
            self._changed.set()
            while len(self._waiting) >= GROUP_EVENTS:
                await self._change()

    def forget(self) -> None:
        """The partitions are assigned anew: what waits is read again, here or elsewhere."""
        self._waiting.clear()
        self._changed.set()

    async def close(self, timeout: float) -> None:
        """Take nothing more, and wait up to `timeout` s for what is being written."""
        self._closing = True
        self._waiting.clear()
        try:
            async with asyncio.timeout(timeout):
                while self._writing:
                    await self._change()
        except TimeoutError:
            log.warning("not all was written before the stop; it is read again")

    async def write(self) -> None:
        """Write what waits, for ever; whatever goes wrong here ends the process."""
        try:
            while True:
                while not self._waiting:
                    await self._change()
                group = list(self._waiting)
                self._waiting.clear()
                self._writing = True
                self._changed.set()
                await self._write(group)
                self._writing = False
                self._changed.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the ledger failed")
            self._fatal(f"the ledger failed: {error!r}")

    async def _write(self, group: list[Any]) -> None:
        events: list[Event] = []
        stop = ""
        for at, record in enumerate(group):
            message = record.message
            place = message.topic, message.partition, message.offset
            try:
                events.append(decode_event(message.value))
            except NewerSchemaError as error:
                # No garbage, so it must not be set aside. What came before it is written; then this process ends, and
                # again at each start, until it is of a release that knows the schema. Nothing is lost meanwhile.
                stop = f"{place[0]}/{place[1]} offset {place[2]}: {error}"
                group = group[:at]
                break
            except BadMessageError as error:
                await self._dead_letters.put(*place, message.value, str(error))
        await self._writer.write(events)
        for record in group:
            if self._is_mine(record.message):
                record.ack()
        self.written += len(events)
        if stop:
            self._fatal(stop)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
