"""Makes the topics, and sets right what differs, through Kafka's admin client."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from app.topics import Topic

TIMEOUT = 30.0  # s, for each request


class TopicsError(Exception):
    """The topics are not as they must be; says what to do."""


def make_topics(bootstrap: str, topics: Sequence[Topic], replication: int, say: Callable[[str], None]) -> None:
    """See that every topic exists with its settings; what is so already is left alone.

    Raises:
        TopicsError: Kafka does not answer, or a topic has another number of partitions.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": int(TIMEOUT * 1000), "log_level": 3})
    try:
        existing = admin.list_topics(timeout=TIMEOUT).topics
        wrong = [
            f"topic {topic.name} has {len(existing[topic.name].partitions)} partitions, not {topic.partitions}: "
            "tables would move between partitions and lose their rows. Set BISTRO92_KAFKA__PARTITIONS back, "
            "or begin with empty state"
            for topic in topics
            if topic.name in existing and len(existing[topic.name].partitions) != topic.partitions
        ]
        if wrong:
            raise TopicsError("\n".join(wrong))
        wanted = {topic.name: _config(topic, replication) for topic in topics}
        _create(admin, [topic for topic in topics if topic.name not in existing], wanted, replication, say)
        _correct(admin, [topic for topic in topics if topic.name in existing], wanted, say)
    except KafkaException as error:
        raise TopicsError(f"Kafka at {bootstrap}: {error.args[0]}") from error


def _config(topic: Topic, replication: int) -> dict[str, str]:
    """With three copies two must have a record before it counts: one broker may be down."""
    return {**topic.config, "min.insync.replicas": str(max(1, replication - 1))}


def _create(
    admin: AdminClient,
    missing: Sequence[Topic],
    wanted: dict[str, dict[str, str]],
    replication: int,
    say: Callable[[str], None],
) -> None:
    if not missing:
        return
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor=replication, config=wanted[topic.name])
        for topic in missing
    ]
    for name, future in admin.create_topics(new, operation_timeout=TIMEOUT).items():
        future.result()
        say(f"{name} made")


def _correct(
    admin: AdminClient, present: Sequence[Topic], wanted: dict[str, dict[str, str]], say: Callable[[str], None]
) -> None:
    if not present:
        return
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in present]
    changes = []
    for resource, future in admin.describe_configs(resources).items():
        actual = {name: entry.value for name, entry in future.result().items()}
        different = {name: value for name, value in wanted[resource.name].items() if not _same(actual.get(name), value)}
        if different:
            entries = [
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in different.items()
            ]
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
            say(f"{resource.name}: {', '.join(f'{name}={value}' for name, value in different.items())}")
    if changes:
        for future in admin.incremental_alter_configs(changes).values():
            future.result()


def _same(actual: str | None, wanted: str) -> bool:
    """Kafka writes 0.1 as it likes."""
    try:
        return actual is not None and float(actual) == float(wanted)
    except ValueError:
        return actual == wanted
