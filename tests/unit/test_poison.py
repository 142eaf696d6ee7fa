"""Whatever stands in our topics: it is set aside with a reason, and what comes after it goes on."""

from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from app.adapters.owners import partition_of
from app.agents import ledger
from app.agents.orders import OrdersAgent
from app.domain.row import Row
from app.messages import (
    LAST_SCHEMA,
    MAX_COMMAND_BYTES,
    BadMessageError,
    Nothing,
    OpenSession,
    OrderPlaced,
    decode_command,
    decode_event,
    encode,
)
from app.web.shapes import MAX_INTEGER
from tests import poison

PARTITIONS = 4
TABLE = "T1"
HOME = partition_of(TABLE, PARTITIONS)


class Ended(BaseException):
    """The process would have ended."""


def end(reason: str) -> NoReturn:
    raise Ended(reason)


@dataclass
class Lane:
    """Takes everything, acknowledges it at once."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.records)

    acked = sent

    def send(self, key: bytes, value: bytes | None) -> None:
        self.records.append((key, value))

    def read_up_to(self, offset: int) -> None: ...


class Restaurant:
    """The orders agent with a log in the test's hand."""

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.rows: dict[str, Row] = {}
        self.answers: list[str] = []
        self.set_aside: list[tuple[int, str]] = []
        self.done = 0
        self.offset = 0
        tables: Any = SimpleNamespace(rows=lambda _: self.rows, read_up_to=lambda _: 0, stale={})
        chunks: Any = SimpleNamespace(chunks=lambda _: {}, read_up_to=lambda _: 0)
        self.agent = OrdersAgent(
            tables,
            chunks,
            self,  # type: ignore[arg-type]  # all ports in one
            self,  # type: ignore[arg-type]
            self,
            self,
            end,
            self._done,
            1000,
            partial(partition_of, partitions=PARTITIONS),
        )

    def lane(self, topic: str, partition: int) -> Lane:
        return self.lanes.setdefault(f"{topic}/{partition}", Lane())

    def on_delivered(self, callback: Any) -> None: ...

    async def end(self, topic: str, partition: int) -> int:
        return 0

    def give(self, reply_to: str, answer: Any) -> None:
        self.answers.append(answer.outcome)

    async def put(self, record: Any, reason: str) -> None:
        self.set_aside.append((record.offset, reason))

    def _done(self, partition: int, offset: int) -> None:
        self.done = offset

    async def read(self, key: bytes | None, value: bytes | None, partition: int = HOME) -> None:
        """The agent reads one record, and comes to its end with it."""
        record = SimpleNamespace(offset=self.offset, timestamp=1_790_000_000_000, key=key, value=value)
        self.offset += 1
        message = SimpleNamespace(partition=partition)
        await self.agent._run(_events(SimpleNamespace(message=message, value=[record])))
        assert self.done == self.offset


async def _events(*events: Any) -> Any:
    for event in events:
        yield event


async def open_restaurant(partition: int = HOME) -> Restaurant:
    house = Restaurant()
    await house.agent.take_over({partition})
    return house


@pytest.mark.parametrize("what", poison.bad_commands(TABLE))
async def test_what_is_no_command_is_set_aside_and_the_next_order_goes_on(what: str) -> None:
    house = await open_restaurant()
    await house.read(b"T1", encode(OpenSession("r", "", TABLE, 1)))
    rows = dict(house.rows)
    await house.read(b"T1", poison.bad_commands(TABLE)[what])
    assert [offset for offset, _ in house.set_aside] == [1]
    assert house.set_aside[0][1]
    assert house.rows == rows
    assert house.answers == ["opened"]
    await house.read(b"T1", poison.command(TABLE))
    assert house.answers == ["opened", "accepted"]
    assert house.rows[TABLE].version == 1


