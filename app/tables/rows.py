"""The tables' rows: changelog-backed state of the orders service, keyed by table number.

A Faust table whose changelog is read by Faust's recovery. Three things differ from Faust's own: rows are kept by the
offset of the last command that changed them and not by their place in the changelog; a write goes through a lane, whose
acknowledgement the agent waits for; and rows are held by partition, so that a partition that left is forgotten whole.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from faust.tables.table import Table
from faust.types import TP

from app.domain.row import BadRowError, Chunk, Row, row_offset, split_chunk_key
from app.ports import Fatal, Record
from app.tables.session_ids import SessionIds

Recovered = Callable[[set[int]], Awaitable[None]]


class ChangelogTable(Table):  # type: ignore[misc]
    """A table of raw bytes whose records are applied by a subclass, one by one.

    `on_recovered` is awaited with this worker's partitions after each recovery, before any command is read.
    """

    def __init__(self, app: Any, *, name: str, partitions: int, fatal: Fatal, **kwargs: Any) -> None:
        super().__init__(app, name=name, partitions=partitions, key_type=bytes, value_type=bytes, **kwargs)
        self.fatal = fatal
        self.recovered: Recovered | None = None
        self.applied = 0  # records of the changelog read so far, of all partitions
        self.positions: dict[int, int] = {}  # partition -> the offset in the changelog to read on at

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take in one record of the changelog; raises BadRowError."""
        raise NotImplementedError

    def keep_only(self, partitions: set[int]) -> None:
        """Forget the partitions that this worker no longer owns."""
        raise NotImplementedError

    def read_up_to(self, partition: int) -> int:
        """The offset in the changelog after the last record that recovery has read."""
        last = self.app.tables.recovery.active_offsets.get(TP(self.changelog_topic_name, partition))
        return 0 if last is None else int(last) + 1

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take in what Faust's recovery read."""
        for event in batch:
            message = event.message
            self._apply(message.partition, message.offset, message.key, message.value)

    def reading(self, partition: int) -> "Reading":
        """Our own recovery begins to read a partition's changelog."""
        return Reading(self, partition)

    def _apply(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        self.applied += 1
        try:
            self.apply(partition, key, value)
        except BadRowError as error:
            self.unreadable(partition, offset, error)

    def unreadable(self, partition: int, offset: int, error: BadRowError) -> NoReturn:
        """End the worker: Faust would go on without the row, and the table's guests would start from version 0.

        Can go when Faust crashes on what it cannot apply.
        """
        self.fatal(f"record {offset} of {self.changelog_topic_name}/{partition} cannot be read: {error}.")

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:
        """Forget what left, and say that the rest is up to date."""
        del standby_tps
        recovery = self.app.tables.recovery
        if recovery.signal_recovery_start.is_set():
            # A rebalance came while the changelog was read. Faust takes that for the end of recovery, calls here with
            # half the rows, and only then begins anew: the next call counts. Can go when Faust calls once, at the end.
            return
        behind = [tp for tp in active_tps if not _is_read(recovery, tp)]
        if behind:
            self.fatal(f"recovery ended before {behind} were read to their ends")
        mine = {tp.partition for tp in active_tps}
        self.keep_only(mine)
        self.positions = {partition: self.positions[partition] for partition in mine & self.positions.keys()}
        if self.recovered is not None:
            try:
                await self.recovered(mine)
            except Exception as error:  # noqa: BLE001 - Faust drops it, and would read on; can go when it crashes
                self.fatal(f"partitions {sorted(mine)} could not be taken over: {error!r}")


def _is_read(recovery: Any, tp: TP) -> bool:
    read, last = recovery.active_offsets.get(tp), recovery.active_highwaters.get(tp)
    return read is not None and last is not None and read >= last


class Reading:
    """A changelog's partition while it is read from where the table has come to."""

    def __init__(self, table: ChangelogTable, partition: int) -> None:
        self.table = table
        self.partition = partition

    def take(self, records: Iterable[Record]) -> None:
        """Take in the next records."""
        offset = -1
        try:
            for record in records:
                offset = record.offset
                self.table.apply(self.partition, record.key, record.value)
        except BadRowError as error:
            self.table.unreadable(self.partition, offset, error)

    def end(self) -> None:
        """All has been read."""


@dataclass(slots=True)
class _Newest:
    """A table's newest row among the records read so far; `is_last`: no older one came after it."""

    row_offset: int
    record: Record
    is_last: bool = True


class RowReading(Reading):
    """Rows are written with every order, and all but the newest are read in vain: only that one is decoded, at the end.

    Leaves the table as if each record had been applied.
    """

    def __init__(self, table: "RowTable", partition: int) -> None:
        super().__init__(table, partition)
        self._stale = table.stale.setdefault(partition, set())
        self._newest: dict[bytes, _Newest] = {}

    def take(self, records: Iterable[Record]) -> None:
        """Take in the next records."""
        record = None
        try:
            for record in records:
                if record.value is None:
                    continue  # rows are never deleted: a tombstone is not ours
                offset = row_offset(record.value)
                newest = self._newest.get(record.key)
                if newest is None:
                    self._newest[record.key] = _Newest(offset, record)
                elif offset >= newest.row_offset:
                    newest.row_offset, newest.record, newest.is_last = offset, record, True
                else:
                    newest.is_last = False
        except BadRowError as error:
            self.table.unreadable(self.partition, record.offset if record else -1, error)

    def end(self) -> None:
        """All has been read: the newest rows are the table's."""
        super().take(newest.record for newest in self._newest.values())
        self._stale.update(key.decode() for key, newest in self._newest.items() if not newest.is_last)


class RowTable(ChangelogTable):
    """Rows by partition and table number; `stale`: tables whose last record in the changelog is not their newest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partitions_rows: dict[int, dict[str, Row]] = {}
        self.stale: dict[int, set[str]] = {}

    def rows(self, partition: int) -> dict[str, Row]:
        """The rows of a partition, by table number."""
        return self.partitions_rows.setdefault(partition, {})

    def reading(self, partition: int) -> RowReading:
        """Our own recovery begins to read a partition's changelog."""
        return RowReading(self, partition)

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Keep the row of the later command, whatever the order of the records."""
        if value is None:
            return  # rows are never deleted: a tombstone is not ours
        table = key.decode()
        row = Row.decode(value)
        rows = self.rows(partition)
        mine = rows.get(table)
        stale = self.stale.setdefault(partition, set())
        if mine is None or row.offset >= mine.offset:
            rows[table] = row
            stale.discard(table)
        else:
            stale.add(table)

    def keep_only(self, partitions: set[int]) -> None:
        """Forget the partitions that this worker no longer owns."""
        for partition in self.partitions_rows.keys() - partitions:
            del self.partitions_rows[partition]
            self.stale.pop(partition, None)


Chunks = dict[tuple[str, int], SessionIds]  # by table number and session


def put_chunk(chunks: Chunks, table: str, session: int, chunk: Chunk) -> None:
    """Keep a chunk under its number."""
    ids = chunks.get((table, session))
    if ids is None:
        ids = chunks[table, session] = SessionIds()
    ids.put(chunk)


def remove_chunk(chunks: Chunks, table: str, session: int, number: int) -> None:
    """Take out a chunk."""
    ids = chunks.get((table, session))
    if ids is not None:
        ids.remove(number)
        if not ids:
            del chunks[table, session]


class ChunkTable(ChangelogTable):
    """Chunks of order ids by partition, and in it by table number and session, that Kafka has acknowledged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partitions_chunks: dict[int, Chunks] = {}

    def chunks(self, partition: int) -> Chunks:
        """The chunks of a partition, by table number and session."""
        return self.partitions_chunks.setdefault(partition, {})

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Keep a chunk under its number; a tombstone takes it out."""
        table, session, number = split_chunk_key(key)
        if value is None:
            remove_chunk(self.chunks(partition), table, session, number)
        else:
            put_chunk(self.chunks(partition), table, session, Chunk.decode(number, value))

    def keep_only(self, partitions: set[int]) -> None:
        """Forget the partitions that this worker no longer owns."""
        for partition in self.partitions_chunks.keys() - partitions:
            del self.partitions_chunks[partition]
