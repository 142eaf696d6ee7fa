"""The audit sees each way in which rows, log and Cassandra can disagree."""

from dataclasses import dataclass, field

import msgspec
import pytest

from app.audit.check import Acknowledgement, Report, compare, note
from app.audit.lines import lines_of
from app.audit.log import AuditError
from app.audit.orders import Found, Order, Orders, Place, agree, id_bytes, of_brief, of_event, of_pointer, of_whole
from app.audit.run import read_acknowledgements
from app.audit.tickets import Cooking, of_ticket
from app.domain.ids import order_id
from app.domain.row import Row
from app.messages import Line, OrderPlaced, encode
from tests.kitchen_told import messages

LINES = (Line("m1", "Soup", 2, 550, "no salt"),)


def the_id(place: Place) -> str:
    return order_id(place.table, place.session, f"id-{place.version}")


def event(place: Place) -> OrderPlaced:
    return OrderPlaced(the_id(place), f"id-{place.version}", *place, LINES, 1100, "EUR", 1_700_000_000_123, 7)


def stored(place: Place) -> Found:
    brief = of_brief(the_id(place), 1100, "EUR", 1_700_000_000_123)
    return of_whole(brief, f"id-{place.version}", encode(LINES).decode(), "", 7)


@dataclass
class Evening:
    """Two tables, one of them in its second session; everything agrees until a test spoils it."""

    rows: dict[str, Row] = field(default_factory=dict)
    events: Orders = field(default_factory=lambda: Orders("order-events"))
    by_id: Orders = field(default_factory=lambda: Orders("orders_by_id"))
    by_day: Orders = field(default_factory=lambda: Orders("orders_by_day"))
    cooking: Cooking = field(default_factory=lambda: Cooking(done={0: 10**6}))
    report: Report = field(default_factory=Report)

    def cook(self, place: Place, *, is_told: bool = True) -> None:
        """The kitchen comes to an order, and tells so."""
        told = event(place)
        self.cooking.tell(Order(place, of_event(told), told.placed_at, lines_of(told)), 0, 0)
        for message in messages(told) if is_told else ():
            self.cooking.tickets.add(of_ticket(place.table.encode(), message))

    def audit(self, *acknowledgements: Acknowledgement, log_is_cut: bool = False) -> Report:
        stores = [self.by_id, self.by_day]
        compare(
            self.rows,
            self.events,
            stores,
            self.cooking,
            self.report,
            log_is_cut=log_is_cut,
            acknowledgements=acknowledgements,
        )
        return self.report


PLACES = [Place("T1", 1, 1), Place("T1", 1, 2), Place("T1", 2, 1), Place("T2", 1, 1)]


def evening(
    *, no_event: Place | None = None, not_by_day: Place | None = None, no_ticket: Place | None = None
) -> Evening:
    house = Evening()
    house.rows = {"T1": Row(session=2, version=1, placed=3), "T2": Row(session=1, version=1, placed=1)}
    for place in PLACES:
        if place != no_event:
            house.events.add(place, of_event(event(place)))
            house.cook(place, is_told=place != no_ticket)
        house.by_id.add(place, stored(place))
        if place != not_by_day:
            house.by_day.add(place, of_brief(the_id(place), 1100, "EUR", 1_700_000_000_123))
    return house


def test_sources_agree_as_far_as_both_tell() -> None:
    place = Place("T1", 1, 1)
    brief = of_brief(the_id(place), 1100, "EUR", 5)
    whole, other = (of_whole(brief, client_id, encode(LINES).decode(), "", 7) for client_id in ("id-1", "id-2"))
    pointer = of_pointer(the_id(place))
    assert agree(pointer, brief)
    assert agree(pointer, whole)
    assert not agree(pointer, of_pointer(the_id(Place("T1", 1, 2))))
    assert agree(brief, whole)
    assert not agree(whole, other)
    assert not agree(of_brief(the_id(place), 1200, "EUR", 5), whole)


