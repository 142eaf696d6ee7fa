"""The agents of the kitchen service: one copies orders into the kitchen's log, the other decides from it."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import Any, assert_never

import structlog

from app.agents.kitchen_partition import KitchenLanes, KitchenPartition
from app.domain import kitchen as rules
from app.domain.decide import At
from app.domain.ids import is_table
from app.domain.tickets import ACTIONS, NO_STATION, Ticket, TicketLine
from app.messages import (
    Answer,
    BadMessageError,
    CancelOrder,
    ChangeTicket,
    ClearOrder,
    KitchenAsked,
    KitchenCommand,
    Line,
    NewerSchemaError,
    NoteCancelled,
    Nothing,
    OrderCancelled,
    OrderPlaced,
    SessionClosed,
    SessionOpened,
    check_key,
    decode_kitchen_command,
    encode,
)
from app.ports import (
    UNWATCHED,
    Answers,
    DeadLetters,
    Fatal,
    KitchenWatch,
    LogReader,
    LogWriter,
    UnavailableError,
)
from app.tables.kitchen import KitchenState, offset_of, split_order_key, table_key
from app.tables.patience import tried_until_there
from app.ticket_messages import encode_ticket
from app.topics import KITCHEN_CHANGELOG, KITCHEN_COMMANDS, KITCHEN_TICKETS, ORDER_COMMANDS

log = structlog.get_logger(__name__)

MOST_CLEARED = 1000  # orders of a partition in one sweep
HOUR_MS = 3_600_000


class OrderCopier:
    """Copies `order-events` into `kitchen-commands`, as they stand, and is done with what Kafka has acknowledged."""

    def __init__(self, writer: LogWriter, copied: Callable[[Any], None], fatal: Fatal, max_in_flight: int) -> None:
        """`copied` is called with the last message of what stands in the kitchen's log."""
        self._writer = writer
        self._copied = copied
        self._fatal = fatal
        self._max_in_flight = max_in_flight
        self._sent: dict[int, deque[tuple[int, Any]]] = {}  # partition -> records sent by then, and the last message
        self._progress = asyncio.Event()
        writer.on_delivered(self._on_delivered)

    def give_up(self) -> None:
        """The partitions are assigned anew: what was not acknowledged is copied again, here or elsewhere."""
        self._sent = {}
        self._progress.set()

    async def run(self, stream: Any) -> None:
        """Copy each record as it comes, one event for what a fetch brought; whatever goes wrong ends the process."""
        try:
            async for event in stream.noack().events():
                await self._copy(event.message, event.value)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the copier failed")
            self._fatal(f"orders could not be copied for the kitchen: {error!r}")

    async def _copy(self, message: Any, records: Any) -> None:
        partition = message.partition
        lane = self._writer.lane(KITCHEN_COMMANDS, partition)
        while lane.sent - lane.acked >= self._max_in_flight:
            self._progress.clear()
            await self._progress.wait()
        for record in records:
            if record.value is not None and record.key is not None:
                lane.send(record.key, record.value)
        self._sent.setdefault(partition, deque()).append((lane.sent, message))
        self._on_delivered()

    def _on_delivered(self) -> None:
        for partition, sent in self._sent.items():
            acked, last = self._writer.lane(KITCHEN_COMMANDS, partition).acked, None
            while sent and sent[0][0] <= acked:
                _, last = sent.popleft()
            if last is not None:
                self._copied(last)
        self._progress.set()


