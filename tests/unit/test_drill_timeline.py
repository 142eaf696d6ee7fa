"""What a drill measures of the acknowledgements, on times made by hand."""

import xml.etree.ElementTree as ElementTree

import pytest

from app.drill.picture import draw
from app.drill.timeline import Mark, Timeline, median


def timeline(*acknowledged: tuple[str, float, float]) -> Timeline:
    """Orders of these tables, due and acknowledged at these times."""
    line = Timeline()
    line.began = 0.0
    for table, due, now in acknowledged:
        line.heard(table, due, now)
    return line


def at(line: Timeline, seconds: float, *, is_fault: bool = True) -> Mark:
    mark = Mark("kill -9 orders-1", is_fault, seconds, 1_700_000_000 + seconds)
    line.marks.append(mark)
    return mark


def test_the_longest_gap_is_told_with_its_start() -> None:
    line = timeline(("T1", 0, 1), ("T2", 0, 2), ("T1", 3, 5.5), ("T2", 3, 6))
    assert line.longest_gap() == (2, 3.5)


def test_after_a_fault_each_table_waits_from_when_its_first_order_was_due() -> None:
    line = timeline(("T1", 9, 9.1), ("T2", 9.9, 10.1), ("T1", 10.5, 12), ("T2", 10.2, 10.3), ("T2", 12, 14.5))
    assert line.served_again(at(line, 10)) == 1.5


def test_an_order_that_was_under_way_when_the_fault_came_does_not_count_as_served() -> None:
    line = timeline(("T1", 9.9, 10.001), ("T1", 10.1, 13.1))
    assert line.served_again(at(line, 10)) == 3


def test_after_the_end_of_a_fault_the_first_order_counts_though_it_was_due_before() -> None:
    line = timeline(("T1", 2, 10.5), ("T1", 3, 10.6), ("T2", 2, 11), ("T2", 10.1, 17))
    assert line.served_again(at(line, 10, is_fault=False)) == 1


def test_tables_without_an_order_since_the_mark_are_unserved() -> None:
    line = timeline(("T1", 1, 1.1), ("T2", 3, 3.1))
    assert line.unserved(["T1", "T2", "T3"], at(line, 2)) == ["T1", "T3"]


def test_orders_per_second_are_counted_in_equal_steps_also_where_there_are_none() -> None:
    line = timeline(("T1", 0, 0.1), ("T1", 0, 0.2), ("T1", 0, 1.6))
    assert line.per_second(0.5) == [(0, 4), (0.5, 0), (1, 0), (1.5, 2)]


@pytest.mark.parametrize(("values", "middle"), [([3], 3), ([1, 2], 1), ([5, 1, 3], 3), ([4, 1, 3, 2], 2)])
def test_the_median_is_one_of_the_values(values: list[float], middle: float) -> None:
    assert median(values) == middle


def test_the_picture_is_well_formed_and_names_each_mark() -> None:
    line = timeline(*(("T1", second, second + 0.1) for second in range(30)))
    at(line, 10)
    at(line, 12, is_fault=False)
    drawing = draw("a <drill> & more", "lost=0", line)
    texts = [element.text for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]
    assert "a <drill> & more" in texts
    assert texts.count("kill -9 orders-1") == 2


def test_a_drill_without_a_single_acknowledgement_has_a_picture_too() -> None:
    assert ElementTree.fromstring(draw("nothing", "", timeline())) is not None
