"""What the audit makes of the kitchen's messages: what is missing, stands twice, or is told in two ways."""

import msgspec
import pytest

from app.audit.lines import ExpectedOrders, lines_of
from app.audit.orders import MOST_VERSIONS, Place
from app.audit.tickets import CLOCKS_MS, Amiss, Cooking, Part, Tickets, of_ticket
from app.messages import BadMessageError, Line, NewerSchemaError
from tests.kitchen_told import AT, LINES, changed, messages, order, parts, placed

T1 = Place("T1", 1, 1)
GRILL, BAR = messages(placed(T1))
ID = placed(T1).order_id


def cooking(*told: Part, done: int = 1, oldest: int | None = None) -> Cooking:
    """All that is told of one order, which stands at offset 0 of partition 2."""
    found = Cooking(done={2: done}, oldest={} if oldest is None else {2: oldest})
    found.tell(order(T1), 2, 0)
    for part in told:
        found.tickets.add(part)
    return found


def judged(found: Cooking) -> tuple[Amiss | None, str]:
    return found.judge(T1, bytes.fromhex(ID[1:]))


def from_json(message: bytes, **fields: object) -> Part:
    return of_ticket(b"T1", changed(message, **fields))


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_tells_place_version_and_lines() -> None:
    part = of_ticket(b"T1", GRILL)
    assert (part.place, part.station, part.stations, part.version) == (T1, "grill", ("grill", "bar"), 1)
    assert part.numbers == ("1", "3")
    assert str(part) == f"{ID}.grill at table T1, session 1, version 1"


def test_fields_of_later_releases_are_left() -> None:
    assert from_json(GRILL, seat=4).lines == of_ticket(b"T1", GRILL).lines


def test_a_newer_format_is_not_read() -> None:
    with pytest.raises(NewerSchemaError):
        from_json(GRILL, schema=2, lines="who knows")


