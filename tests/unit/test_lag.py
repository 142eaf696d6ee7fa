"""How far behind a reader is: records, and the age of the oldest of them."""

from app.domain import lag
from app.domain.lag import Backlog


def backlog_of(*looks: tuple[int, float], first: int = 0, place: int = 0) -> Backlog:
    """Looks at a log: its end, and when."""
    backlog = Backlog()
    for end, at in looks:
        backlog.look(first, end, place, at)
    return backlog


def test_before_the_first_look_nothing_is_known_to_be_behind() -> None:
    assert (Backlog().records(5), Backlog().age(5, 100)) == (0, 0)


def test_who_has_done_all_there_is_is_not_behind() -> None:
    backlog = backlog_of((10, 1), (20, 2), place=20)
    assert (backlog.records(20), backlog.age(20, 50)) == (0, 0)
    assert (backlog.records(25), backlog.age(25, 50)) == (0, 0)  # done since the last look


def test_a_record_is_as_old_as_the_first_look_that_saw_it() -> None:
    backlog = backlog_of((10, 1), (20, 2), (20, 3), (30, 4), (30, 5))
    assert [backlog.age(place, 10) for place in (0, 9, 10, 19, 20, 29, 30)] == [9, 9, 8, 8, 6, 6, 0]
    assert [backlog.records(place) for place in (0, 9, 29, 30)] == [30, 21, 1, 0]


def test_while_nobody_looks_what_is_behind_gets_older() -> None:
    backlog = backlog_of((10, 1), (20, 2))
    assert [backlog.age(15, now) for now in (3, 300)] == [1, 298]
    assert backlog.records(15) == 5


def test_what_has_left_the_log_by_its_age_is_not_waited_for() -> None:
    backlog = backlog_of((10, 1), (20, 2), first=12, place=5)
    assert (backlog.records(5), backlog.age(5, 10)) == (8, 8)
    gone = backlog_of((10, 1), first=10, place=5)
    assert (gone.records(5), gone.age(5, 10)) == (0, 0)


def test_a_log_that_was_made_anew_is_looked_at_anew() -> None:
    backlog = backlog_of((100, 1), (3, 5))
    assert (backlog.records(0), backlog.age(0, 6)) == (3, 1)


def test_what_is_done_with_is_forgotten_and_a_place_that_goes_back_finds_what_is_left() -> None:
    backlog = backlog_of((10, 1), (20, 2), (30, 3))
    backlog.look(0, 40, 30, 4)
    assert (backlog.records(25), backlog.age(25, 10)) == (15, 6)


def test_a_log_that_nobody_reads_for_days_takes_little_room_and_keeps_its_age() -> None:
    backlog, days = Backlog(), 2 * 86_400
    for now in range(days):
        backlog.look(0, now + 1, 0, now)
    assert len(backlog._looks) < 10 * lag.FINENESS
    assert (backlog.records(0), backlog.age(0, days)) == (days, days)
    for place in (days // 2, days - 1000):
        assert abs(backlog.age(place, days) - (days - place)) <= days / lag.FINENESS + 1


def test_the_last_records_of_a_long_backlog_are_seen_some_time_later() -> None:
    backlog = backlog_of((1, 0), (500, 500), (501, 500.5))
    assert (backlog.records(500), backlog.age(500, 500.5)) == (1, 0)
    backlog.look(0, 501, 0, 502)
    assert backlog.age(500, 504) == 2
