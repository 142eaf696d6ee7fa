"""One order followed: from logs, Kafka and Cassandra together, and from each of them alone."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click.testing
import msgspec
import pytest

from app.audit.log import AuditError
from app.cli import trace as cli
from app.messages import Line, OrderPlaced, PlaceOrder, encode, order_cancelled, order_placed
from app.topics import ORDER_COMMANDS, ORDER_EVENTS
from app.trace.follow import Follower, Trace, UnknownOrderError, windows
from app.trace.lines import acknowledgement, parse, search
from app.trace.log import Cancel, Command, Event
from app.trace.records import Found
from app.trace.tickets import Ticket, ticket_of
from tests.kitchen_told import LINES, messages
from tests.property.restaurant import cancel, place

T0 = 1_700_000_000_000  # ms
COMMAND = msgspec.structs.replace(place("order-1"), trace="pad-7")
ORDER = order_placed(COMMAND, 1, 41, T0 + 2)
PARTITION = 2


def at(ms: float) -> str:
    return datetime.fromtimestamp((T0 + ms) / 1000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def line(ms: float, event: str, facts: str) -> str:
    return f'timestamp={at(ms)} level=info event="{event}" {facts}\n'


NAMED = f"order_id={ORDER.order_id} client_order_id=order-1 table=T1 session=1 version=1 request_id=pad-7"
VIEW = line(9.5, "order answered", f"{NAMED} outcome=accepted ms=8.00")
OWNER = line(3.25, "order decided", f"{NAMED} partition=2 offset=41 outcome=accepted")
LEDGER = line(30, "order written", f"{NAMED} partition=2 offset=17")
ACKNOWLEDGED = line(1030, "events acknowledged", "partition=2 first=10 last=20")


def told(bumps: int, *places: tuple[int, int], lines: tuple[Line, ...] = ()) -> list[Ticket]:
    """The kitchen's messages of the order at these times and offsets; its last one again where there are more."""
    event = msgspec.structs.replace(ORDER, lines=lines) if lines else ORDER
    stations = [(line.station or "kitchen") for line in event.lines]
    values = messages(event, *stations[:1] * bumps)
    found = []
    for number, (ms, offset) in enumerate(places):
        ticket = ticket_of(Found(PARTITION, offset, T0 + ms, values[min(number, len(values) - 1)]))
        assert ticket is not None
        found.append(ticket)
    return found


class Kafka:
    """The log as it stands after the order; tests take parts of it away."""

    def __init__(self) -> None:
        self.stand: list[Command] = [Command(Found(PARTITION, 41, T0 + 2, encode(COMMAND)), COMMAND)]
        self.told: Event | None = Event(Found(PARTITION, 17, T0 + 4, encode(ORDER)), ORDER)
        self.led_to: tuple[Found | None, int] = Found(PARTITION, 88, T0 + 4, b""), -1
        self.made = told(0, (5, 3), (9, 3))
        self.cancelled: list[Cancel] = []
        self.is_past = True
        self.begins = 0
        self.scans = 0

    def commands(self, order_id: str, partition: int, since: int, until: int) -> list[Command]:
        return [c for c in self.stand if partition == PARTITION and since <= c.record.time < until]

    def first_command(self, needle: str, since: int, is_wanted: Callable[[PlaceOrder], bool]) -> Command | None:
        self.scans += 1
        return next(
            (c for c in self.stand if needle.encode() in c.record.value and c.record.time >= since and is_wanted(c[1])),
            None,
        )

    def first_event(self, order_id: str, since: int) -> Event | None:
        self.scans += 1
        return self.told

    def event(self, order_id: str, partition: int, since: int, after: int) -> Event | None:
        assert since <= T0 + 2
        return self.told if after >= 41 else None

    def cancels(self, order_id: str, partition: int, since: int, until: int | None) -> list[Cancel]:
        assert (order_id, partition) == (ORDER.order_id, PARTITION)
        return [c for c in self.cancelled if since <= c.record.time < (until or 2**60)]

    def row(self, table: str, partition: int, since: int, offset: int) -> tuple[Found | None, int]:
        assert (table, offset) == ("T1", 41)
        return self.led_to

    def tickets(self, order_id: str, partition: int, since: int) -> list[Ticket]:
        assert (order_id, partition, since) == (ORDER.order_id, PARTITION, T0 + 2)
        return self.made

    def ledger_is_past(self, partition: int, offset: int) -> bool:
        return self.is_past

    def oldest(self, topic: str, partition: int) -> int:
        return self.begins