@pytest.mark.parametrize(
    "fields",
    [
        {"ticket_id": f"{ID}.bar"},
        {"order_id": "5"},
        {"stations": ["bar"]},
        {"round": MOST_VERSIONS + 1},
        {"version": 0},
        {"lines": [{}]},
        {"table_number": "T2"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_contradicts_itself_is_no_ticket(fields: dict[str, object]) -> None:
    with pytest.raises(BadMessageError):
        from_json(GRILL, **fields)


def test_what_is_no_json_is_no_ticket() -> None:
    for value in (None, b"", b"\xff", b"[]"):
        with pytest.raises(BadMessageError):
            of_ticket(b"T1", value)


# ── all tickets of an order ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_with_all_of_its_tickets_is_well() -> None:
    assert judged(cooking(*parts(T1))) == (None, "")
    assert judged(cooking(*reversed(parts(T1, "grill", "grill", "bar")))) == (None, "")


def test_a_line_without_station_or_choices_is_told_as_the_kitchen_tells_it() -> None:
    lines = (Line("m1", "Soup", 1, 550, modifiers=("hot",)), Line("m2", "Stout", 1, 550, station="bar"))
    found = Cooking(done={0: 1})
    found.tell(order(T1, lines), 0, 0)
    for part in parts(T1, lines=lines):
        found.tickets.add(part)
    assert judged(found) == (None, "")


def test_an_order_without_tickets_is_lost() -> None:
    assert judged(cooking()) == (Amiss("lost", "missing in kitchen-tickets"), "")


@pytest.mark.parametrize(("told", "lacking"), [(0, "bar"), (1, "grill")])
def test_an_order_without_the_ticket_of_a_station_is_lost(told: int, lacking: str) -> None:
    assert judged(cooking(parts(T1)[told])) == (Amiss("lost", f"missing in kitchen-tickets for {lacking}"), "")


def test_a_later_version_stands_for_the_first_one_that_has_left_the_log() -> None:
    told = [part for part in parts(T1, "grill", "bar") if part.version == 2]
    assert judged(cooking(*told)) == (None, "")


def test_an_order_of_which_a_line_is_on_no_ticket_is_lost() -> None:
    lines = msgspec.json.decode(GRILL)["lines"]
    short = from_json(GRILL, lines=lines[:1])
    assert judged(cooking(short, parts(T1)[1])) == (Amiss("lost", "missing in kitchen-tickets with its line 3"), "")


@pytest.mark.parametrize("field", ["menu_item_id", "name", "quantity", "note", "modifiers", "allergens"])
def test_a_line_that_says_something_else_differs(field: str) -> None:
    lines = msgspec.json.decode(GRILL)["lines"]
    lines[0][field] = 9 if field == "quantity" else ["x"] if field in ("modifiers", "allergens") else "x"
    found = cooking(from_json(GRILL, lines=lines), parts(T1)[1])
    assert judged(found) == (Amiss("differing", "kitchen-tickets tells other lines of it"), "")


def test_a_line_at_another_station_differs() -> None:
    swapped = (*LINES[:1], msgspec.structs.replace(LINES[1], station="fry"), LINES[2])
    found = cooking(*parts(T1, lines=swapped))
    assert judged(found) == (Amiss("differing", "kitchen-tickets tells other lines of it"), "")


def test_another_order_at_the_place_differs() -> None:
    [amiss, _] = cooking(*parts(T1)).judge(T1, bytes(16))
    assert amiss == Amiss("differing", f"kitchen-tickets has {ID} there")


# ── told again ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_told_again_and_late_is_no_fault() -> None:
    tickets = Tickets()
    told = parts(T1, "grill", "bar", "grill")
    assert [tickets.add(part) for part in (*told, *told)] == [None] * 2 * len(told)
    assert tickets.judge(T1, None, order(T1).lines) is None


@pytest.mark.parametrize(("name", "value"), [("state", "ready"), ("by", "bob"), ("note", "!")])
def test_a_version_that_is_told_in_two_ways_differs(name: str, value: str) -> None:
    tickets = Tickets()
    tickets.add(of_ticket(b"T1", GRILL))
    amiss = tickets.add(from_json(GRILL, **{name: value}))
    assert amiss == Amiss("differing", f"{ID}.grill at {T1}: its version 1 is told in two ways")


def test_a_ticket_whose_lines_change_differs() -> None:
    tickets = Tickets()
    tickets.add(of_ticket(b"T1", GRILL))
    lines = msgspec.json.decode(GRILL)["lines"]
    amiss = tickets.add(from_json(GRILL, version=2, lines=lines[:1]))
    assert amiss is not None
    assert amiss.kind == "differing"


def test_a_line_in_two_tickets_is_cooked_twice() -> None:
    tickets = Tickets()
    tickets.add(of_ticket(b"T1", GRILL))
    second = from_json(GRILL, station="fry", ticket_id=f"{ID}.fry", stations=["fry", "bar"])
    assert tickets.add(second) == Amiss("duplicated", f"{ID}.fry at {T1}: line 1, 3 stands in another ticket, too")
    tickets.add(of_ticket(b"T1", BAR))
    assert tickets.judge(T1, None, order(T1).lines) is None  # told of once


def test_a_line_twice_in_one_ticket_is_cooked_twice() -> None:
    lines = msgspec.json.decode(GRILL)["lines"]
    amiss = Tickets().add(from_json(GRILL, lines=[*lines, lines[0]]))
    assert amiss is not None
    assert amiss.kind == "duplicated"


def test_two_orders_at_one_place_are_a_duplicate() -> None:
    tickets = Tickets()
    tickets.add(of_ticket(b"T1", GRILL))
    other = f"o{'1' * 32}"
    amiss = tickets.add(from_json(GRILL, order_id=other, ticket_id=f"{other}.grill"))
    assert amiss is not None
    assert amiss.kind == "duplicated"


def test_tickets_that_name_other_stations_differ() -> None:
    tickets = Tickets()
    tickets.add(of_ticket(b"T1", GRILL))
    amiss = tickets.add(from_json(BAR, stations=["bar"]))
    assert amiss is not None
    assert amiss.kind == "differing"


def test_of_many_orders_the_newest_are_kept_and_those_that_lack_a_ticket() -> None:
    tickets = Tickets(most=2)
    places = [Place("T1", 1, version) for version in range(1, 6)]
    tickets.add(parts(places[0])[0])
    for place in places[1:]:
        for part in parts(place):
            tickets.add(part)
    assert list(tickets) == [places[0], *places[3:]]
    assert list(tickets.incomplete) == places[:1]
    for version in range(6, 10):
        tickets.add(parts(Place("T1", 1, version))[0])
    assert len(tickets.incomplete) == 2


# ── what is no fault ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", [[], parts(T1)[:1]], ids=["none", "some"])
def test_what_the_kitchen_is_not_done_with_is_behind_and_not_lost(told: list[Part]) -> None:
    assert judged(cooking(*told, done=0)) == (None, "behind")
    assert judged(cooking(*told, done=1))[0] is not None


def test_what_is_older_than_the_oldest_ticket_that_is_left_has_expired() -> None:
    assert judged(cooking(oldest=AT + 1 - CLOCKS_MS)) == (Amiss("lost", "missing in kitchen-tickets"), "")
    assert judged(cooking(oldest=AT + 2 - CLOCKS_MS)) == (None, "expired")


def test_an_order_whose_event_is_gone_is_judged_by_its_stations_alone() -> None:
    found = Cooking(done={2: 1})
    assert judged(found) == (None, "expired")
    for part in parts(T1):
        found.tickets.add(part)
    assert judged(found) == (None, "")


def test_of_two_events_at_a_place_the_first_counts() -> None:
    expected = ExpectedOrders()
    first, second = order(T1), order(T1, LINES[:1])
    found = Cooking(expected=expected)
    for each in (first, second):
        found.tell(each, 0, 5)
    told = expected.get(*T1)
    assert told is not None
    assert (told.lines, told.placed_at, told.offset) == (lines_of(placed(T1)), first.placed_at, 5)
    assert expected.get("T1", 1, 2) is expected.get("T2", 1, 1) is None


def test_a_place_between_two_that_were_told_of_is_empty() -> None:
    found = Cooking()
    found.tell(order(Place("T1", 1, 3)), 0, 3)
    assert found.expected.get("T1", 1, 1) is None
    found.tell(order(Place("T1", 1, 1)), 0, 1)
    assert [found.expected.get("T1", 1, version) is None for version in (1, 2, 3, 4)] == [False, True, False, True]
