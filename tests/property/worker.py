"""A worker of the model: the protocol of the orders agent around the real decision, rows and chunks."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from app.domain import row as rows_of
from app.domain.decide import (
    REPLAY_MS,
    Accepted,
    At,
    CancelDecision,
    Cancelled,
    IdReused,
    InvalidItem,
    OrderDecision,
    RefusedBefore,
    Replayed,
    SessionChanged,
    SessionClosed,
    VersionConflict,
    decide,
    decide_cancelled,
    decide_close,
    decide_open,
    is_outlived,
)
from app.domain.ids import id_hash
from app.domain.row import NO_ROW, Chunk, Row, chunk_key, split_chunk_key
from app.messages import Event, NoteCancelled, OpenSession, OrderPlaced, PlaceOrder, SessionOpened, order_cancelled
from app.messages import SessionClosed as SessionClosedEvent
from tests.property.lane import Lane
from tests.property.rules import Rules

if TYPE_CHECKING:
    from tests.property.log_model import World
    from tests.property.promises import Record

START = At(-1, 0)
OVERLOADED = 4  # decisions in flight from which a worker without the rule skips


@dataclass
class Entry:
    """A decided command: complete when its lanes have come so far."""

    record: "Record"
    epoch: int
    rows: int
    events: int
    kind: str  # of the answer; empty: none is given
    version: int = 0


@dataclass
class Worker:
    """Owns the partition, or believes so."""

    name: str
    world: "World"
    rules: Rules
    rows: dict[str, Row] = field(default_factory=dict)
    chunks: dict[tuple[str, int], dict[int, Chunk]] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=lambda: {name: Lane() for name in ("rows", "ids", "events")})
    entries: deque[Entry] = field(default_factory=deque)
    sent_chunks: deque[tuple[int, str, int, Chunk]] = field(default_factory=deque)
    sent_keys: set[tuple[str, int, int]] = field(default_factory=set)
    epoch: int = 0
    position: int = 0  # the next command to decide
    completed: int = 0  # everything below may be committed
    limit: int | None = None  # a zombie decides what it had fetched, and no more
    to_recover: list[str] = field(default_factory=list)
    checked: int = 0  # changelog records up to here were looked at
    decided: At = START
    acked: At = START

    def take_over(self) -> None:
        """Begin at the last commit; what is in memory from an earlier time stays."""
        self.epoch += 1
        self.limit = None
        self.position = self.completed = self.world.committed
        self.to_recover = ["rows", "ids"] if self.rules.ids_recovered_after_rows else ["ids", "rows"]

    def purge(self) -> None:
        """Forget what was handed to the producer and has not arrived; what has is heard of before."""
        for lane in self.lanes.values():
            lane.acknowledge(1 << 30)
        self.advance()
        for lane in self.lanes.values():
            lane.queue.clear()
            lane.sent = lane.delivered
        self.entries.clear()
        self.sent_chunks.clear()
        self.sent_keys.clear()

    @property
    def is_ready(self) -> bool:
        """Whether recovery is over."""
        return not self.to_recover

    def recover_next(self) -> None:
        """Read one changelog to its present end."""
        match self.to_recover.pop(0):
            case "rows":
                self._recover_rows()
            case "ids":
                self._recover_ids()
        if self.is_ready:
            for table, row in self.rows.items():
                self.send_missing_chunks(table, row)
            now = At(len(self.world.log), self.world.now)
            self.world.promises.check_recovered(self, self.world.committed, now)

    def _recover_rows(self) -> None:
        last: dict[str, Row] = {}
        for written in self.world.rows.since(self.lanes["rows"].known):
            table, row = written.key.decode(), Row.decode(written.value or b"")
            last[table] = row
            self.rows[table] = self._newer(self.rows.get(table), row)
        self.checked = self.lanes["rows"].known = self.world.rows.end
        for table, row in last.items():
            if self.rules.strangers_are_repaired and row.offset < self.rows[table].offset:
                self.send_row(table, self.rows[table])

    def _newer(self, mine: Row | None, other: Row) -> Row:
        if self.rules.rows_by_offset:
            return rows_of.newer(mine, other)
        return other if mine is None or (other.session, other.version) >= (mine.session, mine.version) else mine

    def _recover_ids(self) -> None:
        for written in self.world.ids.since(self.lanes["ids"].known):
            table, session, number = split_chunk_key(written.key)
            of_session = self.chunks.setdefault((table, session), {})
            of_session.pop(number, None)
            if written.value is not None:
                of_session[number] = Chunk.decode(number, written.value)
        self.lanes["ids"].known = self.world.ids.end

    # Strangers

    def check_strangers(self) -> None:
        """Look at the changelog's records since the last look: a row behind one's own is written again."""
        if not self.rules.strangers_are_repaired:
            return
        records = self.world.rows.since(self.checked)
        self.checked = self.world.rows.end
        if not self.rules.strangers_found_between_own_rows and records and records[-1].by == self.name:
            return  # the changelog's end is one's own last row: nothing seems to be there
        strangers = [written for written in records if written.by != self.name]
        if not self.rules.strangers_are_not_adopted:
            for written in strangers:
                table, row = written.key.decode(), Row.decode(written.value or b"")
                self.rows[table] = self._newer(self.rows.get(table), row)
        for table in {written.key.decode() for written in strangers} & self.rows.keys():
            self.send_row(table, self.rows[table])

    # Sending

    def row(self, table: str) -> Row:
        """How the table stands in memory."""
        return self.rows.get(table, NO_ROW)

    def send_row(self, table: str, row: Row) -> None:
        """Keep and send a row."""
        self.rows[table] = row
        self.lanes["rows"].send((table.encode(), row.encode()))

    def send_missing_chunks(self, table: str, row: Row) -> None:
        """Send the chunks of the row that are full, or the last of a closed session, unless they stand or are sent."""
        for number, ids in self._chunks_of(row):
            key = (table, row.session, number)
            if number not in self.chunks.get((table, row.session), {}) and key not in self.sent_keys:
                chunk = Chunk(number, row.time, ids)
                self.lanes["ids"].send((chunk_key(*key), chunk.encode()))
                self.sent_keys.add(key)
                self.sent_chunks.append((self.lanes["ids"].sent, table, row.session, chunk))

    def _chunks_of(self, row: Row) -> Iterable[tuple[int, bytes]]:
        yield from row.full_chunks()
        if not row.is_open and (last := row.last_chunk()) is not None:
            yield last

    def _without_moved(self, table: str, row: Row) -> Row:
        moved = self.chunks.get((table, row.session), {})
        for number, _ in list(row.full_chunks()):
            if number not in moved and self.rules.chunk_before_row:
                break
            row = row.without_chunk()
        return row

    # Deciding

    def decide_next(self) -> bool:
        """Decide on the next command; False where there is none, or where it has to wait."""
        end = len(self.world.log) if self.limit is None else self.limit
        if not self.is_ready or self.position >= end:
            return False
        record = self.world.log[self.position]
        if not self.rules.every_command_is_decided and len(self.entries) >= OVERLOADED:
            self._queue(record, writes=False, kind="")
        elif isinstance(record.command, PlaceOrder):
            self._place(record, record.command)
        elif isinstance(record.command, NoteCancelled):
            self._cancel(record, record.command)
        elif not self._change_session(record):
            return False
        self.decided = At(record.offset, max(self.decided.time, record.time))
        self.position += 1
        self.advance()
        return True

    def _place(self, record: "Record", command: PlaceOrder) -> None:
        table, row = command.table, self.row(command.table)
        match self._decide(row, command, At(record.offset, record.time)):
            case Accepted(row=after, version=version, again=again):
                if not again:
                    self.send_missing_chunks(table, after)
                    after = self._without_moved(table, after)
                self.send_row(table, after)
                self._send_event(_placed(record, command, version))
                self._queue(record, writes=True, kind="accepted", version=version)
            case Replayed(version=version):
                self._queue(record, writes=False, kind="replayed", version=version)
            case IdReused():
                self._queue(record, writes=False, kind="reused")
            case SessionClosed():
                self._queue(record, writes=False, kind="closed")
            case InvalidItem():
                self._queue(record, writes=False, kind="invalid")
            case VersionConflict(current=current):
                self._queue(record, writes=False, kind="conflict", version=current)
            case RefusedBefore():
                self._queue(record, writes=False, kind="")

    def _decide(self, row: Row, command: PlaceOrder, at: At) -> OrderDecision:
        """The real decision, unless a rule is off."""
        chunks = list(self.chunks.get((command.table, command.session), {}).values())
        if not self.rules.open_sessions_do_not_expire and command.session == row.session:
            chunks = [chunk for chunk in chunks if at.time - chunk.stamp <= REPLAY_MS]
        if not self.rules.chunk_counts_below_row:
            for chunk in chunks:
                if (known := chunk.find(id_hash(command.order_id))) and row.find(id_hash(command.order_id)) is None:
                    again = at.offset == known.offset
                    return Accepted(row, known.version, again=True) if again else Replayed(known.version)
        decision = decide(row, chunks, command, at)
        if isinstance(decision, RefusedBefore) and not self.rules.refused_stays_refused:
            decision = decide(replace(row, offset=-1), chunks, command, At(1 << 40, at.time))
            if isinstance(decision, Accepted):
                decision = replace(decision, row=replace(decision.row, offset=at.offset))
        if isinstance(decision, Accepted) and decision.again and not self.rules.ids_keep_their_offset:
            return Replayed(decision.version)
        return decision

    def _change_session(self, record: "Record") -> bool:
        command, at = record.command, At(record.offset, record.time)
        assert not isinstance(command, NoteCancelled)
        row = self.row(command.table)
        if isinstance(command, OpenSession):
            decision = decide_open(row, command, at)
        else:
            session = command.session if self.rules.close_names_its_session else row.session
            decision = decide_close(row, msgspec.structs.replace(command, session=session), at)
        if not isinstance(decision, SessionChanged):
            self._queue(record, writes=False, kind="unchanged")
            return True
        if isinstance(command, OpenSession) and not decision.again and not self._has_moved_all(command.table, row):
            return False
        if not decision.again or self.rules.session_rows_again:
            self.send_row(command.table, decision.row)
        if not isinstance(command, OpenSession):
            self.send_missing_chunks(command.table, decision.row)
        if not decision.again or self.rules.session_events_again:
            told = SessionOpened if isinstance(command, OpenSession) else SessionClosedEvent
            self._send_event(told(command.table, decision.session, record.time))
        self._queue(record, writes=True, kind="changed")
        return True

    def _cancel(self, record: "Record", command: NoteCancelled) -> None:
        row = self.row(command.table)
        match self._decide_cancelled(row, command, At(record.offset, record.time)):
            case Cancelled(row=after, again=again):
                if not again or self.rules.cancelled_rows_again:
                    self.send_row(command.table, after)
                is_past = command.session < row.session
                if not again or (self.rules.cancels_outlive_their_session if is_past else self._tells_again(record)):
                    self._send_event(order_cancelled(command))
        self._queue(record, writes=True, kind="")

    def _tells_again(self, record: "Record") -> bool:
        """What is cancelled by a later command has its event from there."""
        return self.rules.cancelled_events_again or record.offset > self.row(record.command.table).offset

    def _decide_cancelled(self, row: Row, command: NoteCancelled, at: At) -> CancelDecision:
        """The real decision, unless a rule is off."""
        if not self.rules.cancelled_once and command.session == row.session and at.offset > row.offset:
            row = replace(row, cancelled=tuple(version for version in row.cancelled if version != command.version))
        return decide_cancelled(row, command, at)

    def _has_moved_all(self, table: str, row: Row) -> bool:
        """Whether the ids that a new session's row drops stand in their chunks; what is missing is sent."""
        self.send_missing_chunks(table, row)
        moved = self.chunks.get((table, row.session), {})
        return not self.rules.open_waits_for_chunks or all(number in moved for number, _ in self._chunks_of(row))

    def _send_event(self, event: Event) -> None:
        self.lanes["events"].send(event)

    def _queue(self, record: "Record", *, writes: bool, kind: str, version: int = 0) -> None:
        entry = Entry(record, self.epoch, self.lanes["rows"].sent, self.lanes["events"].sent, kind, version)
        if not writes and not self.rules.commits_wait and self.limit is None:
            self.completed = max(self.completed, record.offset + 1)
        if not writes and not self.rules.answers_wait:
            self._answer(entry)
            entry.kind = ""
        self.entries.append(entry)

    # Completing

    def advance(self) -> None:
        """Complete from the head what is acknowledged: commit, then answer."""
        rows, ids, events = (self.lanes[name].acked for name in ("rows", "ids", "events"))
        while self.sent_chunks and self.sent_chunks[0][0] <= ids:
            _, table, session, chunk = self.sent_chunks.popleft()
            self.sent_keys.discard((table, session, chunk.number))
            self.chunks.setdefault((table, session), {})[chunk.number] = chunk
        while self.entries and self.entries[0].rows <= rows and self.entries[0].events <= events:
            entry = self.entries.popleft()
            if entry.epoch == self.epoch:
                self.completed = max(self.completed, entry.record.offset + 1)
                self.acked = At(entry.record.offset, max(self.acked.time, entry.record.time))
            self._answer(entry)

    def _answer(self, entry: Entry) -> None:
        if entry.kind:
            self.world.promises.answer(self.name, entry.record, entry.kind, entry.version, self.world.now)

    def forget_chunks(self) -> None:
        """Delete the chunks that no command can ask for any more."""
        acked = self.acked if self.rules.deletion_follows_acks else self.decided
        for (table, session), of_session in self.chunks.items():
            for number, chunk in list(of_session.items()):
                outlived = is_outlived(self.row(table), session, chunk, acked)
                if not self.rules.open_sessions_are_not_deleted:
                    outlived = acked.time - chunk.stamp > REPLAY_MS
                if outlived:
                    del of_session[number]
                    self.lanes["ids"].send((chunk_key(table, session, number), None))


def _placed(record: "Record", command: PlaceOrder, version: int) -> OrderPlaced:
    return OrderPlaced(
        order_id=command.order_id,
        client_order_id=command.client_order_id,
        table=command.table,
        session=command.session,
        version=version + 1,
        lines=command.lines,
        total=command.total,
        currency=command.currency,
        placed_at=record.time,
        offset=record.offset,
    )
