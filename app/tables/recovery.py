"""Recovery of the tables: the changelog is read by us, in batches; Faust's own recovery reads what came after.

Faust takes two tasks for each record: fifty thousand, which are the orders of some minutes, would hold a table up for
many seconds after its owner died. Read in batches they take less than one. All else of Faust's recovery stays: when it
begins, what it waits for, and that no command is read before it has ended. Can go when Faust reads as fast, rows first.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import structlog
from faust.tables.recovery import Recovery

from app.ports import LogReader
from app.tables.patience import tried_until_there
from app.topics import TABLES_CHANGELOG

log = structlog.get_logger(__name__)


class BatchRecovery(Recovery):  # type: ignore[misc]
    """Faust's recovery, with the tables brought up to the present in batches before it looks what is left to read."""

    def __init__(self, app: Any, reader: LogReader, known: Callable[[str, int], int]) -> None:
        """`known`: the offset of a topic's partition before which all was written by this process or read by it."""
        super().__init__(app, app.tables, beacon=app.tables.beacon)
        self._reader = reader
        self._known = known

    async def _build_offsets(self, consumer: Any, tps: set[Any], destination: Any, title: str) -> None:
        await super()._build_offsets(consumer, tps, destination, title)
        if title != "active":
            return
        # Rows first: ids that have left a row stand in their chunk by then, so whoever reads the chunks later finds
        # them. The other way round, a row that drops ids between the two reads would come without them.
        for topic in sorted({tp.topic for tp in tps}, key=lambda topic: (topic != TABLES_CHANGELOG, topic)):
            mine = sorted(tp for tp in tps if tp.topic == topic)
            ends = await self._catch_up(self.tp_to_table[mine[0]], topic, [tp.partition for tp in mine])
            for tp in mine:
                destination[tp] = max(destination[tp], ends[tp.partition] - 1)

    async def _catch_up(self, table: Any, topic: str, partitions: list[int]) -> dict[int, int]:
        """Read the partitions' changelog from where the table has come to; returns the offsets to go on at.

        A partition that stays with its owner is read on behind what that one wrote itself.
        """
        began, before = perf_counter(), table.applied
        places = {
            partition: max(table.positions[partition], self._known(topic, partition))
            if partition in table.positions
            else 0
            for partition in partitions
        }
        readings = {partition: table.reading(partition) for partition in partitions}
        ends = await tried_until_there(lambda: self._read_on(table, topic, places, readings))
        if count := table.applied - before:
            for reading in readings.values():
                reading.end()
            seconds = round(perf_counter() - began, 3)
            log.info("changelog read", topic=topic, partitions=partitions, records=count, seconds=seconds)
        table.positions.update(ends)
        return ends

    async def _read_on(
        self, table: Any, topic: str, places: dict[int, int], readings: Mapping[int, Any]
    ) -> dict[int, int]:
        """Read up to where the partitions end now; `places` moves on with what was read, also where that breaks off."""
        ends = {partition: await self._reader.end(topic, partition) for partition in places}
        spans = {partition: range(place, ends[partition]) for partition, place in places.items()}
        if any(spans.values()):
            async for partition, records in self._reader.batches(topic, spans):
                readings[partition].take(records)
                places[partition] = records[-1].offset + 1
                table.applied += len(records)  # seen by the watchdog: a long recovery is no hang
        return ends
