"""The load generator's checks see what a wrong server would do."""

import pytest

from app.bench.contract import Contract
from app.bench.guest import session_of
from app.bench.http import Response
from app.bench.series import percentile
from app.bench.tokens import TokensError, parse

FIRST = b'{"order_id":"o1","status":"received","version":6}'
CONTRACT = Contract()
FIRST_FORM = Contract(extras=False)


def a_201(body: bytes = FIRST, *, replayed: bool = False) -> Response:
    return Response(201, body, replayed)


def test_an_accepted_order_raises_the_version_by_one() -> None:
    assert CONTRACT.placed(a_201(), 5, may_be_replay=False) is None
    assert CONTRACT.placed(a_201(), 6, may_be_replay=False)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, FIRST, False),
        Response(409, b'{"error":"Version conflict","current_version":5}', False),
        a_201(b'{"order_id":"","status":"received","version":6}'),
        a_201(b'{"order_id":"o1","status":"accepted","version":6}'),
        a_201(b'{"order_id":"o1","status":"received"}'),
        a_201(b'{"order_id":7,"status":"received","version":6}'),
        a_201(b"received"),
        a_201(replayed=True),
    ],
)
def test_a_wrong_answer_to_an_order_is_seen(response: Response) -> None:
    assert CONTRACT.placed(response, 5, may_be_replay=False)


def test_a_replay_is_the_first_answer_with_its_mark() -> None:
    assert CONTRACT.replayed(a_201(replayed=True), FIRST) is None
    assert CONTRACT.replayed(a_201(), FIRST)
    assert CONTRACT.replayed(a_201(FIRST.replace(b"o1", b"o2"), replayed=True), FIRST)
    assert CONTRACT.replayed(Response(409, FIRST, False), FIRST)


def test_of_twins_one_is_a_replay() -> None:
    first, again = a_201(), a_201(replayed=True)
    assert CONTRACT.twins(first, again, sent_once_each=True) is None
    assert CONTRACT.twins(first, first, sent_once_each=True)
    assert CONTRACT.twins(again, again, sent_once_each=True)
    assert CONTRACT.twins(again, again, sent_once_each=False) is None
    assert CONTRACT.twins(first, a_201(FIRST.replace(b"o1", b"o2"), replayed=True), sent_once_each=True)


def test_a_stale_order_is_refused_with_the_current_version() -> None:
    conflict = Response(409, b'{"error":"Version conflict","current_version":5}', False)
    assert CONTRACT.refused(conflict, 5) is None
    assert CONTRACT.refused(conflict, 6)
    assert CONTRACT.refused(a_201(), 5)
    assert CONTRACT.refused(Response(409, b'{"error":"Version conflict"}', False), 5)


def test_the_contracts_first_form_asks_for_no_additions_but_checks_them() -> None:
    plain = a_201(b'{"order_id":"o1","status":"received"}')
    assert FIRST_FORM.placed(plain, 5, may_be_replay=False) is None
    assert FIRST_FORM.placed(a_201(), 9, may_be_replay=False)
    assert FIRST_FORM.replayed(plain, plain.body) is None
    assert FIRST_FORM.twins(plain, plain, sent_once_each=True) is None
    assert FIRST_FORM.refused(Response(409, b'{"error":"Version conflict"}', False), 5) is None


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [n / 1000 for n in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([0.007], 0.5) == 7
    assert percentile([], 0.5) == 0


def test_tokens_are_one_table_a_line() -> None:
    assert parse(["T1 a\n", "\n", "T2 b\n", "T3 c\n"], 2) == [("T1", "a"), ("T2", "b")]
    with pytest.raises(TokensError, match="tokens of 1 only"):
        parse(["T1 a"], 2)
    with pytest.raises(TokensError, match="not a line"):
        parse(["T1 a b"], 1)


def test_the_session_of_a_token_that_names_none_is_zero() -> None:
    assert session_of("opaque") == 0
    assert session_of("e30.eyJzZXNzaW9uIjogM30.sig") == 3
