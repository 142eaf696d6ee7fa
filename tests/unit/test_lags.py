"""What a process tells of its lag: from what Kafka said last, and from where it is now."""

from collections.abc import Collection, Mapping
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from app import metrics
from app.adapters import lags
from app.adapters.lags import Lags
from app.metrics import Metrics

ROWS = "rows"


class House:
    """A process that works on some partitions, and a Kafka in the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.places = {0: 0, 1: 0}
        self.ends: dict[str, dict[int, tuple[int, int]]] = {"orders": {0: (0, 0), 1: (0, 0)}, ROWS: {0: (3, 10)}}
        self.is_away = False
        self.asked: list[str] = []
        self.lags = Lags("orders", [ROWS], lambda: self.places, self)
        self.kept = Metrics()
        self.kept.computed(metrics.OWNED, self.lags.owned)
        self.kept.computed(metrics.LAG, self.lags.records)
        self.kept.computed(metrics.LAG_AGE, self.lags.ages)
        self.kept.computed(metrics.CHANGELOG, self.lags.lengths)

    def of(self, topic: str, partitions: Collection[int]) -> Mapping[int, tuple[int, int]] | None:
        self.asked.append(topic)
        found = self.ends[topic]
        return None if self.is_away else {number: found[number] for number in partitions if number in found}

    def close(self) -> None: ...

    def look(self, end: int, now: float, *, with_changelogs: bool = False) -> None:
        """Look once, when partition 0 has come to this end."""
        self.now = now
        self.ends["orders"][0] = (0, end)
        self.lags.look(with_changelogs=with_changelogs)

    def figure(self, metric: metrics.Metric, **labels: str) -> float | None:
        return self.kept.registry.get_sample_value(metric.full_name, labels)

    def lag(self, partition: str = "0") -> tuple[float | None, float | None]:
        labels = {"topic": "orders", "partition": partition}
        return self.figure(metrics.LAG, **labels), self.figure(metrics.LAG_AGE, **labels)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    here = House.__new__(House)
    monkeypatch.setattr(lags, "time", SimpleNamespace(monotonic=lambda: here.now))
    here.now = 100.0
    here.__init__()  # type: ignore[misc]  # its clock must be there before it
    return here


def test_the_lag_is_from_where_the_process_is_now_and_a_scrape_asks_nobody(house: House) -> None:
    house.look(50, 101)
    house.now = 104
    asked = list(house.asked)
    assert house.lag() == (50, 3)
    house.places[0] = 20
    assert house.lag() == (30, 3)
    house.places[0] = 50
    assert house.lag() == (0, 0)
    assert house.lag("1") == (0, 0)
    assert house.asked == asked


def test_while_kafka_is_away_what_was_behind_gets_older_and_health_says_both(house: House) -> None:
    house.look(50, 101)
    assert house.lags.words() == "ok"
    house.is_away = True
    house.look(50, 161)
    assert house.lag() == (50, 60)
    assert house.lags.words() == ("kafka has not told the ends for 60 s; partition 0 is 50 records behind, for 60 s")
    house.is_away = False
    house.places[0] = 50
    house.look(60, 162)
    assert house.lag() == (10, 0)
    assert house.lags.words() == "ok"


def test_a_partition_that_went_elsewhere_is_told_of_no_more_and_is_new_when_it_comes_back(house: House) -> None:
    house.look(50, 101, with_changelogs=True)
    assert [house.figure(metrics.OWNED, partition=number) for number in "01"] == [1, 1]
    assert house.figure(metrics.CHANGELOG, topic=ROWS, partition="0") == 7
    house.places = {1: 0}
    house.look(60, 102)
    assert house.lag() == (None, None)
    assert [house.figure(metrics.OWNED, partition=number) for number in "01"] == [None, 1]
    assert house.figure(metrics.CHANGELOG, topic=ROWS, partition="0") is None
    house.places = {0: 0, 1: 0}
    assert house.lag() == (None, None)  # nothing was looked at yet
    house.look(60, 110)
    assert house.lag() == (60, 0)


def test_between_two_assignments_nothing_is_forgotten(house: House) -> None:
    house.look(50, 101)
    places, house.places = house.places, {}
    house.look(50, 102)
    house.places = places
    assert house.lag() == (50, 1)


def test_changelogs_are_looked_at_when_that_is_asked_for_only(house: House) -> None:
    house.look(0, 101)
    assert house.asked == ["orders"]
    house.look(0, 102, with_changelogs=True)
    assert house.asked == ["orders", "orders", ROWS]
    assert b"bistro92_changelog_records{" in generate_latest(house.kept.registry)


def test_the_oldest_of_all_partitions_is_told(house: House) -> None:
    assert house.lags.oldest() == 0
    house.look(7, 100.0)
    house.now = 104.5
    assert house.lags.oldest() == 4.5
    house.places = {0: 7, 1: 0}
    assert house.lags.oldest() == 0
