"""Which write wins in Cassandra: told by the event's place in the log, whoever writes and whenever."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters import order_writer
from app.adapters.order_writer import FIRST, CassandraOrderWriter
from app.messages import Event, Line, OrderCancelled, OrderPlaced, SessionClosed, SessionOpened
from app.settings import Settings


class Batch(list[Any]):
    """A batch that can be looked into."""

    def __init__(self, kind: Any) -> None:
        super().__init__()

    def add(self, bound: Any) -> None:
        self.append(bound)


class Session:
    """Notes (statement, values) of what is written."""

    breaks = 0

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    def prepare(self, text: str) -> Any:
        return SimpleNamespace(bind=lambda values: (text, values))

    async def write(self, statement: Any) -> None:
        self.written += statement


def event_at(offset: int, placed_at: int) -> OrderPlaced:
    line = Line("m1", "Grilled Salmon", 2, 1899)
    return OrderPlaced("o1", "id-1", "T1", 1, 1, (line,), 3798, "EUR", placed_at=placed_at, offset=offset)


async def stamps(monkeypatch: pytest.MonkeyPatch, event: Event) -> dict[str, int]:
    """Table -> the timestamp of its write."""
    monkeypatch.setattr(order_writer, "BatchStatement", Batch)
    session: Any = Session()
    await CassandraOrderWriter(session, Settings()).write([event])
    assert all(text.endswith("USING TIMESTAMP ?") for text, _ in session.written)
    return {text.split()[2]: values[-1] for text, values in session.written}


async def test_the_event_of_the_earlier_command_wins_in_every_table(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await stamps(monkeypatch, event_at(7, placed_at=2_000))
    second = await stamps(monkeypatch, event_at(8, placed_at=1_000))
    assert first == await stamps(monkeypatch, event_at(7, placed_at=2_000))  # a repeat changes nothing
    assert first.keys() == {"orders_by_id", "orders_by_session", "orders_by_day"}
    assert all(first[table] > second[table] for table in first)
    assert all(0 < stamp < FIRST for stamp in first.values())  # below a clock's: an operator's DELETE counts


@pytest.mark.parametrize("kind", [SessionOpened, SessionClosed])
async def test_a_sessions_earliest_time_wins(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    early = await stamps(monkeypatch, kind("T1", 1, 1_000))
    late = await stamps(monkeypatch, kind("T1", 1, 2_000))
    assert early["sessions"] > late["sessions"]


async def test_a_cancel_is_marked_in_each_table_by_its_key_and_the_earliest_time_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_writer, "BatchStatement", Batch)
    session: Any = Session()
    writer = CassandraOrderWriter(session, Settings())
    await writer.write([event_at(7, placed_at=2_000)])
    by_table = {text.split()[2]: values for text, values in session.written}
    session.written.clear()
    await writer.write([OrderCancelled("T1", 1, "o1", 1, 3798, placed_at=2_000, at=9_000)])
    marks = {text.split()[1]: values for text, values in session.written}
    assert marks.keys() == by_table.keys()
    assert all(text.startswith("UPDATE") for text, _ in session.written)  # an INSERT would make a row of it
    assert marks["orders_by_id"] == (FIRST - 9_000, 9_000, "o1")
    assert marks["orders_by_session"] == (FIRST - 9_000, 9_000, "T1", 1, 1)
    assert marks["orders_by_day"] == (FIRST - 9_000, 9_000, *by_table["orders_by_day"][:4])
