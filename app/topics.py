"""Every topic: its name, key, one writer, its readers, partitions and retention.

All topics keyed by table have the same number of partitions and the same partitioner (Kafka's murmur2), so that a
table's commands, row, order ids and events live in the partition of one number and with one owner.
"""

from dataclasses import dataclass, field

from app.settings import Settings

DAY_MS = 86_400_000
SEGMENT_BYTES = 16 * 1024 * 1024

ORDER_COMMANDS = "order-commands"
ORDER_EVENTS = "order-events"
KITCHEN_COMMANDS = "kitchen-commands"
KITCHEN_TICKETS = "kitchen-tickets"
MENU_CHANGES = "menu-changes"
DEAD_LETTERS = "dead-letters"

# Faust names a table's changelog `{app id}-{table}-changelog`.
ORDERS_APP = "orders"
LEDGER_APP = "ledger"
KITCHEN_APP = "kitchen"
TABLES = "tables"
ORDER_IDS = "order-ids"
TABLES_CHANGELOG = f"{ORDERS_APP}-{TABLES}-changelog"
ORDER_IDS_CHANGELOG = f"{ORDERS_APP}-{ORDER_IDS}-changelog"
KITCHEN_ORDERS = "orders"
KITCHEN_CHANGELOG = f"{KITCHEN_APP}-{KITCHEN_ORDERS}-changelog"


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
            return {"cleanup.policy": "compact", **common}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), **common}


def _rows(lag: float) -> dict[str, str]:
    """How the rows' changelog is compacted, `lag` s after a record was written.

    A row that a stalled worker wrote late is repaired within seconds; compaction must not drop the row it hides before.
    Kafka compacts closed segments only, and recovery reads what is left: so they are closed early, and a log that few
    write to is compacted, too.
    """
    return {
        "min.compaction.lag.ms": _ms(lag),
        "max.compaction.lag.ms": _ms(2 * lag),
        "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": str(SEGMENT_BYTES),
        "segment.ms": _ms(lag / 2),
        "delete.retention.ms": str(DAY_MS),
    }


def _chunks(lag: float) -> dict[str, str]:
    """How the order ids' changelog is compacted: each is written once, so there is little to drop but what is deleted.

    With the rows' haste Kafka would copy some days of order ids every few minutes.
    """
    return {
        "min.compaction.lag.ms": _ms(lag),
        "max.compaction.lag.ms": str(max(DAY_MS // 4, int(_ms(lag)))),
        "min.cleanable.dirty.ratio": "0.5",
        "segment.bytes": str(SEGMENT_BYTES),
        "segment.ms": str(DAY_MS // 24),
        "delete.retention.ms": str(DAY_MS),
    }


def _ms(seconds: float) -> str:
    return str(max(1, round(1000 * seconds)))


def all_topics(settings: Settings) -> list[Topic]:
    """Every topic of the deployment, as it is to be made."""
    partitions = settings.kafka.partitions
    commands = int(settings.kafka.command_days * DAY_MS)
    events = int(settings.kafka.event_days * DAY_MS)
    lag = settings.kafka.compaction_lag
    return [
        Topic(
            ORDER_COMMANDS,
            "table number",
            "orders views, token command; kitchen agent, of what it cancelled",
            ("orders",),
            partitions,
            commands,
        ),
        Topic(ORDER_EVENTS, "table number", "orders agent", ("ledger", "kitchen", "payments"), partitions, events),
        Topic(TABLES_CHANGELOG, "table number", "orders agent", ("orders",), partitions, None, _rows(lag)),
        Topic(
            ORDER_IDS_CHANGELOG,
            "table number, session, chunk",
            "orders agent",
            ("orders",),
            partitions,
            None,
            _chunks(lag),
        ),
        Topic(
            KITCHEN_COMMANDS,
            "table number",
            "kitchen copier, views and agent; orders views, to cancel",
            ("kitchen",),
            partitions,
            commands,
        ),
        Topic(KITCHEN_TICKETS, "table number", "kitchen agent", ("displays of other makers",), partitions, events),
        # All kitchen workers read all of it, for the displays, and each recovers its own partitions from it.
        Topic(KITCHEN_CHANGELOG, "table number, order", "kitchen agent", ("kitchen",), partitions, None, _rows(lag)),
        # One partition, and no group: every worker reads all of it.
        Topic(MENU_CHANGES, "menu", "menu views and commands", ("orders",), 1, events),
        Topic(DEAD_LETTERS, "topic and partition", "every agent, dead-letters command", ("operator",), 1, events),
    ]
