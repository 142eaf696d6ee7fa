"""What the auditor counts as without tickets, and from when on; time is a number here."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from app.audit import log
from app.audit.kitchen import KEPT, Progress
from app.audit.orders import Place
from app.audit.tickets import Part, of_ticket
from app.messages import Line
from tests.kitchen_told import LINES, changed, messages, order, parts, placed
from tests.unit.test_audit_book import GRACE
from tests.unit.test_audit_book import Evening as Book


@dataclass
class Evening(Book):
    """A book whose log has one partition, and a kitchen that is done with all of it unless a test says otherwise."""

    offset: int = 0  # the end of the events
    done: int | None = None
    tickets: list[str] = field(default_factory=list)

    def orders(self, *places: Place, lines: tuple[Line, ...] = LINES) -> None:
        for place in places:
            self.offset += 1
            self.book.event(order(place, lines), is_whole=True, partition=2)

    def cooks(self, *told: Part, is_whole: bool = True) -> None:
        for part in told:
            self.book.kitchen.ticket(part, is_whole=is_whole)

    def look(self, after: float = 0.0, *, is_whole: bool = True) -> int:  # type: ignore[override]
        """How many lack tickets."""
        self.now += after
        done = self.offset if self.done is None else self.done
        self.book.kitchen.compare(self.now, {2: self.offset}, {2: done}, is_whole=is_whole)
        return self.book.kitchen.lost

    def look_long(self, *, is_whole: bool = True) -> int:
        """The same once the grace has passed."""
        self.look(is_whole=is_whole)
        self.look(is_whole=is_whole)
        return self.look(GRACE, is_whole=is_whole)


@pytest.fixture
def evening() -> Evening:
    return Evening()


def of_t1(*versions: int) -> list[Place]:
    return [Place("T1", 1, version) for version in versions]


def all_of(*places: Place) -> list[Part]:
    return [part for place in places for part in parts(place)]


def test_an_evening_on_which_every_order_has_its_tickets(evening: Evening) -> None:
    evening.orders(*of_t1(1, 2), Place("T2", 1, 1))
    evening.cooks(*all_of(*of_t1(1, 2), Place("T2", 1, 1)))
    assert evening.look_long() == 0
    kitchen = evening.book.kitchen
    assert (kitchen.count, kitchen.behind, kitchen.differing, evening.said) == (3, 0, 0, [])


def test_an_order_without_tickets_is_lost_after_the_grace_and_found_once_it_has_them(evening: Evening) -> None:
    evening.orders(*of_t1(1))
    evening.look()
    assert evening.look() == 0  # seen amiss for the first time
    assert evening.look(GRACE - 1) == 0
    assert evening.look(1) == 1
    assert evening.book.lost == 1
    evening.cooks(*all_of(*of_t1(1)))
    assert evening.look(1) == 0
    assert evening.said == [
        "table T1 has 1 orders without all of their tickets: the last ones",
        "table T1 has all of its tickets",
    ]


def test_an_order_that_lacks_the_ticket_of_one_station_is_lost_by_name(evening: Evening) -> None:
    evening.orders(*of_t1(1, 2))
    evening.cooks(*parts(Place("T1", 1, 1))[:1], *all_of(*of_t1(2)))
    assert evening.look_long() == 1
    assert evening.said == ["table T1 has 1 orders without all of their tickets: table T1, session 1, version 1"]


def test_while_the_kitchen_is_not_done_with_an_order_it_is_behind_and_not_lost(evening: Evening) -> None:
    evening.orders(*of_t1(1, 2, 3))
    evening.cooks(*all_of(*of_t1(1)))
    evening.done = 1
    assert evening.look_long() == 0
    assert evening.look(100 * GRACE) == 0
    assert evening.book.kitchen.behind == 2
    evening.done = 3
    evening.look()
    assert evening.look(GRACE) == 2
    assert evening.book.kitchen.behind == 0


def test_one_that_is_missed_is_lost_while_its_table_orders_on_and_on(evening: Evening) -> None:
    evening.orders(*of_t1(1))
    for version in range(2, 120, 3):
        evening.done = evening.offset  # what has come since is not known to be done with, and mostly is
        evening.orders(*of_t1(version, version + 1, version + 2))
        evening.cooks(*all_of(*of_t1(version, version + 1)), *all_of(*of_t1(version - 1)) if version > 2 else ())
        evening.look(1)
    assert evening.book.kitchen.lost == 1
    assert "table T1, session 1, version 1" in evening.said[0]


def test_a_kitchen_that_is_always_some_orders_behind_loses_none(evening: Evening) -> None:
    for version in range(1, 100):
        evening.orders(*of_t1(version))
        evening.cooks(*all_of(*of_t1(version - 2)) if version > 2 else ())
        evening.done = max(0, version - 2)
        assert evening.look(1) == 0
    assert evening.said == []


def test_messages_that_come_again_count_once(evening: Evening) -> None:
    evening.orders(*of_t1(1, 2))
    for _ in range(2):
        evening.cooks(*(part for place in of_t1(1, 2) for part in parts(place, "grill", "bar")))
    assert evening.look_long() == 0
    assert (evening.book.kitchen.count, evening.book.differing, evening.said) == (2, 0, [])


def test_a_line_in_two_tickets_is_a_duplicate_said_once(evening: Evening) -> None:
    grill, _ = messages(placed(Place("T1", 1, 1)))
    the_id = placed(Place("T1", 1, 1)).order_id
    second = of_ticket(b"T1", changed(grill, station="fry", ticket_id=f"{the_id}.fry", stations=["grill", "fry"]))
    evening.orders(*of_t1(1))
    evening.cooks(*all_of(*of_t1(1)), second, second)
    assert evening.look_long() == 0
    assert len(evening.book.kitchen.duplicated) == 1
    assert len(evening.said) == 1


def test_a_version_told_in_two_ways_differs(evening: Evening) -> None:
    grill, _ = messages(placed(Place("T1", 1, 1)))
    evening.orders(*of_t1(1))
    evening.cooks(*all_of(*of_t1(1)), of_ticket(b"T1", changed(grill, state="served")))
    assert evening.look_long() == 0
    assert evening.book.differing == 1


def test_tickets_of_other_lines_differ_after_the_grace_until_they_are_right(evening: Evening) -> None:
    evening.orders(*of_t1(1))
    other = (*LINES[:1], msgspec.structs.replace(LINES[1], quantity=9), LINES[2])
    evening.cooks(*parts(Place("T1", 1, 1), lines=other))
    evening.look()
    assert evening.book.differing == 0
    evening.look(GRACE)
    assert (evening.book.differing, evening.book.kitchen.lost) == (1, 0)
    assert evening.said[0].startswith("the lines of table T1's tickets are not those of its orders")


def test_tickets_of_no_order_differ_after_the_grace(evening: Evening) -> None:
    evening.cooks(*all_of(*of_t1(1)))
    evening.look()
    evening.look(GRACE)
    assert evening.book.differing == 1
    assert evening.said == ["table T1 has tickets for 1 orders that the log does not tell of"]
    evening.orders(*of_t1(1))
    evening.look(1)
    assert evening.book.differing == 0


def test_a_record_that_cannot_be_read_differs_once(evening: Evening) -> None:
    for _ in range(2):
        evening.book.kitchen.unreadable("kitchen-tickets/0 offset 5: no ticket")
    assert (evening.book.differing, len(evening.said)) == (1, 1)


def test_what_has_left_the_logs_before_the_first_look_is_not_asked_for(evening: Evening) -> None:
    evening.orders(*of_t1(1, 2, 3, 4), Place("T2", 1, 1))
    evening.cooks(*parts(Place("T1", 1, 2))[:1], *all_of(*of_t1(3)), is_whole=False)
    assert evening.look_long(is_whole=False) == 0
    assert evening.book.kitchen.behind == 0
    evening.orders(*of_t1(5, 6))
    evening.cooks(*all_of(*of_t1(5)), is_whole=False)
    assert evening.look_long(is_whole=False) == 1
    evening.cooks(*all_of(*of_t1(6)), is_whole=False)
    assert evening.look(is_whole=False) == 0
    assert (evening.book.differing, evening.book.kitchen.count) == (0, 3)


def test_the_tickets_of_orders_whose_events_have_left_are_none_too_many(evening: Evening) -> None:
    evening.orders(*of_t1(3))
    evening.cooks(*all_of(*of_t1(1, 2, 3)), is_whole=False)
    assert evening.look_long(is_whole=False) == 0
    assert evening.book.differing == 0
    evening.orders(*of_t1(4))
    assert evening.look_long(is_whole=False) == 1


def test_while_kafka_is_away_nothing_grows_into_a_loss(evening: Evening) -> None:
    evening.orders(*of_t1(1))
    evening.look()
    evening.look()
    evening.book.start_over()
    assert evening.look(10 * GRACE) == 0
    assert evening.look(GRACE) == 1


def test_what_is_kept_of_orders_is_bounded(evening: Evening) -> None:
    for version in range(1, KEPT + 100):
        evening.cooks(*parts(Place("T1", 1, version), lines=LINES[1:2]))
    assert len(evening.book.kitchen._newest) == KEPT
    evening.cooks(*parts(Place("T1", 1, 1), "bar", lines=LINES[1:2]))  # long ago
    assert (len(evening.book.kitchen._newest), evening.book.kitchen.count) == (KEPT, KEPT + 99)


# ── how far the kitchen is ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_kitchen_is_done_with_what_it_copied_once_it_is_done_with_the_copies() -> None:
    progress = Progress()
    assert progress.look(copied=5, end=9, decided=8) == 0
    assert progress.look(copied=7, end=12, decided=9) == 5
    assert progress.look(copied=8, end=14, decided=11) == 5
    assert progress.look(copied=8, end=14, decided=12) == 7
    assert progress.look(copied=8, end=14, decided=14) == 8
    assert progress.look(copied=3, end=14, decided=14) == 8


def test_a_kitchen_that_never_ran_is_done_with_nothing() -> None:
    assert [Progress().look(copied=0, end=0, decided=0) for _ in range(3)] == [0, 0, 0]


class Topic:
    """One partition that ends at 7; where it begins is known once its ends were asked for."""

    def __init__(self, *_: str) -> None:
        self.starts: dict[int, int] = {}

    def ends(self) -> dict[int, int]:
        self.starts = {0: 0}
        return {0: 7}


class Group:
    """The kitchen, which is done with all."""

    def __init__(self, *_: str) -> None: ...

    def committed(self, topic: Topic) -> dict[int, int]:
        return dict.fromkeys(topic.starts, 7)


def test_how_far_the_kitchen_is_is_known_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "Topic", Topic)
    monkeypatch.setattr(log, "Group", Group)
    events: Any = Topic()
    assert log.KitchenGroup("").done(events) == {0: 7}