def test_an_evening_on_which_all_agree() -> None:
    report = evening().audit(*(Acknowledgement(place, id_bytes(the_id(place))) for place in PLACES))
    assert str(report) == "acknowledged=4 events=4 cassandra=4 tickets=4 lost=0 duplicated=0"
    assert report.is_clean


@pytest.mark.parametrize("place", PLACES)
def test_an_order_without_event_is_lost(place: Place) -> None:
    report = evening(no_event=place).audit()
    assert (report.lost, report.events) == (1, 3)
    assert f"{place} is missing in order-events" in report.problems[0]


@pytest.mark.parametrize("place", PLACES)
def test_an_order_that_one_table_of_cassandra_lacks_is_lost(place: Place) -> None:
    report = evening(not_by_day=place).audit()
    assert (report.lost, report.cassandra) == (1, 3)
    assert f"{place} is missing in orders_by_day" in report.problems[0]


@pytest.mark.parametrize("place", PLACES)
def test_an_order_without_tickets_is_lost(place: Place) -> None:
    house = evening(no_ticket=place)
    report = house.audit()
    assert (report.lost, report.tickets) == (1, 3)
    assert report.problems == [f"{the_id(place)} at {place} is missing in kitchen-tickets"]


def test_an_order_that_is_nowhere_but_in_the_log_is_lost_once() -> None:
    house = evening(no_ticket=PLACES[0], not_by_day=PLACES[0])
    report = house.audit()
    assert report.lost == 1
    assert report.problems[0].endswith("is missing in orders_by_day, missing in kitchen-tickets")


def test_an_order_that_the_kitchen_is_not_done_with_is_behind() -> None:
    house = evening(no_ticket=PLACES[0])
    house.cooking.done = {0: 0}
    report = house.audit()
    assert report.is_clean
    assert str(report).endswith("tickets=3 lost=0 duplicated=0 behind=1")


def test_an_order_older_than_the_tickets_that_are_left_is_expired() -> None:
    house = evening(no_ticket=PLACES[0])
    house.cooking.oldest = {0: 1_700_000_000_123}
    report = house.audit()
    assert report.is_clean
    assert str(report).endswith("tickets=3 lost=0 duplicated=0 expired=1")


def test_a_ticket_of_other_lines_is_seen() -> None:
    house = evening(no_ticket=PLACES[0])
    other = msgspec.structs.replace(event(PLACES[0]), lines=(msgspec.structs.replace(LINES[0], quantity=3),))
    for message in messages(other):
        house.cooking.tickets.add(of_ticket(b"T1", message))
    report = house.audit()
    assert (report.lost, report.differing, report.tickets) == (0, 1, 3)


def test_a_ticket_of_an_order_that_the_log_does_not_tell_of_is_seen() -> None:
    house, nowhere = evening(), Place("T7", 1, 1)
    for message in messages(event(nowhere)):
        house.cooking.tickets.add(of_ticket(b"T7", message))
    assert house.audit().differing == 1
    assert house.report.problems == [f"kitchen-tickets has an order at {nowhere}, of which the log tells nothing"]


def test_an_order_that_only_its_row_knows_is_lost() -> None:
    house = evening()
    house.rows["T2"] = Row(session=1, version=2, placed=2)
    assert house.audit().lost == 1


def test_an_order_of_an_earlier_session_that_only_its_row_counts_is_lost() -> None:
    house = evening()
    house.rows["T2"] = Row(session=2, version=0, placed=3)
    report = house.audit()
    assert report.lost == 2
    assert report.problems == ["table T2's row counts 3 orders, of which 2 are nowhere"]


def test_a_row_behind_its_events_is_seen() -> None:
    house = evening()
    house.rows["T2"] = Row(session=1, version=0, placed=0)
    report = house.audit()
    assert report.differing == 2
    assert not report.is_clean


def test_a_table_without_row_is_seen() -> None:
    house = evening()
    del house.rows["T2"]
    assert house.audit().differing == 1


