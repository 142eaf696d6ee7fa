"""The worker that ships, in the place of the model's: agent, partition, tables, recovery and lanes.

What Faust, Kafka and the event loop do is in the hand of the model: records arrive and are acknowledged when it says
so, recovery goes on changelog by changelog, and what waits is left waiting.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import faust
import msgspec
from faust.tables.manager import TableManager
from faust.types import TP

from app.adapters.log_writer import KafkaLane
from app.agents.orders import OrdersAgent
from app.domain.row import Chunk, Row
from app.messages import Answer, NoteCancelled, decode_event, encode
from app.ports import Record
from app.tables.recovery import BatchRecovery
from app.tables.rows import ChunkTable, RowTable
from app.topics import ORDER_COMMANDS, ORDER_EVENTS, ORDER_IDS, ORDER_IDS_CHANGELOG, TABLES, TABLES_CHANGELOG
from tests.property.restaurant import Read
from tests.property.rules import Rules

if TYPE_CHECKING:
    from tests.property.log_model import World

LANES = {"rows": TABLES_CHANGELOG, "ids": ORDER_IDS_CHANGELOG, "events": ORDER_EVENTS}
ROWS, IDS = TP(TABLES_CHANGELOG, 0), TP(ORDER_IDS_CHANGELOG, 0)

# The answer's name here, and whether it tells the version after the order instead of the one that it found.
KINDS = {
    "accepted": ("accepted", 1),
    "replayed": ("replayed", 1),
    "version_conflict": ("conflict", 0),
    "invalid_item": ("invalid", 0),
    "id_reused": ("reused", 0),
    "session_closed": ("closed", 0),
    "opened": ("changed", 0),
    "closed": ("changed", 0),
    "unchanged": ("unchanged", 0),
}


class EndedError(AssertionError):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


@cache
def faust_app() -> faust.App:
    """Made once, with its settings: they take longer than all else of a run."""
    app = faust.App("orders", store="memory://")
    assert app.conf.id == "orders"
    return app


class RealLane:
    """The lane that ships, its producer in the hand of the model."""

    def __init__(self, topic: str, on_delivered: Callable[[], None]) -> None:
        self.queue: deque[Any] = deque()  # sent and not arrived
        self.topic = topic
        appender: Any = SimpleNamespace(outbox=self._outbox)
        self.lane = KafkaLane(appender, topic, 0, fatal)
        self._arrived: deque[int] = deque()  # offsets of what has arrived and is not known to have
        self._on_delivered = on_delivered

    def _outbox(self, topic: str, partition: int, delivered: Callable[[int, int], None], _: Any) -> Any:
        assert (topic, partition) == (self.topic, 0)
        self._delivered = delivered
        return SimpleNamespace(send=self._send)

    def _send(self, key: bytes, value: bytes) -> None:
        self.queue.append(decode_event(value) if self.topic == ORDER_EVENTS else (key, value))

    def arrive(self, offset: int, *, skip_strangers: bool) -> Any:
        """The next record, which arrives at this offset; the rule cannot be switched off in what ships."""
        assert not skip_strangers
        self._arrived.append(offset)
        return self.queue.popleft()

    def acknowledge(self, count: int) -> None:
        """The worker hears that so many records more have arrived."""
        for _ in range(min(count, len(self._arrived))):
            self._delivered(self._arrived.popleft(), 1)
        self._on_delivered()


class Batch:
    """A stream that ends after what one fetch brought."""

    def __init__(self, *records: Any) -> None:
        self._records = list(records)

    def noack(self) -> "Batch":
        return self

    async def events(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(message=SimpleNamespace(partition=0), value=self._records)


class RealWorker:
    """Owns the partition, or believes so; in the place of `tests.property.worker.Worker`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, world: "World") -> None:
        self.name = name
        self.world = world
        self._loop = loop
        self.limit: int | None = None
        self.position = 0
        self.completed = 0
        self.to_recover: list[str] = []
        self._work: asyncio.Task[None] | None = None  # a command that waits for Kafka
        self._recovering: asyncio.Task[None] | None = None
        self._go_on = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []
        self.lanes = {name: RealLane(topic, self.advance) for name, topic in LANES.items()}
        app = copy(faust_app())
        app.tables = TableManager(app)
        self._rows = RowTable(app, name=TABLES, partitions=1, fatal=fatal)
        self._chunks = ChunkTable(app, name=ORDER_IDS, partitions=1, fatal=fatal)
        for table in (self._rows, self._chunks):
            app.tables.add(table)
        self._recovery = app.tables._recovery = BatchRecovery(app, self, lambda topic, _: self.lane(topic, 0).known)
        self._agent = OrdersAgent(
            self._rows,
            self._chunks,
            self,
            self,
            self,
            self,  # type: ignore[arg-type] # no dead letters: every command can be read
            fatal,
            self._done,
            max_in_flight=1_000,
            partition_of=lambda _: 0,
        )
        self._rows.recovered = self._agent.take_over

    # What the agent is given

    def lane(self, topic: str, partition: int) -> KafkaLane:
        """Where it writes."""
        return next(lane.lane for lane in self.lanes.values() if lane.topic == topic)

    def on_delivered(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def end(self, topic: str, partition: int) -> int:
        """The end of a topic; while recovery goes on, only when the model lets it."""
        if self._recovering is asyncio.current_task() and topic in (TABLES_CHANGELOG, ORDER_IDS_CHANGELOG):
            await self._go_on.wait()
            self._go_on.clear()
        return len(self.world.log) if topic == ORDER_COMMANDS else self._changelog(topic).end

    async def read(self, topic: str, partition: int, start: int, stop: int) -> Sequence[Record]:
        return self._records(topic, start, stop)

    async def batches(self, topic: str, spans: Mapping[int, range]) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        for record in self._records(topic, spans[0].start, spans[0].stop):
            yield 0, [record]

    def _records(self, topic: str, start: int, stop: int) -> list[Record]:
        found = self._changelog(topic).since(start)
        return [Record(each.place, each.time, each.key, each.value) for each in found if each.place < stop]

    def _changelog(self, topic: str) -> Any:
        return self.world.rows if topic == TABLES_CHANGELOG else self.world.ids

    def give(self, reply_to: str, answer: Answer) -> None:
        """An answer goes out: 503 is none."""
        if answer.outcome != "unknown":
            kind, after = KINDS[answer.outcome]
            record = self.world.log[int(answer.request_id)]
            self.world.promises.answer(self.name, record, kind, answer.version - after, self.world.now)

    def _done(self, partition: int, offset: int) -> None:
        self.completed = offset

    # What Faust does with it

    def take_over(self) -> None:
        """A rebalance: what was under way is dropped, and recovery begins."""
        self._run(self._stop_work())
        self._agent.give_up()
        self.limit = None
        self.position = self.completed = self.world.committed
        self.to_recover = ["rows", "ids"]
        self._go_on.clear()
        self._recovering = self._loop.create_task(self._recover())
        self._turn()

    async def _recover(self) -> None:
        recovery = self._recovery
        for table, tp in ((self._rows, ROWS), (self._chunks, IDS)):
            recovery.add_active(table, tp)
        recovery.active_highwaters = {tp: self._changelog(tp.topic).end - 1 for tp in (ROWS, IDS)}
        consumer = SimpleNamespace(earliest_offsets=self._earliest)
        await recovery._build_offsets(consumer, recovery.active_tps, recovery.active_offsets, "active")
        await asyncio.gather(
            self._rows.on_recovery_completed({ROWS}, set()), self._chunks.on_recovery_completed({IDS}, set())
        )

    async def _earliest(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)

    async def _stop_work(self) -> None:
        tasks = [task for task in (self._recovering, self._work) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._work = self._recovering = None

    def purge(self) -> None:
        """An assignment without the partition came in between: its rows are forgotten."""
        self._run(self._stop_work())
        self._run(self._rows.on_recovery_completed(set(), set()))
        self._run(self._chunks.on_recovery_completed(set(), set()))

    @property
    def is_ready(self) -> bool:
        """Whether recovery is over."""
        return not self.to_recover

    def recover_next(self) -> None:
        """Read one changelog to its present end."""
        self.to_recover.pop(0)
        self._go_on.set()
        self._turn(8)
        if self.is_ready:
            task = self._recovering
            assert task is not None
            assert task.done()
            task.result()
            now = SimpleNamespace(offset=len(self.world.log), time=self.world.now)
            self.world.promises.check_recovered(self, self.world.committed, now)  # type: ignore[arg-type]

    # How it stands

    @property
    def rows(self) -> dict[str, Row]:
        """Its rows."""
        return self._rows.rows(0)

    def row(self, table: str) -> Row:
        """How the table stands in memory."""
        return self.rows.get(table, Row())

    @property
    def chunks(self) -> dict[tuple[str, int], dict[int, Chunk]]:
        """Its order ids."""
        return {key: {chunk.number: chunk for chunk in ids} for key, ids in self._chunks.chunks(0).items()}

    # What it does

    def decide_next(self) -> bool:
        """Decide on the next command; False where there is none, or where it has to wait."""
        end = len(self.world.log) if self.limit is None else self.limit
        if not self.is_ready or self.position >= end:
            return False
        if self._work is None:
            record = self.world.log[self.position]
            command: Read = record.command
            if not isinstance(command, NoteCancelled):
                command = msgspec.structs.replace(command, request_id=str(record.offset))
            key, value = command.table.encode(), encode(command)
            raw = SimpleNamespace(offset=record.offset, timestamp=record.time, key=key, value=value)
            self._work = self._loop.create_task(self._agent.run(Batch(raw)))
        self._turn()
        if not self._work.done():
            return False
        self._work.result()
        self._work = None
        self.position += 1
        return True

    def advance(self) -> None:
        """Acknowledgements have come in."""
        for callback in self._callbacks:
            callback()

    def check_strangers(self) -> None:
        """Look for strangers' rows."""
        self._run(self._agent.repair())

    def forget_chunks(self) -> None:
        """Delete the chunks that no command can ask for any more."""
        self._agent.forget_old_chunks()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(work)

    def _turn(self, times: int = 1) -> None:
        """Let the loop do what is due."""
        for _ in range(times):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()


@contextmanager
def real_workers() -> Iterator[Callable[[str, "World", Rules], RealWorker]]:
    """Makes workers that ship, for one run of the model; they keep to all rules, unless their code was changed."""
    workers: list[RealWorker] = []  # also those that crashed: what they waited for is cancelled at the end

    def new_worker(name: str, world: "World", rules: Rules) -> RealWorker:
        workers.append(RealWorker(runner.get_loop(), name, world))
        return workers[-1]

    with asyncio.Runner() as runner:
        yield new_worker
