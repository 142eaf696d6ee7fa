"""Recovery of the tables: the changelog is read by us, in batches; Faust's own recovery reads what came after.

Faust takes two tasks for each record: fifty thousand, which are the orders of some minutes, would hold a table up for
many seconds after its owner died. Read in batches they take less than one. All else of Faust's recovery stays: when it
begins, what it waits for, and that no command is read before it has ended.
"""

from typing import Any

import structlog
from faust.tables.recovery import Recovery

from app.ports import LogReader
from app.topics import TABLES_CHANGELOG

log = structlog.get_logger(__name__)


class BatchRecovery(Recovery):  # type: ignore[misc]
    """Faust's recovery, with the tables brought up to the present in batches before it looks what is left to read."""

    def __init__(self, app: Any, reader: LogReader) -> None:
        super().__init__(app, app.tables, beacon=app.tables.beacon)
        self._reader = reader

    async def _build_offsets(self, consumer: Any, tps: set[Any], destination: Any, title: str) -> None:
        await super()._build_offsets(consumer, tps, destination, title)
        if title != "active":
            return
        # Rows first: ids that have left a row stand in their chunk by then, so whoever reads the chunks later finds
        # them. The other way round, a row that drops ids between the two reads would come without them.
        for tp in sorted(tps, key=lambda tp: (tp.topic != TABLES_CHANGELOG, tp)):
            read = await self._catch_up(self.tp_to_table[tp], tp)
            destination[tp] = max(destination[tp], read - 1)

    async def _catch_up(self, table: Any, tp: Any) -> int:
        """Read the partition's changelog from where the table has come to; returns the offset to go on at."""
        start = table.positions.get(tp.partition, 0)
        end = await self._reader.end(tp.topic, tp.partition)
        if start < end:
            async for records in self._reader.batches(tp.topic, tp.partition, start, end):
                table.apply_records(tp.partition, records)
            table.positions[tp.partition] = end
            log.info("changelog read", topic=tp.topic, partition=tp.partition, records=end - start)
        return end