def test_two_orders_at_one_version_are_a_duplicate() -> None:
    house = evening()
    other = of_event(event(Place("T1", 1, 9)))
    note(house.events, PLACES[0], other, house.report, may_repeat=True)
    assert house.audit().duplicated == 1


def test_one_order_at_two_versions_is_a_duplicate() -> None:
    house = evening()
    again, found = Place("T1", 2, 2), of_event(event(PLACES[2]))
    for source in (house.events, house.by_id, house.by_day):
        source.add(again, found)
    house.rows["T1"] = Row(session=2, version=2, placed=4)
    report = house.audit()
    assert (report.lost, report.duplicated) == (0, 1)


def test_the_same_event_twice_is_none() -> None:
    house = evening()
    note(house.events, PLACES[0], of_event(event(PLACES[0])), house.report, may_repeat=True)
    assert house.audit().is_clean


def test_an_order_twice_in_a_table_of_cassandra_is_a_duplicate() -> None:
    house = evening()
    note(house.by_id, PLACES[0], stored(PLACES[0]), house.report, may_repeat=False)
    assert house.audit().duplicated == 1


def test_an_event_that_tells_otherwise_the_second_time_is_seen() -> None:
    house = evening()
    note(
        house.events,
        PLACES[0],
        of_event(msgspec.structs.replace(event(PLACES[0]), total=5)),
        house.report,
        may_repeat=True,
    )
    assert house.audit().differing == 1


@pytest.mark.parametrize(
    ("total", "placed_at", "note_text"), [(1101, 1_700_000_000_123, ""), (1100, 5, ""), (1100, 1_700_000_000_123, "!")]
)
def test_a_store_that_tells_another_order_is_seen(total: int, placed_at: int, note_text: str) -> None:
    house, place = evening(), PLACES[3]
    brief = of_brief(the_id(place), total, "EUR", placed_at)
    house.by_id = Orders("orders_by_id")
    for other in PLACES[:3]:
        house.by_id.add(other, stored(other))
    house.by_id.add(place, of_whole(brief, "id-1", encode(LINES).decode(), note_text, 7))
    report = house.audit()
    assert (report.lost, report.differing, report.cassandra) == (0, 1, 3)


def test_what_a_pad_was_told_must_stand_under_its_id() -> None:
    stranger = Acknowledgement(PLACES[0], id_bytes(the_id(Place("T9", 1, 1))))
    nowhere = Acknowledgement(Place("T2", 1, 5), id_bytes(the_id(Place("T2", 1, 5))))
    report = evening().audit(stranger, nowhere)
    assert (report.differing, report.lost) == (1, 1)


def test_orders_older_than_the_log_are_looked_up_in_cassandra_only() -> None:
    report = evening(no_event=PLACES[0]).audit(log_is_cut=True)
    assert str(report) == "acknowledged=4 events=3 cassandra=4 tickets=3 lost=0 duplicated=0 expired=1"
    assert evening(no_event=PLACES[0], not_by_day=PLACES[0]).audit(log_is_cut=True).lost == 1


def test_an_impossible_version_is_seen() -> None:
    house = evening()
    note(house.events, Place("T1", 1, 1 << 40), of_event(event(PLACES[0])), house.report, may_repeat=True)
    assert house.audit().differing == 1


def test_only_the_first_problems_are_told_but_all_are_counted() -> None:
    house = Evening(rows={f"T{n}": Row(session=1, version=1, placed=1) for n in range(50)})
    report = house.audit()
    assert report.lost == 50
    assert len(report.problems) == 20


def test_acknowledgements_are_read_from_their_file() -> None:
    line = f'{{"table":"T1","session":1,"version":2,"order_id":"{the_id(PLACES[1])}","client_order_id":"id-2"}}'
    assert list(read_acknowledgements([line])) == [Acknowledgement(PLACES[1], id_bytes(the_id(PLACES[1])))]
    with pytest.raises(AuditError, match="line 2"):
        list(read_acknowledgements([line, "{}"]))
