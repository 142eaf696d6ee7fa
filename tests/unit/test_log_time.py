"""The log's time as a table knows it: the highest it has seen, whatever a broker's clock says next."""

import pytest

from app.domain.decide import Accepted, At, SessionChanged, decide, decide_close, decide_open
from app.domain.row import NO_ROW
from tests.property.restaurant import close_session, open_session, place

NOON = 1_700_000_000_000
HOUR = 3_600_000


@pytest.mark.parametrize("clock", [NOON - HOUR, NOON, NOON + HOUR])
def test_a_rows_time_never_goes_back(clock: int) -> None:
    # A chunk's stamp is its row's time: with an earlier one, its ids would be forgotten before their day is over.
    opened = decide_open(NO_ROW, open_session(), At(0, NOON))
    assert isinstance(opened, SessionChanged)
    ordered = decide(opened.row, (), place("a"), At(1, clock))
    assert isinstance(ordered, Accepted)
    closed = decide_close(opened.row, close_session(), At(1, clock))
    assert isinstance(closed, SessionChanged)
    again = decide_open(closed.row, open_session(2), At(2, clock - HOUR))
    assert isinstance(again, SessionChanged)
    assert [each.row.time for each in (ordered, closed, again)] == [max(NOON, clock)] * 3
