"""Which events a repair appends again: those of young orders that stand in Cassandra alone."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from app.audit import repair
from app.messages import OrderPlaced, encode
from app.settings import Settings
from app.topics import DAY_MS, ORDER_EVENTS

NOW_MS = int(time.time() * 1000)


def order(version: int, days_ago: float = 0.0) -> OrderPlaced:
    placed_at = NOW_MS - int(days_ago * DAY_MS)
    return OrderPlaced(f"o{version:032x}", f"c{version}", "T1", 1, version, (), 0, "EUR", placed_at, version)


class Kafka:
    """A log of events that holds what it is given, and whatever is appended."""

    def __init__(self, *values: bytes) -> None:
        self.values = values
        self.appended: list[tuple[str, bytes, bytes | None]] = []

    def read(self) -> Iterator[Any]:
        for value in self.values:
            yield SimpleNamespace(key=lambda: b"T1", value=lambda value=value: value)

    def append(self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = -1) -> None:
        assert partition == -1  # its key tells which
        self.appended.append((topic, value, key))

    def finish(self) -> int:
        return len(self.appended)


def test_young_orders_that_stand_in_cassandra_alone_are_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(encode(order(2)), b"no event")
    stored = [order(1, days_ago=40), order(2), order(3), order(4, days_ago=29)]
    monkeypatch.setattr(repair, "Topic", lambda *_: kafka)
    monkeypatch.setattr(repair, "_Appender", lambda _: kafka)
    monkeypatch.setattr(repair, "Store", lambda _: SimpleNamespace(events=lambda: stored, close=lambda: None))
    assert repair.append_lost_events(Settings()) == 2
    assert kafka.appended == [
        (ORDER_EVENTS, encode(order(version, days)), b"T1") for version, days in ((3, 0), (4, 29))
    ]
