"""One order, followed: what the logs, Kafka and Cassandra tell of it, in the order of time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from app.adapters.journal import quoted
from app.audit.log import AuditError
from app.clock import wall_clock
from app.messages import OrderPlaced, PlaceOrder
from app.topics import KITCHEN_TICKETS, ORDER_COMMANDS, ORDER_EVENTS, TABLES_CHANGELOG
from app.trace.lines import ACKNOWLEDGED, ANSWERED, DECIDED, JOURNAL, WRITTEN, Line, acknowledgement, search
from app.trace.log import WINDOW_MS, Cancel, Command, Event
from app.trace.records import Found
from app.trace.tickets import Ticket, firsts, lacking, words

T = TypeVar("T")

UNWRITTEN_MS = 600_000  # back from now, in which Cassandra may lack a cancel that the log tells of

NO_LINE = {
    ANSWERED: "no view tells of an answer: its worker ended meanwhile and the pad asks again, or the log is gone",
    DECIDED: "no owner tells of its decision: the command still waits, or the log is gone",
    WRITTEN: "no ledger tells of a write: it has not come to it yet, or the log is gone",
}
NOT_LOGGED = "the logs tell nothing of it: they were cut, `log_orders` is off, or the processes were killed"


class UnknownOrderError(Exception):
    """No such order is known; the message says where it was looked for."""


class Log(Protocol):
    """What is asked of Kafka: see app/trace/log.py."""

    def commands(self, order_id: str, partition: int, since: int, until: int) -> list[Command]: ...
    def first_command(self, needle: str, since: int, is_wanted: Callable[[PlaceOrder], bool]) -> Command | None: ...
    def first_event(self, order_id: str, since: int) -> Event | None: ...
    def event(self, order_id: str, partition: int, since: int, after: int) -> Event | None: ...
    def cancels(self, order_id: str, partition: int, since: int, until: int | None) -> list[Cancel]: ...
    def row(self, table: str, partition: int, since: int, offset: int) -> tuple[Found | None, int]: ...
    def tickets(self, order_id: str, partition: int, since: int) -> list[Ticket]: ...
    def ledger_is_past(self, partition: int, offset: int) -> bool: ...
    def oldest(self, topic: str, partition: int) -> int: ...


class Store(Protocol):
    """What is asked of Cassandra: see app/trace/store.py."""

    def order(self, wanted: str) -> tuple[OrderPlaced, int] | None: ...
    def order_ids(self, table: str, client_order_id: str) -> list[str]: ...
    def tables(self, event: OrderPlaced) -> dict[str, bool]: ...


@dataclass(frozen=True)
class Step:
    """Something that happened to the order; `at` in ms since 1970, UTC; `rank` orders what has the same millisecond.

    Kafka tells whole milliseconds, by the broker's clock; logs tell microseconds, by that of the process's machine.
    """

    at: float
    rank: int
    where: str
    what: str


@dataclass
class Trace:
    """All that is known of an order. `cassandra` says of each table whether it stands there, empty where not known.

    `cancelled_at` is when the kitchen decided so (ms since 1970, UTC), 0: it was not.
    """

    order_id: str
    client_order_id: str = ""
    table: str = ""
    session: int = 0
    version: int = 0
    outcome: str = ""
    cancelled_at: int = 0
    partition: int = -1
    request_ids: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    cassandra: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Follower:
    """Looks into the three sources; `log` and `store` are None while Kafka or Cassandra is away."""

    def __init__(
        self,
        logs: Path,
        log: Log | None,
        store: Store | None,
        partition_of: Callable[[str], int],
        now: Callable[[], int] = wall_clock,
    ) -> None:
        self._now = now  # ms
        self._logs = logs
        self._log = log
        self._store = store
        self._partition_of = partition_of
        self.notes: list[str] = []

    def named_by_pad(self, table: str, client_order_id: str, since: int) -> str:
        """The server's id of the newest order that a table's pad called so.

        Raises:
            UnknownOrderError: there is none.
        """

        def is_it(table_then: str, client_then: str) -> bool:
            return (table_then, client_then) == (table, client_order_id)

        lines = [
            line
            for line in search(self._logs, f"client_order_id={quoted(client_order_id)}", f"table={quoted(table)}")
            if is_it(line.facts.get("table", ""), line.facts.get("client_order_id", "")) and "order_id" in line.facts
        ]
        if lines:
            return max(lines, key=lambda line: (line.number("session") or 0, line.at)).facts["order_id"]
        there = self._try(lambda: self._store.order_ids(table, client_order_id) if self._store else [])
        if there:
            return there[0]
        return self._scanned(client_order_id, since, lambda c: is_it(c.table, c.client_order_id))

    def of_request(self, request_id: str, since: int) -> str:
        """The server's id of the newest order that was asked for with this X-Request-Id.

        Raises:
            UnknownOrderError: there is none.
        """
        found = [
            line
            for line in search(self._logs, f"request_id={quoted(request_id)}", "order_id=")
            if line.facts.get("request_id") == request_id
        ]
        if found:
            return max(found, key=lambda line: line.at).facts["order_id"]
        return self._scanned(f'"trace":"{request_id}"', since, lambda command: command.trace == request_id)

    def _scanned(self, needle: str, since: int, is_wanted: Callable[[PlaceOrder], bool]) -> str:
        found = self._try(lambda: self._log.first_command(needle, since, is_wanted) if self._log else None)
        if found is None:
            raise UnknownOrderError(self._not_found("no such order"))
        return found.command.order_id

    def follow(self, order_id: str, since: int) -> Trace:
        """All that is known of the order; `since` (ms) bounds the search through the log where nothing else knows it.

        Raises:
            UnknownOrderError: nothing is.
        """
        trace = Trace(order_id)
        lines = list(search(self._logs, order_id))
        stored, trace.cancelled_at = self._try(lambda: self._store.order(order_id) if self._store else None) or (
            None,
            0,
        )
        commands, event = self._in_log(order_id, lines, stored, since)
        if not (lines or stored or commands or event):
            raise UnknownOrderError(self._not_found(f"no order {order_id}"))
        order = event.event if event else stored
        self._name(trace, lines, order, commands)
        trace.steps += [step for line in lines for step in _steps_of(line)]
        trace.steps += [
            Step(
                c.record.time,
                1,
                f"{ORDER_COMMANDS}/{c.record.partition}@{c.record.offset}",
                "the command is in the log",
            )
            for c in commands
        ]
        if order is not None:
            self._row(trace, order)
            self._event(trace, order, event)
            self._tickets(trace, order)
            self._cancel(trace, order, is_stored=stored is not None)
            self._cassandra(trace, order, event)
        self._missing(trace, lines, commands, order)
        trace.steps.sort(key=lambda step: (int(step.at), step.rank, step.at))
        trace.notes += self.notes
        return trace

    # ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _in_log(
        self, order_id: str, lines: Sequence[Line], stored: OrderPlaced | None, since: int
    ) -> tuple[list[Command], Event | None]:
        log = self._log
        if log is None:
            return [], None
        told = [line for line in lines if line.event in JOURNAL]
        table = stored.table if stored else next((line.facts["table"] for line in told if "table" in line.facts), "")
        times = [int(line.at) for line in told if line.event != WRITTEN] + ([stored.placed_at] if stored else [])
        if table and times:
            partition = self._partition_of(table)
        else:
            first = self._try(lambda: log.first_command(order_id, since, lambda c: c.order_id == order_id))
            if first is None:
                return [], self._try(lambda: log.first_event(order_id, since))
            partition, times = first.record.partition, [first.record.time]
        commands: list[Command] = []
        for start, stop in windows(times):
            commands += self._try(partial(log.commands, order_id, partition, start, stop)) or []
        after = max([c.record.offset for c in commands] + ([stored.offset] if stored else []), default=-1)
        begun = min([c.record.time for c in commands] + times)
        event = self._try(lambda: log.event(order_id, partition, begun, after))
        return commands, event

    def _row(self, trace: Trace, order: OrderPlaced) -> None:
        if self._log is None:
            return
        log, partition = self._log, trace.partition
        found = self._try(lambda: log.row(order.table, partition, order.placed_at, order.offset))
        if found is None:
            return
        row, later = found
        if row is not None:
            where = f"{TABLES_CHANGELOG}/{partition}@{row.offset}"
            trace.steps.append(Step(row.time, 3, where, "the table's row is in the log"))
        elif later >= 0:
            trace.notes.append("its row has given way to later ones of the table: Kafka keeps the newest")
        else:
            trace.notes.append(
                f"{TABLES_CHANGELOG} has neither its row nor a later one of the table: `python -m app audit`"
            )

    def _event(self, trace: Trace, order: OrderPlaced, event: Event | None) -> None:
        if event is None:
            if self._log is not None:
                trace.notes.append(
                    f"its event is not in {ORDER_EVENTS}: it has left by its age (`kafka.event_days`), or is lost: "
                    "`python -m app audit`"
                )
            return
        place = event.record
        where = f"{ORDER_EVENTS}/{place.partition}@{place.offset}"
        trace.steps.append(Step(place.time, 4, where, f"the event is in the log, version {order.version}"))
        lines = search(self._logs, f'event="{ACKNOWLEDGED}"', f"partition={place.partition} ")
        line = acknowledgement(lines, place.offset)
        if line is not None:
            trace.steps.append(Step(line.at, 7, line.process, "acknowledged the event to Kafka"))

    def _tickets(self, trace: Trace, order: OrderPlaced) -> None:
        """When its tickets were made, and what cooks did with them."""
        log = self._log
        if log is None:
            return
        tickets = self._try(lambda: log.tickets(order.order_id, trace.partition, order.placed_at))
        for record, told in firsts(tickets or ()):
            where = f"{KITCHEN_TICKETS}/{record.partition}@{record.offset}"
            trace.steps.append(Step(record.time, 6, where, words(told)))
        if tickets is not None and not tickets:
            trace.notes.append(
                f"the kitchen told of no ticket of it within a day: it has not come to it, its tickets have left "
                f"{KITCHEN_TICKETS} by their age (`kafka.event_days`), or are lost: `python -m app audit`"
            )
        elif missing := lacking(tickets or ()):
            trace.notes.append(f"{', '.join(missing)} has no ticket of it: `python -m app audit`")

    def _cancel(self, trace: Trace, order: OrderPlaced, *, is_stored: bool) -> None:
        """What tells that it was cancelled; where Cassandra knows the order, it lacks the last cancels at most."""
        at, since, until = trace.cancelled_at, order.placed_at, None
        if at:
            since, until = at - WINDOW_MS, at + WINDOW_MS
        elif is_stored:
            since = max(since, self._now() - UNWRITTEN_MS)
        log, order_id, partition = self._log, order.order_id, trace.partition
        found = self._try(lambda: log.cancels(order_id, partition, since, until) if log else []) or []
        for topic, record, message in found:
            trace.cancelled_at = at = at or message.at
            what = "the kitchen's note is in the log" if topic == ORDER_COMMANDS else "its event is in the log"
            rank = 1 if topic == ORDER_COMMANDS else 4
            where = f"{topic}/{record.partition}@{record.offset}"
            trace.steps.append(Step(record.time, rank, where, f"cancelled: {what}"))
        if at:
            trace.steps.append(Step(at, 0, "kitchen", "cancelled: the kitchen decided so"))

    # ── Cassandra ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cassandra(self, trace: Trace, order: OrderPlaced, event: Event | None) -> None:
        store, log = self._store, self._log
        if store is None:
            return
        trace.cassandra = self._try(lambda: store.tables(order)) or {}
        absent = [table for table, is_there in trace.cassandra.items() if not is_there]
        if not absent:
            return
        is_past = None
        if log is not None and event is not None:
            place = event.record
            is_past = self._try(lambda: log.ledger_is_past(place.partition, place.offset))
        means = {
            None: "how far the ledger is is not known",
            False: "the ledger has not come to it yet",
            True: "the ledger has acknowledged its event, so it is lost there: `python -m app audit`",
        }
        trace.notes.append(f"it is not in {', '.join(absent)}: {means[is_past]}")

    # ── what it all means ─────────────────────────────────────────────────────────────────────────────────────────────

    def _name(
        self, trace: Trace, lines: Sequence[Line], order: OrderPlaced | None, commands: Sequence[Command]
    ) -> None:
        """Which order it is, and what became of it."""
        known = order or next((c.command for c in commands), None)
        told = [line for line in lines if line.event in JOURNAL]
        if known is not None:
            trace.client_order_id, trace.table, trace.session = known.client_order_id, known.table, known.session
        elif told:
            facts = told[0].facts
            trace.client_order_id, trace.table = facts.get("client_order_id", ""), facts.get("table", "")
            trace.session = told[0].number("session") or 0
        trace.partition = self._partition_of(trace.table) if trace.table else -1
        traces = [line.facts.get("request_id", "") for line in told] + [c.command.trace for c in commands]
        trace.request_ids = sorted(set(filter(None, traces)))
        trace.version = order.version if order else 0
        trace.outcome = _outcome(order, told)

    def _missing(
        self, trace: Trace, lines: Sequence[Line], commands: Sequence[Command], order: OrderPlaced | None
    ) -> None:
        """Say what is not there, and what that means."""
        if self._log is not None and not commands:
            trace.notes.append(self._no_command(trace, order))
        if len(commands) > 1:
            trace.notes.append(f"it was sent {len(commands)} times; each order id is placed once")
        told = {line.event for line in lines}
        if not told & set(JOURNAL):
            trace.notes.append(NOT_LOGGED)
            return
        wanted = JOURNAL if order is not None else (ANSWERED, DECIDED)
        trace.notes += [NO_LINE[event] for event in wanted if event not in told]

    def _no_command(self, trace: Trace, order: OrderPlaced | None) -> str:
        log = self._log
        if order is None or log is None:
            return "its command is not in the log: it never got there, and the guest was told to send it again"
        oldest = self._try(lambda: log.oldest(ORDER_COMMANDS, trace.partition))
        if oldest is not None and oldest > order.offset:
            return "its command has left the log by its age (`kafka.command_days`)"
        return f"its command is not in {ORDER_COMMANDS} where its order says: the topic was made anew or lost data"

    def _try(self, question: Callable[[], T]) -> T | None:
        """The answer, None where the source is away: said once."""
        try:
            return question()
        except AuditError as error:
            self.away(error)
            return None

    def away(self, error: AuditError) -> None:
        """A source could not be asked."""
        note = f"{error}: what it knows is left out"
        if note not in self.notes:
            self.notes.append(note)

    def _not_found(self, what: str) -> str:
        return "\n".join([f"{what} is known in the logs, Kafka or Cassandra", *self.notes])


def _outcome(order: OrderPlaced | None, told: Sequence[Line]) -> str:
    if order is not None:
        return "accepted"
    for event in (DECIDED, ANSWERED):
        outcomes = [line.facts.get("outcome", "") for line in told if line.event == event]
        if outcomes:
            return outcomes[-1]
    return "not accepted, as far as the log tells"


def _steps_of(line: Line) -> list[Step]:
    facts, request = line.facts, line.facts.get("request_id", "")
    if line.event == ANSWERED:
        took = float(facts.get("ms", "0"))
        version = f", version {facts['version']}" if "version" in facts else ""
        return [
            Step(line.at - took, 0, line.process, f"the view sent it on, request {request}"),
            Step(line.at, 5, line.process, f"the view answered: {facts.get('outcome')}{version}, request {request}"),
        ]
    if line.event == DECIDED:
        what = f"the owner decided on {facts.get('partition')}@{facts.get('offset')}: {facts.get('outcome')}"
        return [Step(line.at, 2, line.process, what)]
    if line.event == WRITTEN:
        return [Step(line.at, 6, line.process, "the ledger wrote it to Cassandra")]
    shown = " ".join(f"{name}={value}" for name, value in facts.items() if name != "order_id")
    return [Step(line.at, 8, line.process, f"said: {line.event} {shown}".rstrip())]


def windows(times: Iterable[int]) -> list[tuple[int, int]]:
    """From and until (ms) round each of these times, those that touch as one."""
    found: list[tuple[int, int]] = []
    for time in sorted(times):
        start, stop = time - WINDOW_MS, time + WINDOW_MS
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return found
