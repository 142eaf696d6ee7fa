"""Records of a changelog that arrive late: as they stood at some moment, appended again behind newer ones."""

from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import Producer

from app.audit.log import Topic
from app.drill.scene import NotHealedError, Scene

DELIVERED_WITHIN = 10.0  # s


class Written(NamedTuple):
    """A record as it stands in the changelog."""

    partition: int
    value: bytes


def last_of(scene: Scene, changelog: str) -> Mapping[bytes, Written]:
    """The last record of each key; what was deleted is left out."""
    topic = Topic(scene.stack.settings.kafka_bootstrap, changelog)
    try:
        found = {record.key(): Written(record.partition(), record.value()) for record in topic.read()}
    finally:
        topic.close()
    return {key: written for key, written in found.items() if written.value is not None}


def append(scene: Scene, changelog: str, rows: Mapping[bytes, Written]) -> Mapping[int, int]:
    """Append records to the changelog; the ends of its partitions behind them."""
    bootstrap = scene.stack.settings.kafka_bootstrap
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for key, row in rows.items():
        producer.produce(changelog, row.value, key, row.partition)
    if producer.flush(DELIVERED_WITHIN):
        raise NotHealedError("the old records were not taken by Kafka")
    topic = Topic(bootstrap, changelog)
    try:
        return topic.ends()
    finally:
        topic.close()
