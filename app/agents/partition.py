"""One partition of the orders service at its owner: what it decided, and what Kafka has acknowledged of it."""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from app import messages
from app.domain.decide import At, is_outlived
from app.domain.row import CHUNK_BYTES, CHUNK_IDS, NO_ROW, Chunk, Row, chunk_key
from app.messages import Answer, Event
from app.ports import UNWATCHED, Answers, Lane, OrderWatch
from app.tables.rows import Chunks, put_chunk, remove_chunk
from app.tables.session_ids import NO_IDS


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where a partition's rows, order ids and events are written."""

    rows: Lane
    ids: Lane
    events: Lane


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command that was decided on: it is completed when the lanes have come so far.

    `decided` is when, in s by time.perf_counter; 0 where it is not timed.
    """

    at: At
    rows: int
    ids: int
    events: int
    reply_to: str
    answer: Answer | None
    decided: float


class Partition:
    """The pipeline of one partition: decisions are sent at once and completed in order.

    An answer waits for the acknowledgements of everything that was decided before it, refusals and replays too: each of
    them tells the guest of a row, and a row that Kafka does not have yet may still be lost.
    """

    def __init__(
        self,
        number: int,
        rows: dict[str, Row],
        chunks: Chunks,
        lanes: Lanes,
        answers: Answers,
        done: Callable[[int, int], None],
        watch: OrderWatch = UNWATCHED,
    ) -> None:
        self.number = number
        self.rows = rows
        self.chunks = chunks
        self.lanes = lanes
        self.revoked = False
        self._answers = answers
        self._done = done
        self._watch = watch
        self._acked: At | None = None  # the last command that was completed
        self._queue: deque[_Entry] = deque()
        self._sent_chunks: deque[tuple[int, str, int, Chunk]] = deque()
        self._sent_keys: set[tuple[str, int, int]] = set()

    @property
    def in_flight(self) -> int:
        """Commands that were decided on and wait for Kafka."""
        return len(self._queue)

    def row(self, table: str) -> Row:
        """How the table stands, with all that was decided."""
        return self.rows.get(table, NO_ROW)

    def chunks_for(self, table: str, session: int, id_hash: bytes) -> Collection[Chunk]:
        """The chunks that may hold this order id of the session."""
        ids = self.chunks.get((table, session))
        return ids.that_may_hold(id_hash) if ids else ()

    def write_row(self, table: str, row: Row) -> None:
        """Keep a row and send it."""
        self.rows[table] = row
        self.lanes.rows.send(table.encode(), row.encode())

    def write_event(self, table: str, event: Event) -> None:
        """Send an event."""
        self.lanes.events.send(table.encode(), messages.encode(event))

    def without_moved_ids(self, table: str, row: Row) -> Row:
        """The row without the ids whose chunk Kafka has acknowledged; the others stay in it meanwhile."""
        moved = self.chunks.get((table, row.session), NO_IDS)
        while row.version - row.base >= CHUNK_IDS and row.base // CHUNK_IDS in moved:
            row = row.without_chunk()
        return row

    def send_missing_chunks(self, table: str, row: Row) -> None:
        """Send each chunk of the row that is full, or the last of a closed session, and stands nowhere yet."""
        if row.is_open and len(row.ids) < CHUNK_BYTES:
            return
        present = self.chunks.get((table, row.session), NO_IDS)
        last = None if row.is_open else row.last_chunk()
        for number, ids in (*row.full_chunks(), *((last,) if last else ())):
            if number in present or (table, row.session, number) in self._sent_keys:
                continue
            chunk = Chunk(number, row.time, ids)
            self.lanes.ids.send(chunk_key(table, row.session, number), chunk.encode())
            self._sent_keys.add((table, row.session, number))
            self._sent_chunks.append((self.lanes.ids.sent, table, row.session, chunk))

    def chunks_under_way(self, table: str, session: int) -> bool:
        """Whether order ids of the session were sent that Kafka has not acknowledged yet."""
        return any(key[:2] == (table, session) for key in self._sent_keys)

    def complete_later(self, at: At, reply_to: str, answer: Answer | None, decided: float = 0.0) -> None:
        """Queue a command that was decided on, behind all that was sent so far."""
        lanes = self.lanes
        self._queue.append(
            _Entry(at, lanes.rows.sent, lanes.ids.sent, lanes.events.sent, reply_to, answer, decided),
        )

    def advance(self) -> None:
        """Complete from the head what Kafka has acknowledged: answer in order, and say how far the log is done with."""
        rows, ids, events = self.lanes.rows.acked, self.lanes.ids.acked, self.lanes.events.acked
        while self._sent_chunks and self._sent_chunks[0][0] <= ids:
            _, table, session, chunk = self._sent_chunks.popleft()
            self._sent_keys.discard((table, session, chunk.number))
            put_chunk(self.chunks, table, session, chunk)
        queue, completed = self._queue, None
        while queue:
            head = queue[0]
            if head.rows > rows or head.events > events or head.ids > ids:
                break
            completed = queue.popleft()
            if completed.answer is not None:
                answer = self._timed(completed.answer, completed.decided) if completed.decided else completed.answer
                self._answers.give(completed.reply_to, answer)
        if completed is not None and not self.revoked:
            self._acked = completed.at
            self._done(self.number, completed.at.offset + 1)

    def _timed(self, answer: Answer, decided: float) -> Answer:
        self._watch.took("acknowledgement", time.perf_counter() - decided)
        return msgspec.structs.replace(answer, at=time.time())

    def forget_old_chunks(self) -> int:
        """Delete the chunks that no command can ask for any more; returns how many."""
        if self._acked is None:
            return 0
        old = [
            (table, session, chunk.number)
            for (table, session), chunks in self.chunks.items()
            for chunk in chunks
            if is_outlived(self.row(table), session, chunk, self._acked)
        ]
        for table, session, number in old:
            self.lanes.ids.send(chunk_key(table, session, number), None)
            remove_chunk(self.chunks, table, session, number)
        return len(old)
