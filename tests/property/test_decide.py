"""The decision on a command, as a pure function of the table's row and the command.

`BISTRO92_PROPERTY_FACTOR=20` runs that many times the usual examples.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.decide import (
    DELETE_MS,
    REPLAY_MS,
    Accepted,
    At,
    Cancelled,
    IdReused,
    InvalidItem,
    NothingCancelled,
    RefusedBefore,
    Replayed,
    SessionChanged,
    SessionClosed,
    SessionUnchanged,
    VersionConflict,
    decide,
    is_outlived,
)
from app.domain.ids import id_hash
from app.domain.row import CHUNK_IDS, NO_ROW, Chunk, Row
from app.messages import Asked, Event, NoteCancelled, OpenSession, OrderCancelled, OrderPlaced, PlaceOrder
from app.messages import SessionClosed as SessionClosedEvent
from app.messages import SessionOpened as SessionOpenedEvent
from tests.property.owner import Log, Owner, evenings
from tests.property.restaurant import HOUR, cancel, chunks_of, close_session, open_session, place

EXAMPLES = settings(
    max_examples=150 * int(os.environ.get("BISTRO92_PROPERTY_FACTOR", "1")),
    deadline=None,
    derandomize=True,
    database=None,
)
REFUSALS = (
    IdReused | SessionClosed | InvalidItem | VersionConflict | RefusedBefore | SessionUnchanged | NothingCancelled
)
DAY = 24 * HOUR


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    """Three ids fill a chunk, so that short evenings fill many."""
    with chunks_of(3):
        yield


def read(log: Log, keeps: int = 0) -> Owner:
    owner = Owner(keeps)
    for command, at in log:
        owner.read(command, at)
    return owner


def accepted_in(log: Log, owner: Owner) -> list[tuple[PlaceOrder, At, int]]:
    """The orders that stand, with the place of their command and the version that they found."""
    placed = {event.offset: event.version - 1 for event in owner.events if isinstance(event, OrderPlaced)}
    return [(command, at, placed[at.offset]) for command, at in log if at.offset in placed]  # type: ignore[misc]


def after(log: Log, hours: float = 0) -> At:
    _, last = log[-1]
    return At(last.offset + 1, last.time + int(hours * HOUR))


@EXAMPLES
@given(evenings(), st.integers(0, 3), st.integers(-2, 2), st.sampled_from(["", "sold out"]), st.data())
def test_the_same_order_id_is_answered_as_before_whatever_else_is_sent(
    log: Log, keeps: int, version: int, refusal: str, data: st.DataObject
) -> None:
    owner = read(log, keeps)
    orders = accepted_in(log, owner)
    if not orders:
        return
    order, at, found = data.draw(st.sampled_from(orders))
    within_a_day = At(after(log).offset, min(after(log).time, at.time + DAY))
    again = replace_order(order, version=owner.row.version + version, refusal=refusal)
    assert owner.decide(again, within_a_day) == Replayed(found)


def replace_order(order: PlaceOrder, *, version: int, refusal: str = "", quantity: int | None = None) -> PlaceOrder:
    return place(
        order.client_order_id,
        session=order.session,
        version=version,
        refusal=refusal,
        quantity=order.lines[0].quantity if quantity is None else quantity,
    )


def test_the_first_of_five_thousand_orders_is_still_known() -> None:
    with chunks_of(CHUNK_IDS):
        log: Log = [(open_session(), At(0, 0))]
        log += [(place(f"c{n}", version=n), At(n + 1, n)) for n in range(5001)]
        owner = read(log, keeps=1)
        assert owner.row.version == 5001
        assert len(owner.row.ids) < 3 * CHUNK_IDS * 32
        for version in (0, 5001):
            assert owner.decide(place("c0", version=version), after(log)) == Replayed(0)


@EXAMPLES
@given(evenings())
def test_the_version_rises_by_one_exactly_on_acceptance_and_refusals_change_nothing(log: Log) -> None:
    owner = Owner()
    for command, at in log:
        before, told = owner.row, len(owner.events)
        decision = owner.read(command, at)
        match decision:
            case Accepted(version=version):
                assert version == before.version
                assert owner.row.version == before.version + 1
                assert owner.row.placed == before.placed + 1
                assert owner.row.total == before.total + command.total  # type: ignore[union-attr]
                assert (owner.row.session, owner.row.is_open) == (before.session, True)
                assert owner.row.offset == at.offset
            case SessionChanged():
                assert owner.row.version == (0 if owner.row.is_open else before.version)
                assert owner.row.placed == before.placed
                assert owner.row.is_open != before.is_open
                assert owner.row.offset == at.offset
            case Cancelled(again=False):
                assert isinstance(command, NoteCancelled)
                assert owner.row.total == before.total - command.total
                assert owner.row.cancelled == tuple(sorted({*before.cancelled, command.version}))
                assert owner.row.offset == at.offset
                for name in ("session", "is_open", "version", "placed", "ids"):
                    assert getattr(owner.row, name) == getattr(before, name)
            case Cancelled():
                assert owner.row == before
            case _:
                assert isinstance(decision, REFUSALS | Replayed)
                assert owner.row == before
                assert len(owner.events) == told


@EXAMPLES
@given(evenings(60))
def test_each_refusal_has_its_reason(log: Log) -> None:
    owner = Owner()
    for command, at in log:
        before = owner.row
        decision = owner.read(command, at)
        if not isinstance(command, PlaceOrder):
            continue
        is_theirs = before.is_open and command.session == before.session
        match decision:
            case SessionClosed():
                assert not is_theirs
            case InvalidItem(detail=detail):
                assert is_theirs
                assert detail == command.refusal != ""
            case VersionConflict(current=current):
                assert is_theirs
                assert current == before.version != command.version
            case Accepted():
                assert is_theirs
                assert (command.refusal, command.version) == ("", before.version)


@EXAMPLES
@given(evenings(60), st.integers(0, 4))
def test_two_owners_of_the_same_log_agree_whenever_their_chunks_were_acknowledged(log: Log, keeps: int) -> None:
    prompt, late = Owner(0), Owner(keeps)
    for command, at in log:
        one, other = prompt.read(command, at), late.read(command, at)
        # An id of an earlier session may expire at one and stand at the other: nothing is accepted either way.
        if isinstance(command, PlaceOrder) and command.session < prompt.row.session:
            assert isinstance(one, REFUSALS | Replayed)
            assert isinstance(other, REFUSALS | Replayed)
        else:
            assert type(one) is type(other)
        assert without_ids(prompt.row) == without_ids(late.row)
    assert prompt.events == late.events


def without_ids(row: Row) -> Row:
    return replace(row, ids=b"", base=0)


def test_an_open_sessions_order_stands_at_every_owner_however_old_it_is() -> None:
    # One owner's chunk is acknowledged and has left the row, the other's is not: both must say the same days later.
    log: Log = [(open_session(), At(0, 0))]
    log += [(place(f"c{n}", version=n), At(n + 1, n)) for n in range(3)]
    for keeps in (0, 1):
        owner = read(log, keeps)
        assert owner.decide(place("c0", version=3), after(log, hours=28)) == Replayed(0)


@EXAMPLES
@given(evenings())
def test_folding_the_events_rebuilds_the_row(log: Log) -> None:
    owner = read(log)
    row = NO_ROW
    for event in owner.events:
        match event:
            case SessionOpenedEvent():
                row = Row(event.session, True, placed=row.placed, opened_at=event.at)
            case SessionClosedEvent():
                assert event.session == row.session
                row = replace(row, is_open=False)
            case OrderPlaced():
                assert (event.session, event.version) == (row.session, row.version + 1)
                row = replace(row, version=event.version, placed=row.placed + 1, total=row.total + event.total)
            case OrderCancelled() if event.session == row.session and event.version not in row.cancelled:
                cancelled = tuple(sorted((*row.cancelled, event.version)))
                row = replace(row, total=row.total - event.total, cancelled=cancelled)
    for name in ("session", "is_open", "version", "placed", "total", "opened_at", "cancelled"):
        assert getattr(row, name) == getattr(owner.row, name)


@EXAMPLES
@given(evenings(), st.integers(0, 3), st.data())
def test_a_log_read_again_is_told_again_and_changes_nothing(log: Log, keeps: int, data: st.DataObject) -> None:
    owner = read(log, keeps)
    first, row = list(owner.events), owner.row
    # From any command on, as after a rebalance: the row is ahead of what is read.
    start = data.draw(st.integers(0, len(log)))
    owner.events.clear()
    for command, at in log[start:]:
        decision = owner.read(command, at)
        if isinstance(decision, Accepted | Cancelled):
            assert decision.again
        assert owner.row == row
    reread = {at.offset for _, at in log[start:]}
    assert orders_of(owner.events) == [event for event in orders_of(first) if event.offset in reread]


@EXAMPLES
@given(evenings(), st.data())
def test_each_cancel_is_told_again_when_it_is_read_again(log: Log, data: st.DataObject) -> None:
    owner = Owner()
    told = {at.offset for command, at in log if isinstance(owner.read(command, at), Cancelled)}
    again = {at.offset for command, at in log if isinstance(owner.read(command, at), Cancelled)}
    assert told <= again
    for command, at in log:
        if at.offset in again - told:  # it came before its order: the row no longer tells, once the party has left
            assert isinstance(command, NoteCancelled)
            assert (command.session, command.version in owner.row.cancelled) != (owner.row.session, False)


def test_a_cancelled_order_is_not_in_the_total_and_its_id_is_answered_as_before() -> None:
    owner = read([(open_session(), At(0, 0)), (place("a"), At(1, 1)), (place("b", version=1, quantity=2), At(2, 2))])
    assert owner.read(cancel(1), At(3, 5)) == Cancelled(owner.row)
    assert (owner.row.version, owner.row.placed, owner.row.total) == (2, 2, 2 * 1899)
    assert (owner.row.cancelled, owner.row.offset, owner.row.time) == ((1,), 3, 5)
    assert owner.read(place("a"), At(4, 6)) == Replayed(0)
    assert isinstance(owner.read(place("c", version=2), At(5, 7)), Accepted)


def test_an_order_is_taken_from_the_total_once() -> None:
    owner = read([(open_session(), At(0, 0)), (place("a"), At(1, 1)), (cancel(1), At(2, 2))])
    row = owner.row
    for offset in (2, 3):
        assert owner.read(cancel(1), At(offset, 9)) == Cancelled(row, again=True)
    assert (owner.row, row.total) == (row, 0)


def test_what_does_not_stand_is_not_cancelled() -> None:
    owner = read([(open_session(), At(0, 0)), (place("a"), At(1, 1))])
    for command in (cancel(2), cancel(1, session=2), cancel(0), cancel(1, session=0), cancel(-1)):
        assert owner.read(command, At(2, 2)) == NothingCancelled()
    assert Owner().read(cancel(1), At(2, 2)) == NothingCancelled()


def test_what_did_not_stand_when_it_was_first_read_is_not_cancelled_when_it_is_read_again() -> None:
    log: Log = [(open_session(), At(0, 0)), (cancel(1), At(1, 1)), (place("a"), At(2, 2))]
    owner = read(log)
    assert owner.read(*log[1]) == NothingCancelled()
    assert owner.row.total == 1899


def test_a_cancel_of_a_party_that_has_left_is_told_and_changes_no_row() -> None:
    log: Log = [(open_session(), At(0, 0)), (place("a"), At(1, 1)), (close_session(), At(2, 2))]
    closed = read(log)
    assert isinstance(closed.read(cancel(1), At(3, 3)), Cancelled)
    assert (closed.row.total, closed.row.is_open) == (0, False)
    seated = read([*log, (open_session(2), At(3, 3)), (place("b", session=2), At(4, 4))])
    row = seated.row
    assert seated.read(cancel(1), At(5, 5)) == Cancelled(row, again=True)
    assert isinstance(seated.events[-1], OrderCancelled)
    assert seated.row == row


def test_the_next_party_begins_without_what_was_cancelled() -> None:
    log: Log = [(open_session(), At(0, 0)), (place("a"), At(1, 1)), (cancel(1), At(2, 2)), (close_session(), At(3, 3))]
    assert read([*log, (open_session(2), At(4, 4))]).row.cancelled == ()


def orders_of(events: list[Event]) -> list[OrderPlaced]:
    return [event for event in events if isinstance(event, OrderPlaced)]


@EXAMPLES
@given(evenings(), st.data())
def test_a_row_that_lags_catches_up_with_the_log(log: Log, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)))
    whole, first = read(log), read(log[:cut])
    second = Owner(row=first.row, chunks={session: list(chunks) for session, chunks in whole.chunks.items()})
    start = data.draw(st.integers(0, cut))  # re-read from the last commit, which is not after the row
    for command, at in log[start:]:
        second.read(command, at)
    assert second.row == whole.row


@EXAMPLES
@given(evenings(), st.integers(0, 2))
def test_the_same_id_with_other_lines_is_refused(log: Log, keeps: int) -> None:
    owner = read(log, keeps)
    for order, at, _ in accepted_in(log, owner):
        now = At(after(log).offset, at.time)
        other = replace_order(order, version=owner.row.version, quantity=50)
        assert owner.decide(other, now) == IdReused()


@EXAMPLES
@given(evenings(), st.integers(0, 2))
def test_a_command_read_again_at_its_offset_is_accepted_again_with_the_row_as_it_is(log: Log, keeps: int) -> None:
    owner = read(log, keeps)
    for order, at, found in accepted_in(log, owner):
        assert owner.decide(order, at) == Accepted(owner.row, found, again=True)


@EXAMPLES
@given(evenings(), st.integers(0, 2))
def test_a_command_before_the_one_that_was_accepted_was_refused_then_and_is_left_alone(log: Log, keeps: int) -> None:
    owner = read(log, keeps)
    for order, at, _ in accepted_in(log, owner):
        assert owner.decide(order, At(at.offset - 1, at.time)) == RefusedBefore()
    unknown = place("never seen", session=owner.row.session, version=owner.row.version)
    assert owner.decide(unknown, At(owner.row.offset, owner.row.time)) == RefusedBefore()


def closed_with(orders: int) -> Owner:
    """A session that ended an hour of log time after its last order, and the next one open."""
    log: Log = [(open_session(), At(0, 0))]
    log += [(place(f"c{n}", version=n), At(n + 1, n)) for n in range(orders)]
    log += [(close_session(), At(orders + 1, HOUR)), (open_session(2), At(orders + 2, HOUR))]
    return read(log)


@pytest.mark.parametrize("orders", [1, 3, 7])
def test_an_order_of_an_earlier_session_is_known_for_a_day_and_no_longer_than_promised(orders: int) -> None:
    owner = closed_with(orders)
    for client in range(orders):
        retry = place(f"c{client}", version=0)
        chunk = owner.chunks[1][client // 3]
        for time in (HOUR, client + DAY, chunk.stamp + REPLAY_MS):
            assert owner.decide(retry, At(99, time)) == Replayed(client)
        assert owner.decide(retry, At(99, chunk.stamp + REPLAY_MS + 1)) == SessionClosed()


def test_an_expired_chunk_counts_no_more_although_it_is_still_there() -> None:
    owner = closed_with(4)
    assert [chunk.number for chunk in owner.chunks[1]] == [0, 1]
    late = At(99, 40 * HOUR)
    assert owner.decide(place("c0"), late) == SessionClosed()
    owner.chunks.clear()
    assert owner.decide(place("c0"), late) == SessionClosed()


def test_a_chunk_is_deleted_a_day_after_it_counted_and_never_while_its_session_may_be_asked() -> None:
    row = Row(session=2, opened_offset=7)
    chunk = Chunk(0, 1_000, b"")
    late = 1_000 + DELETE_MS + 1
    assert is_outlived(row, 1, chunk, At(7, late))
    assert not is_outlived(row, 1, chunk, At(7, late - 1))
    assert not is_outlived(row, 1, chunk, At(6, late))
    assert not is_outlived(row, 2, chunk, At(7, 10 * late))
    assert DELETE_MS - REPLAY_MS >= DAY


def test_a_chunk_that_came_before_its_row_is_not_counted_yet() -> None:
    log: Log = [(open_session(), At(0, 0))]
    log += [(place(f"c{n}", version=n), At(n + 1, n)) for n in range(3)]
    whole, behind = read(log), read(log[:3])
    behind.chunks = whole.chunks
    command, at = log[3]
    assert isinstance(command, PlaceOrder)
    decision = behind.decide(command, at)
    assert isinstance(decision, Accepted)
    assert (decision.row.version, decision.again) == (3, False)
    assert behind.decide(log[1][0], after(log)) == Replayed(0)


def test_a_chunk_of_a_session_that_the_row_has_not_reached_is_not_counted() -> None:
    owner = closed_with(7)
    order = place("c0", session=2)
    ahead = Chunk(0, HOUR, b"".join([id_hash(order.order_id), bytes.fromhex(order.fingerprint), (20).to_bytes(8)]))
    row = replace(owner.row, session=1, version=7)
    assert decide(row, [ahead], order, At(30, HOUR)) == SessionClosed()


def test_a_party_sits_down_orders_leaves_and_the_next_starts_at_version_0() -> None:
    owner = Owner()
    assert isinstance(owner.read(open_session(), At(1, 5)), SessionChanged)
    assert (owner.row.session, owner.row.is_open, owner.row.version, owner.row.opened_at) == (1, True, 0, 5)
    assert isinstance(owner.read(place("a"), At(2, 6)), Accepted)
    assert isinstance(owner.read(close_session(), At(3, 7)), SessionChanged)
    assert owner.read(place("b", version=1), At(4, 8)) == SessionClosed()
    assert owner.read(place("a", version=1), At(5, 8)) == Replayed(0)
    assert isinstance(owner.read(open_session(2), At(6, 9)), SessionChanged)
    assert (owner.row.session, owner.row.version, owner.row.total, owner.row.placed) == (2, 0, 0, 1)
    assert owner.read(place("a"), At(7, 9)) == Replayed(0)
    assert isinstance(owner.read(place("a", session=2), At(8, 9)), Accepted)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_only_the_session_after_the_last_is_opened(number: int) -> None:
    owner = read([(open_session(), At(0, 0)), (close_session(), At(1, 0))])
    row = owner.row
    assert owner.read(open_session(number), At(2, 0)) == SessionUnchanged(row)


def test_a_table_that_is_open_is_not_opened_again() -> None:
    owner = read([(open_session(), At(0, 0))])
    for number in (1, 2):
        assert owner.read(open_session(number), At(1, 0)) == SessionUnchanged(owner.row)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_close_that_names_another_session_closes_nothing(number: int) -> None:
    owner = read([(open_session(), At(0, 0)), (close_session(), At(1, 0)), (open_session(2), At(2, 0))])
    assert owner.read(close_session(number), At(3, 0)) == SessionUnchanged(owner.row)


@EXAMPLES
@given(evenings())
def test_a_session_command_read_again_is_told_again(log: Log) -> None:
    first = Owner()
    changed = [(command, at) for command, at in log if isinstance(first.read(command, at), SessionChanged)]
    for command, at in changed:
        again = first.decide(command, at)
        assert again == SessionChanged(first.row, command.session, again=True)
        assert isinstance(command, OpenSession) or not (first.row.is_open and first.row.session == command.session)


def test_a_close_that_came_before_its_session_was_opened_is_not_told_when_it_is_read_again() -> None:
    log: Log = [(close_session(), At(0, 0)), (open_session(), At(1, 0)), (place("a"), At(2, 0))]
    owner = read(log)
    assert owner.decide(close_session(), At(0, 0)) == SessionUnchanged(owner.row)


@pytest.mark.parametrize("command", [open_session(0), close_session(0), open_session(-1), close_session(-1)])
def test_there_is_no_session_before_the_first_to_tell_of(command: Asked) -> None:
    owner = read([(command, At(0, 0)), (open_session(), At(1, 0))])
    assert owner.decide(command, At(0, 0)) == SessionUnchanged(owner.row)
