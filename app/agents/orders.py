"""The agent of the orders service: decides what becomes of each command, from its table's row alone."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable
from typing import Any, assert_never

import structlog

from app import messages
from app.agents.partition import Lanes, Partition
from app.domain import decide as rules
from app.domain.decide import At
from app.domain.ids import id_hash, is_table
from app.domain.row import Row
from app.messages import (
    Answer,
    Asked,
    BadMessageError,
    CloseSession,
    Command,
    NewerSchemaError,
    NoteCancelled,
    Nothing,
    OpenSession,
    PlaceOrder,
    SessionClosed,
    SessionOpened,
)
from app.ports import (
    NO_JOURNAL,
    SAMPLED,
    UNWATCHED,
    Answers,
    DeadLetters,
    Fatal,
    Journal,
    LogReader,
    LogWriter,
    OrderWatch,
    UnavailableError,
)
from app.tables.patience import tried_until_there
from app.tables.rows import ChunkTable, RowTable
from app.topics import ORDER_COMMANDS, ORDER_EVENTS, ORDER_IDS_CHANGELOG, TABLES_CHANGELOG

log = structlog.get_logger(__name__)


class OrdersAgent:
    """Owns the tables of the partitions that are assigned to this worker."""

    def __init__(
        self,
        rows: RowTable,
        chunks: ChunkTable,
        writer: LogWriter,
        reader: LogReader,
        answers: Answers,
        dead_letters: DeadLetters,
        fatal: Fatal,
        done: Callable[[int, int], None],
        max_in_flight: int,
        partition_of: Callable[[str], int],
        watch: OrderWatch = UNWATCHED,
        journal: Journal = NO_JOURNAL,
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self._leaving: list[Partition] = []
        self._assignment = 0  # counts them
        self._rows = rows
        self._chunks = chunks
        self._writer = writer
        self._reader = reader
        self._answers = answers
        self._dead_letters = dead_letters
        self._fatal = fatal
        self._done = done
        self._max_in_flight = max_in_flight
        self._partition_of = partition_of
        self._watch = watch
        self._journal = journal
        self._progress = asyncio.Event()
        writer.on_delivered(self._on_delivered)

    @property
    def in_flight(self) -> int:
        """Commands that were decided on and wait for Kafka."""
        return sum(partition.in_flight for partition in (*self.partitions.values(), *self._leaving))

    # ── which partitions ──────────────────────────────────────────────────────────────────────────────────────────────

    async def take_over(self, mine: set[int]) -> bool:
        """Begin with these partitions, whose rows and order ids have been read from the changelogs.

        Returns False where they were assigned anew in between.
        """
        self.give_up()
        assignment = self._assignment
        for number in sorted(mine):
            await self._check_end(number)
            if self._assignment != assignment:
                return False
            # As far as recovery has read, and not the end now: what a stranger writes in between is looked at, too.
            read_up_to = self._rows.read_up_to(number)
            lanes = Lanes(
                self._writer.lane(TABLES_CHANGELOG, number),
                self._writer.lane(ORDER_IDS_CHANGELOG, number),
                self._writer.lane(ORDER_EVENTS, number),
            )
            lanes.rows.read_up_to(read_up_to)
            lanes.ids.read_up_to(self._chunks.read_up_to(number))
            rows, chunks = self._rows.rows(number), self._chunks.chunks(number)
            partition = Partition(number, rows, chunks, lanes, self._answers, self._done, self._watch)
            for table in sorted(self._rows.stale.pop(number, ())):
                partition.write_row(table, partition.row(table))  # a stranger's row came last: say ours again
            for table, row in partition.rows.items():
                partition.send_missing_chunks(table, row)
            self.partitions[number] = partition
            log.info("partition taken over", partition=number, tables=len(partition.rows), read_up_to=read_up_to)
        return True

    def give_up(self) -> None:
        """The partitions are assigned anew: what was decided is still answered, but no longer acked."""
        self._assignment += 1
        for partition in self.partitions.values():
            partition.revoked = True
            if partition.in_flight:
                self._leaving.append(partition)
        self.partitions = {}
        self._progress.set()

    async def repair(self) -> None:
        """Say again the rows that a stalled worker, waking up, wrote over with older ones.

        Recovery would not be misled, since it keeps the row of the later command, but compaction keeps the last record.
        Called every few seconds: well within the time before which nothing is compacted.
        """
        for partition in list(self.partitions.values()):
            lane = partition.lanes.rows
            end = await self._reader.end(TABLES_CHANGELOG, partition.number)
            gaps = lane.strangers(end)
            try:
                for start, stop in gaps:
                    await self._say_again(partition, start, stop)
            except UnavailableError:
                lane.look_again(gaps)
                raise

    async def _say_again(self, partition: Partition, start: int, stop: int) -> None:
        records = await self._reader.read(TABLES_CHANGELOG, partition.number, start, stop)
        tables = {record.key.decode() for record in records} & partition.rows.keys()
        if tables and not partition.revoked:
            log.warning("a stranger wrote rows", partition=partition.number, tables=sorted(tables)[:20])
            for table in tables:
                partition.write_row(table, partition.row(table))

    def forget_old_chunks(self) -> None:
        """Delete the order ids that no command can ask for any more."""
        for partition in self.partitions.values():
            partition.forget_old_chunks()

    async def _check_end(self, number: int) -> None:
        """A log that ends before a row's offset would give new commands offsets that count as read."""
        last = max((row.offset for row in self._rows.rows(number).values()), default=-1)
        end = await tried_until_there(lambda: self._reader.end(ORDER_COMMANDS, number))
        if end <= last:
            self._fatal(
                f"{ORDER_COMMANDS}/{number} ends at offset {end}, but a table's row is from offset {last}: the topic "
                "was made anew or lost data, and new orders would be taken for ones already read. Restore the topic, "
                "or raise its end above that offset with `python -m app repair`, then start again."
            )

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, stream: Any) -> None:
        """Take each command as it comes, one event for what a fetch brought; whatever goes wrong ends the process."""
        try:
            # noack: Faust acknowledges the event at which an agent fails; can go when it does not.
            await self._run(stream.noack().events())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the agent failed")
            self._fatal(f"the orders agent failed: {error!r}")

    async def _run(self, events: AsyncIterable[Any]) -> None:
        async for event in events:
            partition = self.partitions.get(event.message.partition)
            if partition is None:
                continue  # of an assignment that has ended: it is read again, here or elsewhere
            for record in event.value:
                while partition.in_flight >= self._max_in_flight and not partition.revoked:
                    await self._wait_for_progress()
                if partition.revoked:
                    break
                await self._take(partition, record)
            partition.advance()

    async def _take(self, partition: Partition, record: Any) -> None:
        at = At(record.offset, record.timestamp)
        try:
            command = self._decode(partition, record)
        except NewerSchemaError as error:
            self._fatal(f"{ORDER_COMMANDS}/{partition.number} offset {at.offset}: {error}")
        except BadMessageError as error:
            await self._dead_letters.put(record, str(error))
            partition.complete_later(at, "", None)
            return
        if isinstance(command, PlaceOrder):
            answer = self._place_and_queue(partition, command, at)
            self._journal.decided(command, partition.number, at.offset, answer.outcome, answer.version)
        elif isinstance(command, OpenSession):
            partition.complete_later(at, command.reply_to, await self._open(partition, command, at))
        elif isinstance(command, CloseSession):
            partition.complete_later(at, command.reply_to, self._close(partition, command, at))
        elif isinstance(command, NoteCancelled):
            self._cancel(partition, command, at)
            partition.complete_later(at, "", None)
        else:
            partition.complete_later(at, "", None)

    def _decode(self, partition: Partition, record: Any) -> Command:
        command = messages.decode_command(record.value)
        if not isinstance(command, Nothing):  # which has no table
            messages.check_key(command, record.key)
            if command.table not in partition.rows:
                self._check_table(partition, command)
        return command

    def _check_table(self, partition: Partition, command: Asked | NoteCancelled) -> None:
        """No table gets its first row where another worker may own it: it would have two logs."""
        if not is_table(command.table):
            raise BadMessageError(f"{command.table!r} is no table number")
        home = self._partition_of(command.table)
        if home != partition.number:
            raise BadMessageError(f"table {command.table} belongs to partition {home}, not to {partition.number}")

    # ── what each decision leads to ───────────────────────────────────────────────────────────────────────────────────

    def _place(self, partition: Partition, command: PlaceOrder, at: At) -> Answer:
        table = command.table
        row = partition.row(table)
        chunks = partition.chunks_for(table, command.session, id_hash(command.order_id))
        decision = rules.decide(row, chunks, command, at)
        request = command.request_id
        match decision:
            case rules.Accepted(after, found_at):
                after = partition.without_moved_ids(table, after)
                partition.write_row(table, after)
                partition.write_event(table, messages.order_placed(command, found_at + 1, at.offset, at.time))
                partition.send_missing_chunks(table, after)
                return Answer(request, "accepted", found_at + 1)
            case rules.Replayed(found_at):
                return Answer(request, "replayed", found_at + 1)
            case rules.VersionConflict(current):
                return Answer(request, "version_conflict", current)
            case rules.InvalidItem(reason):
                return Answer(request, "invalid_item", detail=reason)
            case rules.IdReused():
                return Answer(request, "id_reused")
            case rules.SessionClosed():
                return Answer(request, "session_closed", session=row.session, is_open=row.is_open)
            case rules.RefusedBefore():
                return Answer(request, "unknown")
            case _:
                assert_never(decision)

    def _place_and_queue(self, partition: Partition, command: PlaceOrder, at: At) -> Answer:
        """Decide and queue the answer; one in SAMPLED is timed."""
        if at.offset % SAMPLED:
            answer = self._place(partition, command, at)
            partition.complete_later(at, command.reply_to, answer)
            return answer
        self._watch.took("log", max(0.0, time.time() - at.time / 1000))
        taken = time.perf_counter()
        answer = self._place(partition, command, at)
        decided = time.perf_counter()
        self._watch.took("decision", decided - taken)
        partition.complete_later(at, command.reply_to, answer, decided)
        return answer

    async def _open(self, partition: Partition, command: OpenSession, at: At) -> Answer:
        table = command.table
        before = partition.row(table)
        decision = rules.decide_open(before, command, at)
        if isinstance(decision, rules.SessionUnchanged):
            return _session_answer(command, "unchanged", decision.row)
        if not decision.again:
            # The new session's row no longer holds the old one's order ids: they must stand elsewhere first.
            while partition.chunks_under_way(table, before.session):
                await self._wait_for_progress()
                if partition.revoked:
                    return Answer(command.request_id, "unknown")  # the next owner reads the command again
        partition.write_row(table, decision.row)
        partition.write_event(table, SessionOpened(table, decision.session, at.time))
        return _session_answer(command, "opened", decision.row)

    def _close(self, partition: Partition, command: CloseSession, at: At) -> Answer:
        table = command.table
        decision = rules.decide_close(partition.row(table), command, at)
        if isinstance(decision, rules.SessionUnchanged):
            return _session_answer(command, "unchanged", decision.row)
        partition.write_row(table, decision.row)
        partition.write_event(table, SessionClosed(table, decision.session, at.time))
        partition.send_missing_chunks(table, decision.row)
        return _session_answer(command, "closed", decision.row)

    def _cancel(self, partition: Partition, command: NoteCancelled, at: At) -> None:
        """Nobody waits: who asked had an answer from the kitchen."""
        table = command.table
        decision = rules.decide_cancelled(partition.row(table), command, at)
        if isinstance(decision, rules.NothingCancelled):
            log.warning("there is no such order to cancel", order_id=command.order_id, table=table, offset=at.offset)
            return
        partition.write_row(table, decision.row)
        partition.write_event(table, messages.order_cancelled(command))

    # ── acknowledgements ──────────────────────────────────────────────────────────────────────────────────────────────

    def _on_delivered(self) -> None:
        for partition in self.partitions.values():
            partition.advance()
        if self._leaving:
            for partition in self._leaving:
                partition.advance()
            self._leaving = [partition for partition in self._leaving if partition.in_flight]
        self._progress.set()

    async def _wait_for_progress(self) -> None:
        self._progress.clear()
        await self._progress.wait()


def _session_answer(command: OpenSession | CloseSession, outcome: Any, row: Row) -> Answer:
    return Answer(command.request_id, outcome, row.version, row.session, row.is_open)
