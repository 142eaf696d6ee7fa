"""What a repair appends again: young orders that stand in Cassandra alone, and those without tickets."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from app.audit import repair
from app.audit.orders import Place
from app.messages import OrderPlaced, encode
from app.settings import Settings
from app.topics import DAY_MS, KITCHEN_COMMANDS, KITCHEN_TICKETS, ORDER_EVENTS
from tests.kitchen_told import messages, placed

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
        for number, value in enumerate(self.values):
            yield SimpleNamespace(
                key=lambda: b"T1", value=lambda value=value: value, partition=lambda: 0, offset=lambda at=number: at
            )

    def ends(self) -> None:
        """Nobody asks where they are."""

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


def test_orders_that_were_copied_for_the_kitchen_and_have_no_ticket_are_appended_to_its_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided, lost, to_come = (placed(Place("T1", 1, version)) for version in (1, 2, 3))
    topics = {
        ORDER_EVENTS: Kafka(encode(decided), b"no event", encode(lost), encode(to_come)),
        KITCHEN_TICKETS: Kafka(*messages(decided), b"no ticket"),
    }
    appended = Kafka()
    monkeypatch.setattr(repair, "Topic", lambda _, name: topics[name])
    monkeypatch.setattr(repair, "Group", lambda *_: SimpleNamespace(committed=lambda _: {0: 3}))
    monkeypatch.setattr(repair, "_Appender", lambda _: appended)
    assert repair.append_lost_copies(Settings()) == 1
    assert appended.appended == [(KITCHEN_COMMANDS, encode(lost), b"T1")]
