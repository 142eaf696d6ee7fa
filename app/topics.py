"""Every topic: its name, key, one writer, its readers, partitions and retention.

All topics keyed by table have the same number of partitions and the same partitioner (Kafka's murmur2), so that a
table's commands, row, order ids and events live in the partition of one number and with one owner.
"""

from dataclasses import dataclass, field

from app.settings import Settings

DAY_MS = 86_400_000

ORDER_COMMANDS = "order-commands"
ORDER_EVENTS = "order-events"
DEAD_LETTERS = "dead-letters"

# Faust names a table's changelog `{app id}-{table}-changelog`.
ORDERS_APP = "orders"
LEDGER_APP = "ledger"
TABLES = "tables"
ORDER_IDS = "order-ids"
TABLES_CHANGELOG = f"{ORDERS_APP}-{TABLES}-changelog"
ORDER_IDS_CHANGELOG = f"{ORDERS_APP}-{ORDER_IDS}-changelog"


@dataclass(frozen=True)
class Topic:
    """One topic as it is made: `retention_ms` None for a changelog, which is compacted and never deleted from."""

    name: str
    key: str
    writer: str
    readers: tuple[str, ...]
    partitions: int
    retention_ms: int | None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings for this topic."""
        common = {"message.timestamp.type": "LogAppendTime", **self.extra}
        if self.retention_ms is None:
            return {"cleanup.policy": "compact", **COMPACTION, **common}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), **common}


# A row that a stalled worker wrote late is repaired within seconds; compaction must not drop the row it hides before.
# Segments are closed early, since Kafka compacts closed segments only and recovery reads what is left.
COMPACTION = {
    "min.compaction.lag.ms": str(10 * 60_000),
    "max.compaction.lag.ms": str(20 * 60_000),
    "min.cleanable.dirty.ratio": "0.1",
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": str(10 * 60_000),
    "delete.retention.ms": str(DAY_MS),
}


def all_topics(settings: Settings) -> list[Topic]:
    """Every topic of the deployment, as it is to be made."""
    partitions = settings.kafka.partitions
    commands = int(settings.kafka.command_days * DAY_MS)
    events = int(settings.kafka.event_days * DAY_MS)
    return [
        Topic(ORDER_COMMANDS, "table number", "orders views, token command", ("orders",), partitions, commands),
        Topic(ORDER_EVENTS, "table number", "orders agent", ("ledger", "kitchen", "payments"), partitions, events),
        Topic(TABLES_CHANGELOG, "table number", "orders agent", ("orders",), partitions, None),
        Topic(ORDER_IDS_CHANGELOG, "table number, session, chunk", "orders agent", ("orders",), partitions, None),
        Topic(DEAD_LETTERS, "topic and partition", "every agent", ("operator",), 1, events),
    ]
