"""Records into Kafka, on the event loop: one request at a time to each broker, with what every partition has.

librdkafka sends a request for each partition. An order is a few records in as many partitions, and Kafka's work, like
the wake-ups on both sides, is counted in requests: here, what comes while one is under way shares the next, whatever
partition it is for. The batches of records are aiokafka's, connections are those of `Brokers`; aiokafka's own producer
keeps a future for each record, and sends what has expired meanwhile. Can go when librdkafka does the same
(https://github.com/confluentinc/librdkafka/issues/1700).
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError, for_code
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from app.adapters.brokers import CLOSE_SECONDS, NOBODY, RETRY_SECONDS, Brokers
from app.ports import Fatal
from app.settings import Settings

FORMAT = 2  # of a batch of records
BATCH_BYTES = 500_000  # of one partition in one request; Kafka refuses 1 MB and more
SEQUENCES = 2**31  # after which they begin anew

# So long a broker waits for the other replicas: it answers for each partition before the connection counts as dead.
REPLICAS_MS = 2000
STOP_POLL_SECONDS = 0.01
UNSENT = "records could not be sent to Kafka"


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records of one partition as they are sent, and sent again; given up at `due`, s of the loop's clock."""

    data: bytes
    count: int
    due: float


class Outbox:
    """What one partition is sent, in order."""

    __slots__ = ("_flush_soon", "batch", "delivered", "failed", "pending", "place", "sequence")

    def __init__(
        self,
        place: TopicPartition,
        delivered: Callable[[int, int], None],
        failed: Callable[[int, str], None],
        flush_soon: Callable[["Outbox"], None],
    ) -> None:
        """Both are told how many of the oldest records are done with.

        `delivered` hears the offset of the first of them before, `failed` why they are given up after it.
        """
        self.place = place
        self.delivered = delivered
        self.failed = failed
        self._flush_soon = flush_soon
        self.pending: list[tuple[bytes, bytes | None, float]] = []
        self.batch: _Batch | None = None  # under way, or to be sent again
        self.sequence = 0

    @property
    def left(self) -> int:
        """Records that were not delivered yet."""
        return len(self.pending) + (self.batch.count if self.batch is not None else 0)

    def send(self, key: bytes, value: bytes | None, due: float = math.inf) -> None:
        """Append a record; it is given up where it was not sent before `due`, s of the loop's clock."""
        self.pending.append((key, value, due))
        if len(self.pending) == 1:
            self._flush_soon(self)

    def give_up_late(self, now: float) -> None:
        """Give up what is overdue, the oldest first; not while a request with some of it is under way."""
        if self.batch is not None:
            if self.batch.due > now:
                return
            count, self.batch = self.batch.count, None
            self.failed(count, "Kafka did not take it in time")
        late = 0
        for _, _, due in self.pending:
            if due > now:
                break
            late += 1
        if late:
            del self.pending[:late]
            self.failed(late, "it was not sent in time")