@pytest.mark.parametrize("key", [None, b"", b"T2", b"t1", b"T1 ", b"\xff\xfe", b"k" * 70_000])
async def test_a_command_under_another_tables_key_is_not_decided(key: bytes | None) -> None:
    house = await open_restaurant()
    await house.read(b"T1", encode(OpenSession("r", "", TABLE, 1)))
    await house.read(key, poison.command(TABLE))
    assert house.rows[TABLE].version == 0
    assert "its key is" in house.set_aside[0][1]
    assert len(house.set_aside[0][1]) < 1000


async def test_a_table_is_not_opened_in_a_partition_that_is_not_its_own() -> None:
    strange = (HOME + 1) % PARTITIONS
    house = await open_restaurant(strange)
    await house.read(b"T1", encode(OpenSession("r", "", TABLE, 1)), strange)
    await house.read(b"T1", poison.command(TABLE), strange)
    assert house.rows == {}
    assert house.answers == []
    assert [reason for _, reason in house.set_aside] == [f"table T1 belongs to partition {HOME}, not to {strange}"] * 2


@pytest.mark.parametrize("table", ["T 1", "T/1", "Tür", "T1\n", "\x00", "T" * 64 + "é"])
async def test_a_table_that_none_can_be_gets_no_row(table: str) -> None:
    partition = partition_of(table, PARTITIONS)
    house = await open_restaurant(partition)
    await house.read(table.encode(), encode(OpenSession("r", "", table, 1)), partition)
    assert house.rows == {}
    assert len(house.set_aside) == 1


async def test_a_record_that_fills_a_log_needs_no_key() -> None:
    house = await open_restaurant()
    await house.read(None, encode(Nothing()))
    assert house.set_aside == []


async def test_a_command_of_a_newer_release_stops_the_worker() -> None:
    house = await open_restaurant()
    with pytest.raises(Ended):
        await house.read(b"T1", poison.command(TABLE, schema=LAST_SCHEMA, version="seven"))
    assert house.set_aside == []


def test_whatever_a_guest_may_say_is_a_command() -> None:
    """Else a guest could send an order that is never answered."""
    named = {"table": "t" * 64, "client_order_id": "c" * 64}
    decode_command(poison.command(TABLE, version=MAX_INTEGER, session=MAX_INTEGER, **named))
    decode_command(poison.command(TABLE, lines=[], refusal="quantity", total=0))


def test_a_command_that_is_accepted_can_be_told_of() -> None:
    """An event is no larger than its command, so that no broker refuses what the owner has decided."""
    size = len(poison.command(TABLE, note=""))
    command = poison.command(TABLE, note="\x01" * ((MAX_COMMAND_BYTES - size) // 6 - 2))
    assert len(command) > MAX_COMMAND_BYTES - 100
    order: Any = decode_command(command)
    fields = {name: getattr(order, name) for name in order.__struct_fields__ if name in OrderPlaced.__struct_fields__}
    event = encode(OrderPlaced(**{**fields, "version": 2**31 - 1}, placed_at=10**12, offset=10**15 - 1))
    assert len(event) <= MAX_COMMAND_BYTES
    assert decode_event(event)


@pytest.mark.parametrize("what", poison.bad_events(TABLE))
def test_what_is_no_event_is_none_to_the_ledger(what: str) -> None:
    with pytest.raises(BadMessageError):
        ledger._decode(SimpleNamespace(key=b"T1", value=poison.bad_events(TABLE)[what]))


@pytest.mark.parametrize("table", ["T 1", "T/1", "Tür"])
def test_an_event_of_a_table_that_none_can_be_is_none(table: str) -> None:
    with pytest.raises(BadMessageError):
        ledger._decode(SimpleNamespace(key=table.encode(), value=poison.event(table)))


@pytest.mark.parametrize("key", [None, b"", b"T2", b"\xff"])
def test_an_event_under_another_tables_key_is_none_to_the_ledger(key: bytes | None) -> None:
    assert ledger._decode(SimpleNamespace(key=b"T1", value=poison.event(TABLE)))
    with pytest.raises(BadMessageError):
        ledger._decode(SimpleNamespace(key=key, value=poison.event(TABLE)))
