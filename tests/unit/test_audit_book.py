"""What the auditor counts as lost, duplicated or differing, and from when on; time is a number here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from app.audit.auditor import PIECE, Cursor
from app.audit.book import MOST_AMISS, Book, Told
from app.audit.orders import MOST_VERSIONS, Order, Place, of_brief, of_event
from app.audit.places import Places
from app.domain.ids import order_id
from app.domain.row import Row
from app.messages import Line, OrderPlaced

GRACE = 30.0
AT = 1_700_000_000_123
LINES = (Line("m1", "Soup", 2, 550),)
TABLES = ("orders_by_id", "orders_by_session", "orders_by_day")


def event(place: Place, client_id: str = "", **changes: int) -> OrderPlaced:
    name = client_id or f"id-{place.version}"
    told = OrderPlaced(
        order_id(place.table, place.session, name), name, *place, LINES, 1100, "EUR", AT + place.version, 7
    )
    return msgspec.structs.replace(told, **changes)


def order(place: Place, client_id: str = "", **changes: int) -> Order:
    return Order(place, of_event(event(place, client_id, **changes)), AT + place.version)


def held(order: Order, without: str = "", **others: Order) -> Mapping[str, Told | None]:
    """What Cassandra holds where this order belongs: the order itself, but `without` a table, or with another there."""
    found: dict[str, Told | None] = {table: (order.place, order.found) for table in TABLES if table != without}
    if without:
        found[without] = None
    return {**found, **{table: (other.place, other.found) for table, other in others.items()}}


@dataclass
class Evening:
    """A book, its clock, and what it said."""

    now: float = 1000.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Book(GRACE, self.said.append)

    def row(self, table: str, placed: int, session: int = 1, version: int | None = None) -> None:
        self.book.row(table, Row(session=session, version=version or placed, placed=placed, offset=placed))

    def events(self, *places: Place, is_whole: bool = True) -> None:
        for place in places:
            self.book.event(order(place), is_whole=is_whole)

    def compare(self, after: float = 0.0, is_whole: bool = True) -> None:
        self.now += after
        self.book.compare(self.now, is_whole=is_whole)

    def look(self, order: Order, held: Mapping[str, Told | None], after: float = 0.0) -> None:
        self.now += after
        self.book.look(order, held, self.now)


@pytest.fixture
def evening() -> Evening:
    return Evening()


def of_t1(*versions: int) -> list[Place]:
    return [Place("T1", 1, version) for version in versions]


# ── rows and events ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_evening_on_which_all_agree(evening: Evening) -> None:
    evening.row("T1", 2)
    evening.row("T2", 1)
    evening.events(*of_t1(1, 2), Place("T2", 1, 1))
    evening.compare()
    evening.compare(after=10 * GRACE)
    assert (evening.book.acknowledged, evening.book.told.count) == (3, 3)
    assert (evening.book.lost, evening.book.differing, evening.said) == (0, 0, [])


def test_an_order_that_only_its_row_counts_is_lost_after_the_grace_and_found_once_it_is_told(evening: Evening) -> None:
    evening.row("T1", 2)
    evening.events(*of_t1(1))
    evening.compare()
    evening.compare(after=GRACE - 1)
    assert evening.book.lost == 0
    evening.compare(after=1)
    assert evening.book.lost == 1
    evening.events(*of_t1(2))
    evening.compare(after=1)
    assert evening.book.lost == 0
    assert evening.said == [
        "table T1's row counts 2 orders, the log 1",
        "table T1's row and the log agree again",
    ]


def test_a_row_that_is_always_some_orders_ahead_of_its_events_is_not_lost(evening: Evening) -> None:
    for placed in range(1, 100):
        evening.row("T1", placed + 1)
        evening.events(*of_t1(placed))
        evening.compare(after=1)
    assert evening.book.lost == 0


def test_events_that_are_always_some_orders_ahead_of_their_row_do_not_differ(evening: Evening) -> None:
    for placed in range(1, 100):
        evening.row("T1", placed)
        evening.events(*of_t1(placed, placed + 1))
        evening.compare(after=1)
    assert evening.book.differing == 0


def test_an_event_beyond_its_row_differs_after_the_grace(evening: Evening) -> None:
    evening.row("T1", 1)
    evening.events(*of_t1(1, 2))
    evening.compare()
    evening.compare(after=GRACE)
    assert (evening.book.lost, evening.book.differing) == (0, 1)


def test_a_version_that_was_passed_over_is_lost_while_the_table_orders_on(evening: Evening) -> None:
    evening.events(*of_t1(1))
    for version in range(3, 50):
        evening.row("T1", version)
        evening.events(*of_t1(version))
        evening.compare(after=1)
    assert evening.book.lost == 1
    assert evening.said[0] == "the order at table T1, session 1, version 2 is lost: the log lacks it"
    evening.events(*of_t1(2))
    evening.compare()
    assert evening.book.lost == 0
    assert evening.said[1] == "the order at table T1, session 1, version 2 is found again"


def lose_the_last_of_two(evening: Evening) -> None:
    evening.row("T1", 2)
    evening.events(*of_t1(1))
    evening.compare()
    evening.compare(after=GRACE)
    assert evening.book.lost == 1


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_lost_order_stays_lost_once_when_the_next_ones_show_its_place(evening: Evening, ahead: int) -> None:
    lose_the_last_of_two(evening)
    for version in (3, 4, 5):
        evening.row("T1", version)
        evening.events(*of_t1(version, version + ahead))
        evening.compare(after=1)
        assert evening.book.lost == 1


def test_a_lost_order_stays_lost_when_the_next_party_orders_on(evening: Evening) -> None:
    lose_the_last_of_two(evening)
    for version in (1, 2, 3):
        evening.row("T1", 2 + version, session=2, version=version)
        evening.events(Place("T1", 2, version))
        evening.compare(after=1)
        assert evening.book.lost == 1


def test_while_kafka_is_away_nothing_grows_into_a_loss(evening: Evening) -> None:
    evening.row("T1", 1)
    evening.compare()
    evening.book.start_over()
    evening.compare(after=10 * GRACE)
    assert evening.book.lost == 0
    evening.compare(after=GRACE)
    assert evening.book.lost == 1


def test_an_older_row_that_comes_late_changes_nothing(evening: Evening) -> None:
    evening.row("T1", 2)
    evening.row("T1", 1)
    assert evening.book.acknowledged == 2


def test_orders_that_left_the_log_by_their_age_are_not_lost(evening: Evening) -> None:
    evening.row("T1", 10, session=2, version=4)
    evening.row("T2", 3)
    evening.events(Place("T1", 2, 3), Place("T1", 2, 4), is_whole=False)
    evening.compare(is_whole=False)
    evening.compare(after=GRACE, is_whole=False)
    assert (evening.book.lost, sum(evening.book.expired.values())) == (0, 11)
    evening.row("T1", 11, session=2, version=5)
    evening.compare(is_whole=False)
    evening.compare(after=GRACE, is_whole=False)
    assert evening.book.lost == 1


def test_an_impossible_version_differs_once(evening: Evening) -> None:
    evening.events(*of_t1(MOST_VERSIONS + 1, MOST_VERSIONS + 1))
    assert (evening.book.differing, evening.book.told.count) == (1, 0)


# ── Cassandra ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", TABLES)
def test_an_order_that_a_table_lacks_is_lost_after_the_grace_and_found_when_it_is_back(
    evening: Evening, table: str
) -> None:
    [place] = of_t1(1)
    it = order(place)
    evening.look(it, held(it, without=table))
    assert (evening.book.lost, evening.book.in_cassandra(table), evening.book.oldest_missing()) == (0, 0, it.placed_at)
    evening.look(it, held(it, without=table), after=GRACE)
    assert evening.book.lost == 1
    evening.look(it, held(it), after=1)
    assert (evening.book.lost, evening.book.in_cassandra(table), evening.book.oldest_missing()) == (0, 1, None)
    assert evening.said == [f"{it} is lost: it is missing in {table}", f"{it} is found again"]


def test_only_the_table_that_lacks_an_order_counts_fewer(evening: Evening) -> None:
    for place in of_t1(1, 2, 3):
        evening.look(order(place), held(order(place), without="orders_by_day" if place.version == 2 else ""))
    assert [evening.book.in_cassandra(table) for table in TABLES] == [3, 3, 2]


def test_an_order_that_is_looked_for_again_counts_once(evening: Evening) -> None:
    for place in of_t1(1, 2, 1, 2):
        evening.look(order(place), held(order(place)))
    assert evening.book.in_cassandra("orders_by_id") == 2


def test_a_missing_order_is_looked_for_again_within_the_grace(evening: Evening) -> None:
    [place] = of_t1(1)
    evening.look(order(place), held(order(place), without="orders_by_id"))
    assert evening.book.due(evening.now) == []
    assert evening.book.due(evening.now + GRACE / 2) == [order(place)]


def test_two_orders_at_one_place_are_one_duplicate_whichever_is_looked_for(evening: Evening) -> None:
    [place] = of_t1(1)
    first, second = order(place), order(place, "another")
    for _ in range(2):
        evening.look(first, held(first))
        evening.look(second, held(second, orders_by_session=first))
        assert len(evening.book.duplicated) == 1
    assert len(evening.said) == 1
    assert str(second) in evening.said[0]


def test_one_order_at_two_places_is_one_duplicate(evening: Evening) -> None:
    first, second = (order(place, "the same") for place in of_t1(1, 2))
    evening.look(first, held(first))
    evening.look(second, held(second, orders_by_id=first))
    assert (len(evening.book.duplicated), evening.book.differing) == (1, 0)


def test_an_order_told_in_another_way_differs(evening: Evening) -> None:
    [place] = of_t1(1)
    it, other = order(place), order(place, total=5)
    evening.look(it, held(it, orders_by_id=other))
    assert (evening.book.differing, len(evening.book.duplicated), evening.book.lost) == (1, 0, 0)
    evening.look(it, held(it))
    assert evening.book.differing == 0


def test_an_order_told_without_its_lines_does_not_differ(evening: Evening) -> None:
    [place] = of_t1(1)
    it = order(place)
    brief = of_brief(event(place).order_id, 1100, "EUR", it.placed_at)
    evening.look(it, {**held(it), "orders_by_day": (place, brief)})
    assert (evening.book.differing, evening.said) == (0, [])


def test_with_too_much_amiss_the_book_is_full(evening: Evening) -> None:
    for place in of_t1(*range(1, MOST_AMISS + 1)):
        assert not evening.book.is_full
        evening.look(order(place), held(order(place), without="orders_by_id"))
    assert evening.book.is_full


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_places_are_counted_once_however_often_and_late_they_come() -> None:
    places = Places()
    new = [places.add(place) for place in [*of_t1(1, 2, 1, 2), Place("T1", 2, 1), *of_t1(2), Place("T2", 1, 1)]]
    assert new == [True, True, False, False, True, False, True]
    assert (places.count, places.of_table("T1"), places.of_table("T3")) == (4, 3, 0)
    assert places.gaps == set()


def test_a_place_that_was_passed_over_is_new_when_it_comes() -> None:
    places = Places()
    for place in of_t1(1, 4):
        places.add(place)
    assert places.gaps == set(of_t1(2, 3))
    assert places.add(Place("T1", 1, 3))
    assert not places.add(Place("T1", 1, 3))
    assert (places.gaps, places.count) == (set(of_t1(2)), 3)


def test_a_session_begins_with_its_first_version_unless_that_has_left_the_log() -> None:
    places = Places()
    places.add(Place("T1", 1, 3), is_whole=False)
    assert places.gaps == set()
    places.add(Place("T1", 2, 2), is_whole=False)
    assert places.gaps == {Place("T1", 2, 1)}


# ── cursors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cursor_takes_pieces_until_it_has_come_to_every_end() -> None:
    cursor, starts, ends = Cursor(), {0: 0, 1: 40}, {0: 250, 1: 60}
    seen: list[tuple[int, int, int]] = []
    while (piece := cursor.next(starts, ends, PIECE)) is not None:
        seen.append(piece)
        cursor.at[piece[0]] = piece[2]
    assert sorted(seen) == [(0, 0, 100), (0, 100, 200), (0, 200, 250), (1, 40, 60)]
    assert cursor.next(starts, {0: 251, 1: 60}, PIECE) == (0, 250, 251)


def test_a_cursor_goes_on_where_the_log_begins_by_now() -> None:
    cursor = Cursor()
    cursor.at = {0: 10}
    assert cursor.next({0: 500}, {0: 510}, PIECE) == (0, 500, 510)
    assert Cursor().next({}, {}, PIECE) is None