class Appender:
    """Sends what its outboxes hold; used on one event loop."""

    def __init__(
        self,
        settings: Settings,
        client_id: str,
        fatal: Fatal,
        *,
        is_idempotent: bool,
        delivered: Callable[[], None] = lambda: None,
    ) -> None:
        """`delivered` is called after an answer was told to its outboxes; `fatal` where the appender itself fails."""
        self._brokers = Brokers(settings, client_id, fatal)
        self._fatal = fatal
        self._is_idempotent = is_idempotent
        self._delivered = delivered
        self._producer = (-1, -1)  # its id and epoch, where it is idempotent
        self._outboxes: dict[TopicPartition, Outbox] = {}
        self._waiting: dict[Outbox, None] = {}  # with something to send, in the order in which they got it
        self._busy: dict[int, asyncio.Task[None]] = {}  # brokers that have not answered
        self._taken: set[Outbox] = set()  # what they were asked to take: no other broker may be asked meanwhile
        self._is_due = False
        self._is_stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None

    def outbox(
        self, topic: str, partition: int, delivered: Callable[[int, int], None], failed: Callable[[int, str], None]
    ) -> Outbox:
        """A new outbox, the only one of its partition here."""
        place = TopicPartition(topic, partition)
        outbox = self._outboxes[place] = Outbox(place, delivered, failed, self._flush_soon)
        self._brokers.add_topic(topic)
        return outbox

    # ── begin and end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect, for as long as it takes; what outboxes are given meanwhile is sent then."""
        self._loop = loop
        self._starting = loop.create_task(self._brokers.guarded(self._start(), UNSENT))

    async def _start(self) -> None:
        while not self._is_stopped:
            if await self._brokers.connect({place.topic for place in self._outboxes}, self._introduce):
                self._dispatch()
                return
            await asyncio.sleep(RETRY_SECONDS)
            self._give_up_late()

    async def _introduce(self, client: AIOKafkaClient) -> None:
        """Have the cluster give this producer an id, where it is idempotent."""
        if self._is_idempotent:
            request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=SEQUENCES - 1)
            answer = await client.send(client.get_random_node(), request)
            if answer.error_code:
                raise for_code(answer.error_code)()
            self._producer = answer.producer_id, answer.producer_epoch

    async def stop(self, seconds: float) -> int:
        """Wait up to `seconds` for what is under way; returns how many records were not delivered."""
        until = time.monotonic() + seconds
        while (left := self._left()) and time.monotonic() < until:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(STOP_POLL_SECONDS)
        self._is_stopped = True
        tasks = [*self._busy.values(), *([self._starting] if self._starting else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        await self._brokers.close()
        return left

    def _left(self) -> int:
        return sum(outbox.left for outbox in self._outboxes.values())

    # ── which broker gets what ────────────────────────────────────────────────────────────────────────────────────────

    def _flush_soon(self, outbox: Outbox) -> None:
        """Send what the outbox holds: at the end of this turn of the loop, or once its broker has answered."""
        self._waiting[outbox] = None
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_due = False
        if not self._brokers.is_connected or self._loop is None or self._is_stopped:
            return
        for node, outboxes in self._by_broker().items():
            for outbox in outboxes:
                del self._waiting[outbox]
            if node == NOBODY:
                work = self._find_leaders(outboxes)
            else:
                self._taken.update(outboxes)
                work = self._send(node, outboxes)
            self._busy[node] = self._loop.create_task(self._brokers.guarded(work, UNSENT))

    def _by_broker(self) -> dict[int, list[Outbox]]:
        """What waits, by the broker that it is for; without those that have not answered yet.

        A partition may have another leader while the one before is still being asked: that one is waited for.
        """
        found: dict[int, list[Outbox]] = defaultdict(list)
        for outbox in self._waiting:
            if outbox in self._taken:
                continue
            node = self._brokers.leader(outbox.place)
            if node not in self._busy:
                found[node].append(outbox)
        return found

    async def _find_leaders(self, outboxes: Iterable[Outbox]) -> None:
        await self._brokers.look_for_leaders([outbox.place for outbox in outboxes])
        self._give_up_late()
        self._finish(NOBODY, outboxes)

    def _give_up_late(self) -> None:
        now = self._now()
        for outbox in self._outboxes.values():
            if outbox not in self._taken:
                outbox.give_up_late(now)

    def _finish(self, node: int, outboxes: Iterable[Outbox]) -> None:
        del self._busy[node]
        for outbox in outboxes:
            if outbox.left:
                self._waiting[outbox] = None
        self._dispatch()

    # ── a request ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, node: int, outboxes: Iterable[Outbox]) -> None:
        """One request to one broker; what it did not take is sent again as it was, or given up."""
        errors: dict[TopicPartition, KafkaError] = {}
        if not await self._brokers.reach(node):  # before anything is taken out of an outbox: it may last
            for outbox in outboxes:
                outbox.give_up_late(self._now())
            errors = {outbox.place: NodeNotReadyError(f"broker {node} cannot be reached") for outbox in outboxes}
        elif sent := {outbox.place: outbox for outbox in outboxes if self._fill(outbox)}:
            errors = await self._ask(node, sent)
        if errors:
            await self._recover(errors)
        self._taken.difference_update(outboxes)
        self._finish(node, outboxes)

    async def _ask(self, node: int, sent: dict[TopicPartition, Outbox]) -> dict[TopicPartition, KafkaError]:
        """Have the broker take a batch of each outbox; returns what it did not, and why."""
        try:
            answer = await self._brokers.produce(node, _batches(sent.values()), REPLICAS_MS)
        except KafkaError as error:
            return dict.fromkeys(sent, error)
        return self._take(answer, sent)

    def _take(
        self, answer: Iterable[tuple[str, int, int, int]], sent: dict[TopicPartition, Outbox]
    ) -> dict[TopicPartition, KafkaError]:
        """Tell the outboxes what was delivered; returns what was not."""
        errors: dict[TopicPartition, KafkaError] = {}
        for topic, partition, code, offset in answer:
            outbox = sent[TopicPartition(topic, partition)]
            if code:
                errors[outbox.place] = for_code(code)()
                continue
            batch, outbox.batch = outbox.batch, None
            assert batch is not None
            outbox.delivered(offset, batch.count)
        self._delivered()
        return errors

    async def _recover(self, errors: dict[TopicPartition, KafkaError]) -> None:
        """Give up what Kafka will never take, and wait before all else is sent again."""
        for place, error in errors.items():
            outbox = self._outboxes[place]
            if not error.retriable and outbox.batch is not None:
                count, outbox.batch = outbox.batch.count, None
                outbox.failed(count, repr(error))
        await self._brokers.wait_after(errors.values())

    def _fill(self, outbox: Outbox) -> bool:
        """Make a batch of what the outbox holds, but for what is sent again; whether there is one."""
        outbox.give_up_late(self._now())
        if outbox.batch is not None:
            return True
        if not outbox.pending:
            return False
        producer_id, epoch = self._producer
        builder = DefaultRecordBatchBuilder(
            FORMAT,
            0,
            is_transactional=0,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=outbox.sequence if self._is_idempotent else -1,
            batch_size=BATCH_BYTES,
        )
        at, count = int(time.time() * 1000), 0
        for key, value, _ in outbox.pending:
            if builder.append(count, at, key, value, []) is None:
                break
            count += 1
        outbox.batch = _Batch(bytes(builder.build()), count, outbox.pending[0][2])
        del outbox.pending[:count]
        outbox.sequence = (outbox.sequence + count) % SEQUENCES
        return True

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()


def _batches(outboxes: Iterable[Outbox]) -> Iterator[tuple[str, int, bytes]]:
    for outbox in outboxes:
        assert outbox.batch is not None
        yield outbox.place.topic, outbox.place.partition, outbox.batch.data
