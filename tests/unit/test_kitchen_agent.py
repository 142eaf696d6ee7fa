"""The kitchen's agents: copies, clearing, and what cannot be read."""

import asyncio
from types import SimpleNamespace
from typing import Any

from app.agents.kitchen import OrderCopier
from app.agents.kitchen_partition import KitchenLanes, KitchenPartition
from app.domain.decide import At
from app.domain.kitchen import FORGET_MS, NO_TABLE, OrderChanged, decide_change, decide_clear, decide_placed
from app.domain.tickets import KitchenOrder, tickets_of
from app.messages import ClearOrder, decode_kitchen_command
from app.topics import KITCHEN_COMMANDS
from tests.kitchen_pass import Lane, Pass, fatal
from tests.property.test_tickets import LINES, Command, Event


class SlowLane:
    """Acknowledges when told to."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []
        self.acked = 0

    @property
    def sent(self) -> int:
        return len(self.records)

    def send(self, key: bytes, value: bytes | None) -> None:
        self.records.append((key, value))


class Writer:
    """One slow lane for all."""

    def __init__(self) -> None:
        self.slow = SlowLane()
        self.delivered: Any = None

    def lane(self, topic: str, partition: int) -> Any:
        assert topic == KITCHEN_COMMANDS
        return self.slow

    def on_delivered(self, callback: Any) -> None:
        self.delivered = callback


class Batches:
    """A stream of these batches of (key, value), whose offsets go on."""

    def __init__(self, *batches: list[tuple[bytes | None, bytes | None]]) -> None:
        self._batches, self._offset = batches, 0

    def noack(self) -> "Batches":
        return self

    async def events(self) -> Any:
        for batch in self._batches:
            self._offset += len(batch)
            message = SimpleNamespace(partition=0, offset=self._offset - 1)
            yield SimpleNamespace(message=message, value=[SimpleNamespace(key=k, value=v) for k, v in batch])


async def test_events_are_copied_as_they_stand_and_done_with_once_acknowledged() -> None:
    writer, copied = Writer(), []
    copier = OrderCopier(writer, lambda message: copied.append(message.offset), fatal, 100)  # type: ignore[arg-type]
    await copier.run(Batches([(b"T1", b"a"), (b"T2", b"b")], [(b"T1", b"c")]))
    assert writer.slow.records == [(b"T1", b"a"), (b"T2", b"b"), (b"T1", b"c")]
    assert copied == []
    writer.slow.acked = 2
    writer.delivered()
    assert copied == [1]
    writer.slow.acked = 3
    writer.delivered()
    assert copied == [1, 2]


async def test_what_has_no_key_is_passed_over_and_done_with() -> None:
    writer, copied = Writer(), []
    copier = OrderCopier(writer, lambda message: copied.append(message.offset), fatal, 100)  # type: ignore[arg-type]
    await copier.run(Batches([(None, b"a"), (b"T1", None)]))
    assert (writer.slow.records, copied) == ([], [1])


async def test_a_copier_waits_while_kafka_is_behind() -> None:
    writer = Writer()
    copier = OrderCopier(writer, lambda _: None, fatal, 2)  # type: ignore[arg-type]
    work = asyncio.create_task(copier.run(Batches([(b"T", b"1"), (b"T", b"2")], [(b"T", b"3")])))
    for _ in range(5):
        await asyncio.sleep(0)
    assert writer.slow.sent == 2
    writer.slow.acked = 2
    writer.delivered()
    await work
    assert writer.slow.sent == 3


async def test_of_an_assignment_that_has_ended_nothing_is_done_with() -> None:
    writer, copied = Writer(), []
    copier = OrderCopier(writer, lambda message: copied.append(message.offset), fatal, 100)  # type: ignore[arg-type]
    await copier.run(Batches([(b"T1", b"a")]))
    copier.give_up()
    writer.slow.acked = 1
    writer.delivered()
    assert copied == []


def partition_of(*orders: KitchenOrder) -> tuple[KitchenPartition, list[tuple[bytes, bytes | None]]]:
    written: list[tuple[bytes, bytes | None]] = []
    lanes: Any = [Lane(lambda key, value: written.append((key, value))) for _ in range(3)]
    partition = KitchenPartition(0, {}, KitchenLanes(*lanes), None, lambda _, __: None)  # type: ignore[arg-type]
    for order in orders:
        partition.write_order(order)
    written.clear()
    return partition, written


def order_number(number: int, placed_at: int = 1000) -> KitchenOrder:
    event = Event(order_id=f"o{number:032x}", version=number, placed_at=placed_at)
    decision = decide_placed(NO_TABLE, None, event, LINES, At(number, placed_at))
    assert isinstance(decision, OrderChanged)
    return decision.order


def test_tickets_are_counted_by_station_and_state() -> None:
    order = order_number(1)
    partition, _ = partition_of(order, order_number(2))
    changed = decide_change(order, Command("bump"), At(9, 2000))
    assert isinstance(changed, OrderChanged)
    partition.write_order(changed.order)
    counted = {key: count for key, count in partition.states.items() if count}
    assert counted == {("grill", "cooking"): 1, ("grill", "new"): 1, ("bar", "new"): 2}
    assert len(partition.unseen) == 3
    again, _ = partition_of()
    again.records.update(partition.records)
    recovered = KitchenPartition(0, again.records, again.lanes, None, lambda _, __: None)  # type: ignore[arg-type]
    assert {key: count for key, count in recovered.states.items() if count} == counted
    assert recovered.unseen.keys() == partition.unseen.keys()


def test_the_oldest_orders_are_cleared_past_the_limit_and_named_once() -> None:
    partition, _ = partition_of(*(order_number(number) for number in range(1, 8)))
    named = partition.to_clear(5, 0, 100)
    assert named == list(partition.open)[:2]
    assert partition.to_clear(5, 0, 100) == []
    assert partition.to_clear(3, 0, 1) == [list(partition.open)[2]]


def test_an_order_of_yesterday_is_cleared_whatever_else_there_is() -> None:
    partition, _ = partition_of(order_number(1, 1000), order_number(2, 9000))
    assert partition.to_clear(100, 5000, 100) == list(partition.open)[:1]


def test_a_finished_order_is_deleted_once_nothing_can_ask_for_it() -> None:
    order = order_number(1)
    cleared = decide_clear(order, At(5, 2000))
    assert isinstance(cleared, OrderChanged)
    partition, written = partition_of(order, cleared.order, cleared.order)
    partition.complete_later(At(6, 2000 + FORGET_MS))
    partition.advance()
    assert partition.forget_finished() == 0
    partition.complete_later(At(7, 2001 + FORGET_MS))
    partition.advance()
    assert partition.forget_finished() == 1
    assert written == [(f"T1/{order.order_id}".encode(), None)]
    assert not partition.records
    assert not any(partition.states.values())


async def test_abandoned_orders_leave_the_displays_through_the_log() -> None:
    kitchen, sent = Pass(), []
    kitchen._lanes[KITCHEN_COMMANDS] = Lane(lambda key, value: sent.append((key, decode_kitchen_command(value))))
    order_id = await kitchen.order()
    kitchen.agent.sweep(max_open=10, placed_before=kitchen.now + 1)
    assert sent == [(b"T1", ClearOrder("T1", order_id))]
    await kitchen.tell(sent[0][1])
    order = kitchen.board.order("T1", order_id)
    assert order is not None
    assert {ticket.state for ticket in tickets_of(order).values()} == {"served"}
    assert not kitchen.board.open
