"""What a worker tells of the topics that it reads."""

from collections.abc import Collection, Mapping

import pytest
from prometheus_client import generate_latest

from app.metrics import Metrics
from app.service import streams
from app.service.streams import Streams
from app.settings import Settings


class Ends:
    """A Kafka in which each topic's partition 0 ends at 10."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic

    def of(self, topic: str, partitions: Collection[int]) -> Mapping[int, tuple[int, int]]:
        assert topic == self._topic
        return dict.fromkeys(partitions, (0, 10))

    def close(self) -> None: ...


def test_a_topic_that_is_read_beside_another_has_a_lag_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KafkaEnds", Ends)
    kept = Metrics()
    told = Streams(
        Settings(),
        kept,
        0,
        topic="kitchen-commands",
        places=lambda: {0: 9},
        is_ready=lambda: True,
        also={"order-events": lambda: {0: 3}},
    )
    for lags in told._all_lags:
        lags.look(with_changelogs=False)
    page = generate_latest(kept.registry).decode()
    for topic, records in (("kitchen-commands", 1), ("order-events", 7)):
        assert f'bistro92_consumer_lag_records{{partition="0",topic="{topic}"}} {records}.0' in page
        assert f'bistro92_consumer_lag_age_seconds{{partition="0",topic="{topic}"}}' in page
    assert page.count("bistro92_owned_partitions{") == 1
    assert told.lag() == "ok"
