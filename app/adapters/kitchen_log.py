"""The kitchen's changelog, followed by every worker from its beginning on: what displays are told comes from here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from app.adapters.follower import Followed, Follower
from app.adapters.librdkafka import link_config
from app.domain.row import BadRowError
from app.ports import Fatal, LogReader, UnavailableError
from app.settings import Settings
from app.topics import KITCHEN_CHANGELOG

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0  # between two looks whether the log has more than was read
SHORT_LOOKS = 3  # in a row that find a log shorter than what was read: a new leader may be some moments behind
# What comes within so long is told together, to every display; who looks at one does not notice.
REST_SECONDS = 0.06
ID_SECONDS = 5.0
ID_LENGTH = 8  # characters of the topic's id: enough to tell it from the one before


class Takes(Protocol):
    """Where the records go."""

    @property
    def next(self) -> Sequence[int]:
        """The offset to read on at, by partition."""
        ...

    def begin(self, log: str, ends: Sequence[int]) -> None: ...
    def take(self, partition: int, offset: int, key: bytes, value: bytes | None, *, is_recent: bool = True) -> None: ...
    def ring(self) -> None: ...


class KitchenLog:
    """Reads what there is, then follows; `behind` tells whether it can."""

    def __init__(self, settings: Settings, reader: LogReader, board: Takes, fatal: Fatal) -> None:
        self._settings = settings
        self._partitions = range(settings.kafka.partitions)
        self._reader = reader
        self._board = board
        self._fatal = fatal
        # Nothing younger is ever compacted away: of what is younger all records are there.
        self._whole_ms = int(500 * settings.kafka.compaction_lag)
        self._follower = Follower(
            settings,
            KITCHEN_CHANGELOG,
            arrived=self._arrived,
            has_room=lambda: True,
            fatal=fatal,
            rest=REST_SECONDS,
            is_compacted=True,
        )
        self.is_read = False
        self._behind_since: float | None = None
        self._short = 0  # looks in a row
        self._task: asyncio.Task[None] | None = None

    def behind(self) -> float:
        """For how many s there has been more in the log than was read, or no telling; 0 while all is read."""
        return 0.0 if self._behind_since is None else max(0.1, time.monotonic() - self._behind_since)

    def start(self, on_read: Callable[[], None] = lambda: None) -> None:
        """Begin, as soon as Kafka answers; `on_read` is called once all that there was has been read."""
        self._task = asyncio.get_running_loop().create_task(self._run(on_read), name="kitchen-log")
        self._task.add_done_callback(self._ended)

    async def _run(self, on_read: Callable[[], None]) -> None:
        await self._read_all()
        self.is_read = True
        on_read()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _read_all(self) -> None:
        """Read from the beginning; in vain, and from there on again, while Kafka is away."""
        began, count = time.perf_counter(), 0
        while True:
            try:
                topic_id = await asyncio.to_thread(_topic_id, self._settings)
                ends = [await self._reader.end(KITCHEN_CHANGELOG, partition) for partition in self._partitions]
                since = int(1000 * time.time()) - self._whole_ms
                spans = {p: range(self._board.next[p], end) for p, end in enumerate(ends)}
                if any(spans.values()):
                    async for partition, records in self._reader.batches(KITCHEN_CHANGELOG, spans):
                        for record in records:
                            recent = record.time >= since
                            self._take(partition, record.offset, record.key, record.value, is_recent=recent)
                        count += len(records)
                break
            except UnavailableError as error:
                log.warning("the kitchen's changelog cannot be read, trying on", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        self._board.begin(topic_id, ends)
        self._follower.follow(dict(enumerate(ends)))
        log.info("displays are up to date", records=count, seconds=round(time.perf_counter() - began, 3))

    async def _look(self) -> None:
        """See whether all that stands in the log was read; one that ends before what was read is another one."""
        before = list(self._board.next)
        try:
            ends = [await self._reader.end(KITCHEN_CHANGELOG, partition) for partition in self._partitions]
        except UnavailableError:
            is_behind = True
        else:
            is_short = self._is_short(before, ends)
            await asyncio.sleep(LOOK_SECONDS)  # what came just now is on its way
            is_behind = is_short or any(read < end for read, end in zip(self._board.next, ends, strict=True))
        if not is_behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()

    def _is_short(self, read: Sequence[int], ends: Sequence[int]) -> bool:
        """Whether the log ends before what was read of it: nothing more would ever come then, and nobody would know."""
        short = [place for place in zip(self._partitions, read, ends, strict=True) if place[2] < place[1]]
        self._short = self._short + 1 if short else 0
        if self._short >= SHORT_LOOKS:
            partition, offset, end = short[0]
            self._fatal(
                f"{KITCHEN_CHANGELOG}/{partition} ends at offset {end}, but was read up to {offset}: the topic was "
                "made anew or lost data. The worker reads it from its beginning; orders that it lacks are on no display"
            )
        return bool(short)

    def _arrived(self, partition: int, records: Sequence[Followed]) -> None:
        for record in records:
            self._take(partition, record.offset, record.key or b"", record.value)
        self._board.ring()

    def _take(self, partition: int, offset: int, key: bytes, value: bytes | None, *, is_recent: bool = True) -> None:
        try:
            self._board.take(partition, offset, key, value, is_recent=is_recent)
        except BadRowError as error:
            self._fatal(f"record {offset} of {KITCHEN_CHANGELOG}/{partition} cannot be read: {error}.")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(f"the kitchen's changelog can no longer be followed: {error!r}")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._follower.stop()


def _topic_id(settings: Settings) -> str:
    """What tells the changelog from one of the same name that was deleted.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    admin = AdminClient(link_config(settings, "bistro92-kitchen-log"))
    try:
        described = admin.describe_topics(TopicCollection([KITCHEN_CHANGELOG]), request_timeout=ID_SECONDS)
        found = described[KITCHEN_CHANGELOG].result(ID_SECONDS)
    except (KafkaException, TimeoutError) as error:
        raise UnavailableError(f"{KITCHEN_CHANGELOG} cannot be described: {error}") from error
    plain = "".join(letter for letter in str(found.topic_id) if letter.isalnum())
    return plain[:ID_LENGTH]