class Store:
    """Cassandra after the order."""

    def __init__(self) -> None:
        self.stored: OrderPlaced | None = ORDER
        self.cancelled_at = 0
        self.held = {"orders_by_id": True, "orders_by_session": True, "orders_by_day": True}
        self.away = False

    def order(self, wanted: str) -> tuple[OrderPlaced, int] | None:
        if self.away:
            raise AuditError("Cassandra: no host answers")
        return (self.stored, self.cancelled_at) if self.stored and wanted == ORDER.order_id else None

    def order_ids(self, table: str, client_order_id: str) -> list[str]:
        if self.away:
            raise AuditError("Cassandra: no host answers")
        return [ORDER.order_id] if self.stored and (table, client_order_id) == ("T1", "order-1") else []

    def tables(self, event: OrderPlaced) -> dict[str, bool]:
        if self.away:
            raise AuditError("Cassandra: no host answers")
        return self.held


class House:
    """The three sources."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.kafka, self.store = Kafka(), Store()
        self.later = 60_000  # ms after the order
        for name, text in (("orders-1", VIEW), ("orders-2", OWNER), ("ledger-1", LEDGER + ACKNOWLEDGED)):
            (logs / f"{name}.log").write_text("something else\n" + text)

    def follower(self, *, kafka: bool = True, cassandra: bool = True) -> Follower:
        log: Any = self.kafka if kafka else None
        store: Any = self.store if cassandra else None
        return Follower(self.logs, log, store, lambda _: PARTITION, lambda: T0 + self.later)

    def follow(self, *, kafka: bool = True, cassandra: bool = True) -> Trace:
        return self.follower(kafka=kafka, cassandra=cassandra).follow(ORDER.order_id, 0)

    def lose_logs(self) -> None:
        for path in self.logs.iterdir():
            path.unlink()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


WHOLE = [
    (1.5, "orders-1"),
    (2, "order-commands/2@41"),
    (3.25, "orders-2"),
    (4, "orders-tables-changelog/2@88"),
    (4, "order-events/2@17"),
    (5, "kitchen-tickets/2@3"),
    (9.5, "orders-1"),
    (30, "ledger-1"),
    (1030, "ledger-1"),
]


def test_an_order_is_followed_through_every_service_in_the_order_of_time(house: House) -> None:
    trace = house.follow()
    assert [(round(step.at - T0, 3), step.where) for step in trace.steps] == WHOLE
    assert (trace.outcome, trace.version, trace.partition, trace.request_ids) == ("accepted", 1, PARTITION, ["pad-7"])
    assert (trace.table, trace.session, trace.client_order_id) == ("T1", 1, "order-1")
    assert all(trace.cassandra.values())
    assert trace.notes == []
    assert house.kafka.scans == 0


def test_what_cooks_did_is_told_once_each(house: House) -> None:
    house.kafka.made = told(2, (5, 3), (600, 4), (900, 7), (901, 8))
    steps = [(round(step.at - T0), step.what) for step in house.follow().steps if "kitchen-tickets" in step.where]
    assert steps == [
        (5, "kitchen: ticket made, 1 line"),
        (600, "kitchen: bump by anna, cooking, version 2"),
        (900, "kitchen: bump by anna, ready, version 3"),
    ]


def test_an_order_without_tickets_is_told_and_so_is_one_that_lacks_some(house: House) -> None:
    house.kafka.made = []
    assert [note for note in house.follow().notes if "told of no ticket" in note]
    house.kafka.made = told(0, (5, 3), lines=LINES)
    assert house.follow().notes == ["bar has no ticket of it: `python -m app audit`"]


def test_logs_that_were_moved_aside_are_read_too(house: House) -> None:
    for name in ("orders-1", "ledger-1"):
        (house.logs / f"{name}.log").rename(house.logs / f"{name}.log.1")
        (house.logs / f"{name}.log").write_text("a new one\n")
    assert [(round(step.at - T0, 3), step.where) for step in house.follow().steps] == WHOLE


def test_without_logs_kafka_and_cassandra_tell_what_they_know(house: House) -> None:
    house.lose_logs()
    trace = house.follow()
    assert [step.where for step in trace.steps] == [where for _, where in WHOLE if "/" in where]
    assert (trace.outcome, trace.request_ids) == ("accepted", ["pad-7"])
    assert [note for note in trace.notes if "the logs tell nothing" in note]


def test_with_cassandra_away_the_log_is_looked_through(house: House) -> None:
    house.lose_logs()
    house.store.away = True
    trace = house.follow()
    assert house.kafka.scans == 1
    assert [step.where for step in trace.steps] == [where for _, where in WHOLE if "/" in where]
    assert trace.cassandra == {}
    assert trace.notes.count("Cassandra: no host answers: what it knows is left out") == 1


def test_a_command_that_has_left_the_log_is_found_by_its_event(house: House) -> None:
    house.lose_logs()
    house.kafka.stand.clear()
    trace = house.follow(cassandra=False)
    assert trace.outcome == "accepted"
    house.kafka.begins = 42
    assert [note for note in house.follow(cassandra=False).notes if "left the log by its age" in note]
    assert [note for note in trace.notes if "made anew or lost data" in note]


@pytest.mark.parametrize(("is_past", "means"), [(True, "lost there"), (False, "not come to it yet")])
def test_what_cassandra_lacks_is_lost_or_only_late(house: House, is_past: bool, means: str) -> None:
    house.store.held["orders_by_day"] = False
    house.kafka.is_past = is_past
    [note] = house.follow().notes
    assert "orders_by_day" in note
    assert means in note


@pytest.mark.parametrize(("later", "means"), [(55, "given way"), (-1, "neither")])
def test_a_row_that_is_not_there_was_compacted_or_is_lost(house: House, later: int, means: str) -> None:
    house.kafka.led_to = None, later
    [note] = house.follow().notes
    assert means in note


def test_an_order_whose_event_is_missing_is_told(house: House) -> None:
    house.kafka.told = None
    assert [note for note in house.follow().notes if "event is not in order-events" in note]


def test_an_order_that_was_refused_has_no_event_and_needs_none(house: House) -> None:
    house.lose_logs()
    refused = NAMED.replace(" version=1", " version=4")
    (house.logs / "orders-1.log").write_text(
        line(3, "order decided", f"{refused} partition=2 offset=41 outcome=version_conflict")
        + line(5, "order answered", f"{refused} outcome=version_conflict ms=4.00")
    )
    house.store.stored = house.kafka.told = None
    trace = house.follow()
    assert (trace.outcome, trace.version, trace.notes) == ("version_conflict", 0, [])


def test_an_order_sent_again_shows_each_command(house: House) -> None:
    house.kafka.stand.append(Command(Found(PARTITION, 44, T0 + 900, encode(COMMAND)), COMMAND))
    trace = house.follow()
    assert [step.where for step in trace.steps if "commands" in step.where] == [
        "order-commands/2@41",
        "order-commands/2@44",
    ]
    assert [note for note in trace.notes if "sent 2 times" in note]


def test_what_other_services_say_of_an_order_is_shown_too(house: House) -> None:
    (house.logs / "auditor-1.log").write_text(line(60_000, f"{ORDER.order_id} is lost", "logger=app.audit"))
    last = house.follow().steps[-1]
    assert (last.where, "is lost" in last.what) == ("auditor-1", True)


def test_an_order_that_nobody_knows_is_an_error_that_says_who_could_not_be_asked(house: House) -> None:
    house.store.away = True
    house.kafka.stand, house.kafka.told = [], None
    with pytest.raises(UnknownOrderError, match="no host answers"):
        house.follower().follow("o" + "0" * 32, 0)


def test_a_pads_own_id_leads_to_the_order_from_each_source_alone(house: House) -> None:
    def found(**sources: bool) -> str:
        return house.follower(**sources).named_by_pad("T1", "order-1", 0)

    assert found(kafka=False, cassandra=False) == ORDER.order_id
    house.lose_logs()
    assert found(kafka=False) == ORDER.order_id
    house.store.away = True
    assert found() == ORDER.order_id
    with pytest.raises(UnknownOrderError):
        house.follower().named_by_pad("T1", "order-2", 0)
    with pytest.raises(UnknownOrderError):
        house.follower().named_by_pad("T2", "order-1", 0)


def test_a_request_id_leads_to_the_order_from_the_logs_or_the_commands(house: House) -> None:
    assert house.follower().of_request("pad-7", 0) == ORDER.order_id
    assert house.kafka.scans == 0
    house.lose_logs()
    assert house.follower().of_request("pad-7", 0) == ORDER.order_id
    with pytest.raises(UnknownOrderError):
        house.follower().of_request("pad-", 0)


def test_the_windows_of_times_that_are_near_are_one() -> None:
    assert windows([100_000]) == [(40_000, 160_000)]
    assert windows([500_000, 100_000, 150_000]) == [(40_000, 210_000), (440_000, 560_000)]


def test_lines_of_another_form_are_none_and_a_quoted_value_is_read_back() -> None:
    assert parse("x", "[2026-11-24 18:00:00] kafka says something") is None
    assert parse("x", "timestamp=yesterday event=a") is None
    told = parse("x", line(1, "a b", r'text="say \"no\" = 1" n=3'))
    assert told is not None
    assert (told.event, told.facts["text"], told.number("n"), told.number("text")) == ("a b", 'say "no" = 1', 3, None)


def test_an_event_is_acknowledged_by_the_first_line_whose_range_holds_it(house: House) -> None:
    lines = list(search(house.logs, "events acknowledged"))
    assert acknowledgement(lines, 9) is None
    assert acknowledgement(lines, 21) is None
    assert all(acknowledgement(lines, offset) for offset in (10, 20))


def test_the_table_shows_ms_since_the_first_step_and_json_the_same(house: House) -> None:
    trace = house.follow()
    shown = list(cli.lines(trace))
    assert shown[0] == f"order {ORDER.order_id}: accepted as version 1"
    assert [text.split()[0] for text in shown if " ms  2023-" in text] == [
        "0.0",
        "0.5",
        "1.8",
        "2.5",
        "2.5",
        "3.5",
        "8.0",
        "28.5",
        "1028.5",
    ]
    steps: Any = json.loads(json.dumps(cli.as_dict(trace)))["steps"]
    assert [step["ms"] for step in steps][:3] == [0, 0.5, 1.75]


@pytest.mark.parametrize(
    ("arguments", "says"), [((), "name one"), (("o1",), "no order id"), (("o1", "--request", "x"), "name one")]
)
def test_what_is_no_order_is_refused_before_anything_is_asked(arguments: tuple[str, ...], says: str) -> None:
    done = click.testing.CliRunner().invoke(cli.command, arguments)
    assert done.exit_code != 0
    assert says in done.output


def cancelled(house: House, after: int) -> None:
    """The kitchen has cancelled the order so many ms after it was placed."""
    note = msgspec.structs.replace(cancel(1, client_id="order-1"), at=T0 + after)
    event = order_cancelled(note)
    house.kafka.cancelled = [
        Cancel(ORDER_COMMANDS, Found(PARTITION, 55, T0 + after + 3, encode(note)), note),
        Cancel(ORDER_EVENTS, Found(PARTITION, 23, T0 + after + 5, encode(event)), event),
    ]


@pytest.mark.parametrize(("stands", "kafka"), [(True, True), (False, True), (True, False)])
def test_a_cancel_is_shown_as_far_as_it_is_known(house: House, stands: bool, kafka: bool) -> None:
    after = 3_600_000  # long ago, so that only Cassandra tells where in the log to look
    cancelled(house, after if stands else 1_000)
    house.later = 10 * after if stands else 60_000
    house.store.cancelled_at = T0 + after if stands else 0
    trace = house.follow(kafka=kafka)
    assert trace.cancelled_at == T0 + (after if stands else 1_000)
    told = [(step.where, step.what) for step in trace.steps if step.what.startswith("cancelled")]
    assert (
        told
        == [
            ("kitchen", "cancelled: the kitchen decided so"),
            ("order-commands/2@55", "cancelled: the kitchen's note is in the log"),
            ("order-events/2@23", "cancelled: its event is in the log"),
        ][: 3 if kafka else 1]
    )
    assert next(cli.lines(trace)).endswith(f"accepted as version 1, cancelled at {at(trace.cancelled_at - T0)[:23]}Z")


def test_an_order_that_stands_was_not_cancelled(house: House) -> None:
    trace = house.follow()
    assert trace.cancelled_at == 0
    assert not any("cancelled" in step.what for step in trace.steps)


def test_without_cassandra_a_cancel_is_looked_for_from_the_order_on(house: House) -> None:
    cancelled(house, 3_600_000)
    house.later = 36_000_000
    assert house.follow(cassandra=False).cancelled_at == T0 + 3_600_000