class KitchenAgent:
    """Owns the tickets of the partitions that are assigned to this worker."""

    def __init__(
        self,
        state: KitchenState,
        writer: LogWriter,
        reader: LogReader,
        answers: Answers,
        dead_letters: DeadLetters,
        fatal: Fatal,
        done: Callable[[int, int], None],
        max_in_flight: int,
        partition_of: Callable[[str], int],
        watch: KitchenWatch = UNWATCHED,
    ) -> None:
        self.partitions: dict[int, KitchenPartition] = {}
        self._leaving: list[KitchenPartition] = []
        self._assignment = 0  # counts them
        self._state = state
        self._writer = writer
        self._reader = reader
        self._answers = answers
        self._dead_letters = dead_letters
        self._fatal = fatal
        self._done = done
        self._max_in_flight = max_in_flight
        self._partition_of = partition_of
        self._watch = watch
        self._progress = asyncio.Event()
        writer.on_delivered(self._on_delivered)

    @property
    def in_flight(self) -> int:
        """Commands that were decided on and wait for Kafka."""
        return sum(partition.in_flight for partition in (*self.partitions.values(), *self._leaving))

    # ── which partitions ──────────────────────────────────────────────────────────────────────────────────────────────

    async def take_over(self, mine: set[int]) -> bool:
        """Begin with these partitions, whose records have been read; False where they were assigned anew meanwhile."""
        self.give_up()
        assignment = self._assignment
        for number in sorted(mine):
            await self._check_end(number)
            if self._assignment != assignment:
                return False
            lanes = KitchenLanes(
                self._writer.lane(KITCHEN_CHANGELOG, number),
                self._writer.lane(KITCHEN_TICKETS, number),
                self._writer.lane(ORDER_COMMANDS, number),
            )
            lanes.records.read_up_to(self._state.read_up_to(number))
            partition = KitchenPartition(number, self._state.records(number), lanes, self._answers, self._done)
            partition.say_again(sorted(self._state.stale.pop(number, ())))  # a stranger's came last: say ours again
            self.partitions[number] = partition
            log.info("partition taken over", partition=number, orders=len(partition.open))
        return True

    def give_up(self) -> None:
        """The partitions are assigned anew: what was decided is still answered, but no longer acked."""
        self._assignment += 1
        for partition in self.partitions.values():
            partition.revoked = True
            if partition.in_flight:
                self._leaving.append(partition)
        self.partitions = {}
        self._progress.set()

    async def _check_end(self, number: int) -> None:
        """A log that ends before a record's offset would give new commands offsets that count as read."""
        last = max((offset_of(data) for data in self._state.records(number).values()), default=-1)
        end = await tried_until_there(lambda: self._reader.end(KITCHEN_COMMANDS, number))
        if end <= last:
            self._fatal(
                f"{KITCHEN_COMMANDS}/{number} ends at offset {end}, but a record of the kitchen is from offset {last}: "
                "the topic was made anew or lost data, and new commands would be taken for ones already read. Restore "
                "the topic, or raise its end above that offset with `python -m app repair`, then start again."
            )

    async def repair(self) -> None:
        """Say again the records that a stalled worker, waking up, wrote over with older ones."""
        for partition in list(self.partitions.values()):
            lane = partition.lanes.records
            gaps = lane.strangers(await self._reader.end(KITCHEN_CHANGELOG, partition.number))
            try:
                for start, stop in gaps:
                    records = await self._reader.read(KITCHEN_CHANGELOG, partition.number, start, stop)
                    keys = {record.key for record in records}
                    if keys and not partition.revoked:
                        log.warning("a stranger wrote records", partition=partition.number, count=len(keys))
                        partition.say_again(sorted(keys))
            except UnavailableError:
                lane.look_again(gaps)
                raise

    def forget_finished(self) -> None:
        """Delete the orders that were finished long ago."""
        for partition in self.partitions.values():
            partition.forget_finished()

    def sweep(self, max_open: int, placed_before: int) -> None:
        """Ask for what is too old (ms, UTC), or past `max_open` in a partition, to be cleared: by the log, like all."""
        for partition in self.partitions.values():
            for key in partition.to_clear(max_open, placed_before, MOST_CLEARED):
                table, order_id = split_order_key(key)
                command = ClearOrder(table, order_id)
                self._writer.lane(KITCHEN_COMMANDS, partition.number).send(table_key(table), encode(command))

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, stream: Any) -> None:
        """Take each command as it comes, one event for what a fetch brought; whatever goes wrong ends the process."""
        try:
            await self._run(stream.noack().events())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the agent failed")
            self._fatal(f"the kitchen's agent failed: {error!r}")

    async def _run(self, events: AsyncIterable[Any]) -> None:
        async for event in events:
            partition = self.partitions.get(event.message.partition)
            if partition is None:
                continue  # of an assignment that has ended: it is read again, here or elsewhere
            for record in event.value:
                while partition.in_flight >= self._max_in_flight and not partition.revoked:
                    self._progress.clear()
                    await self._progress.wait()
                if partition.revoked:
                    break
                await self._take(partition, record)
            partition.advance()

    async def _take(self, partition: KitchenPartition, record: Any) -> None:
        at = At(record.offset, record.timestamp)
        try:
            command = self._decode(partition, record)
        except NewerSchemaError as error:
            self._fatal(f"{KITCHEN_COMMANDS}/{partition.number} offset {at.offset}: {error}")
        except BadMessageError as error:
            await self._dead_letters.put(record, str(error))
            partition.complete_later(at)
            return
        match command:
            case OrderPlaced():
                self._place(partition, command, at)
            case SessionOpened() | SessionClosed():
                self._session(partition, command, at)
            case ChangeTicket():
                self._answer(partition, command, at, self._change(partition, command, at))
                return
            case CancelOrder():
                self._answer(partition, command, at, self._cancel(partition, command, at))
                return
            case ClearOrder():
                self._clear(partition, command, at)
            case OrderCancelled() | Nothing():
                pass  # the kitchen itself said so before
            case _:
                assert_never(command)
        partition.complete_later(at)

    def _answer(self, partition: KitchenPartition, command: KitchenAsked, at: At, answer: Answer) -> None:
        self._watch.decided(answer.outcome)
        partition.complete_later(at, command.reply_to, answer)

    def _decode(self, partition: KitchenPartition, record: Any) -> KitchenCommand:
        command = decode_kitchen_command(record.value)
        check_key(command, record.key)
        if not isinstance(command, Nothing) and (
            not is_table(command.table) or self._partition_of(command.table) != partition.number
        ):
            raise BadMessageError(f"table {command.table!r} does not belong to partition {partition.number}")
        if isinstance(command, ChangeTicket) and command.action not in ACTIONS:
            raise BadMessageError(f"{command.action!r} is no action on a ticket")
        return command

    # ── what each decision leads to ───────────────────────────────────────────────────────────────────────────────────

    def _place(self, partition: KitchenPartition, event: OrderPlaced, at: At) -> None:
        table, order = partition.table(event.table), partition.order(event.table, event.order_id)
        lines = [_ticket_line(number, line) for number, line in enumerate(event.lines, 1)]
        decision = rules.decide_placed(table, order, event, lines, at)
        if isinstance(decision, rules.OrderChanged):
            self._apply(partition, decision)
            self._watch.made(max(0.0, time.time() - event.placed_at / 1000))

    def _session(self, partition: KitchenPartition, event: SessionOpened | SessionClosed, at: At) -> None:
        is_closed = isinstance(event, SessionClosed)
        decision = rules.decide_session(partition.table(event.table), event.session, at, is_closed=is_closed)
        if isinstance(decision, rules.TableChanged):
            partition.write_table(event.table, decision.table)

    def _clear(self, partition: KitchenPartition, command: ClearOrder, at: At) -> None:
        decision = rules.decide_clear(partition.order(command.table, command.order_id), at)
        if isinstance(decision, rules.OrderChanged):
            self._apply(partition, decision)

    def _change(self, partition: KitchenPartition, command: ChangeTicket, at: At) -> Answer:
        decision = rules.decide_change(partition.order(command.table, command.order_id), command, at)
        request = command.request_id
        match decision:
            case rules.OrderChanged():
                self._apply(partition, decision, command.trace)
                ticket = next(t for t in decision.changed if t.station == command.station)
                return _told(request, "changed", ticket)
            case rules.TicketUnchanged(ticket, is_repeat):
                return _told(request, "changed_before" if is_repeat else "unchanged", ticket)
            case rules.TicketConflict(ticket):
                return _told(request, "version_conflict", ticket)
            case rules.NotPossible(ticket, detail):
                return _told(request, "not_possible", ticket, detail)
            case rules.NoSuchTicket():
                return Answer(request, "not_found")
            case rules.CommandReused():
                return Answer(request, "id_reused")
            case rules.RefusedBefore():
                return Answer(request, "unknown")
            case _:
                assert_never(decision)

    def _cancel(self, partition: KitchenPartition, command: CancelOrder, at: At) -> Answer:
        table, order = partition.table(command.table), partition.order(command.table, command.order_id)
        decision = rules.decide_cancel(table, order, command, at)
        match decision:
            case rules.OrderChanged():
                self._apply(partition, decision, command.trace)
                return Answer(command.request_id, "cancelled")
            case rules.AlreadyCancelled():
                return Answer(command.request_id, "cancelled")
            case rules.CannotCancel(detail):
                return Answer(command.request_id, "cannot_cancel", detail=detail)
            case rules.RefusedBefore():
                return Answer(command.request_id, "unknown")
            case _:
                assert_never(decision)

    def _apply(self, partition: KitchenPartition, decision: rules.OrderChanged, trace: str = "") -> None:
        """Say what a decision made: the order's record, then its table's, a message for each change of a ticket."""
        order = decision.order
        partition.write_order(order)
        if decision.table is not None:
            partition.write_table(order.table, decision.table)
        partition.tell(decision.changed)
        if decision.is_cancelled:
            partition.note_cancelled(
                NoteCancelled(
                    table=order.table,
                    session=order.session,
                    order_id=order.order_id,
                    version=order.version,
                    total=order.total,
                    at=order.cancelled_at,
                    placed_at=order.placed_at,
                    trace=trace,
                )
            )

    # ── acknowledgements ──────────────────────────────────────────────────────────────────────────────────────────────

    def _on_delivered(self) -> None:
        for partition in (*self.partitions.values(), *self._leaving):
            partition.advance()
        self._leaving = [partition for partition in self._leaving if partition.in_flight]
        self._progress.set()


def _ticket_line(number: int, line: Line) -> TicketLine:
    return TicketLine(
        line_id=str(number),
        menu_item_id=line.menu_item_id,
        name=line.name,
        quantity=line.quantity,
        station=line.station or NO_STATION,
        note=line.note,
        modifiers=line.choices or line.modifiers,
        allergens=line.allergens,
    )


def _told(request: str, outcome: Any, ticket: Ticket, detail: str = "") -> Answer:
    return Answer(request, outcome, ticket.version, detail=detail, ticket=encode_ticket(ticket))
