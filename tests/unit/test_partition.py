"""The pipeline of a partition: what was decided is completed in order, when Kafka has acknowledged it."""

from dataclasses import dataclass, field, replace
from typing import Any

from app.agents.partition import Lanes, Partition
from app.domain.decide import At
from app.domain.row import CHUNK_IDS, NO_ROW, Chunk, Row, encode_id
from app.messages import Answer
from app.tables.rows import Chunks
from app.tables.session_ids import SessionIds

NOW = 4 * 86_400_000  # ms, days after anything with stamp 0


@dataclass
class CountedLane:
    """A lane whose acknowledgements the test gives."""

    acked: int = 0
    known: int = -1
    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.records)

    def send(self, key: bytes, value: bytes | None) -> None:
        self.records.append((key, value))

    def read_up_to(self, offset: int) -> None:
        raise AssertionError("not of a pipeline")

    def strangers(self, end: int) -> list[tuple[int, int]]:
        raise AssertionError("not of a pipeline")

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        raise AssertionError("not of a pipeline")


@dataclass
class GivenAnswers:
    given: list[str] = field(default_factory=list)

    def give(self, reply_to: str, answer: Answer) -> None:
        self.given.append(f"{reply_to}:{answer.request_id}")


class Bench:
    """A partition with lanes in the test's hand."""

    def __init__(self, rows: dict[str, Row] | None = None, chunks: Chunks | None = None) -> None:
        self.rows, self.ids, self.events = CountedLane(), CountedLane(), CountedLane()
        self.answers = GivenAnswers()
        lanes: Any = Lanes(self.rows, self.ids, self.events)
        self.done: list[int] = []
        self.partition = Partition(
            0,
            rows or {},
            {} if chunks is None else chunks,
            lanes,
            self.answers,
            lambda _, offset: self.done.append(offset),
        )

    def order(self, name: str, offset: int = 0) -> None:
        self.partition.write_row("T1", replace(NO_ROW, session=1, is_open=True))
        self.events.send(b"T1", b"event")
        self.partition.complete_later(At(offset, NOW), "pad", Answer(name, "accepted"))

    def refusal(self, name: str, offset: int = 1) -> None:
        self.partition.complete_later(At(offset, NOW), "pad", Answer(name, "version_conflict"))


def row_with(count: int, *, is_open: bool = True) -> Row:
    ids = b"".join(encode_id(n.to_bytes(16, "big"), b"printed!", n) for n in range(count))
    return replace(NO_ROW, session=1, is_open=is_open, version=count, ids=ids, time=77)


def test_an_answer_waits_for_both_the_row_and_the_event() -> None:
    bench = Bench()
    bench.order("a")
    bench.rows.acked = 1
    bench.partition.advance()
    assert bench.answers.given == []
    assert bench.done == []
    bench.events.acked = 1
    bench.partition.advance()
    assert bench.answers.given == ["pad:a"]
    assert bench.done == [1]


def test_a_refusal_waits_for_what_was_decided_before_it() -> None:
    bench = Bench()
    bench.order("a")
    bench.refusal("b")
    bench.partition.advance()
    assert bench.answers.given == []
    bench.rows.acked = bench.events.acked = 1
    bench.partition.advance()
    assert bench.answers.given == ["pad:a", "pad:b"]


def test_a_refusal_with_nothing_before_it_is_given_at_once() -> None:
    bench = Bench()
    bench.refusal("a")
    bench.partition.advance()
    assert bench.answers.given == ["pad:a"]


def test_a_revoked_partition_still_answers_but_commits_nothing() -> None:
    bench = Bench()
    bench.order("a")
    bench.partition.revoked = True
    bench.rows.acked = bench.events.acked = 1
    bench.partition.advance()
    assert bench.answers.given == ["pad:a"]
    assert bench.done == []


def test_a_full_chunk_of_order_ids_is_sent_once_and_leaves_the_row_when_it_is_acknowledged() -> None:
    bench = Bench()
    row = row_with(CHUNK_IDS)
    bench.partition.send_missing_chunks("T1", row)
    bench.partition.send_missing_chunks("T1", row)
    assert [key for key, _ in bench.ids.records] == [b"T1/1/0"]
    assert bench.partition.without_moved_ids("T1", row) == row
    bench.ids.acked = 1
    bench.partition.advance()
    bench.partition.send_missing_chunks("T1", row)
    assert bench.ids.sent == 1
    after = bench.partition.without_moved_ids("T1", row)
    assert after.base == CHUNK_IDS
    assert after.ids == b""


def test_a_command_is_done_with_once_the_ids_that_it_moved_stand_elsewhere() -> None:
    bench = Bench()
    bench.partition.send_missing_chunks("T1", row_with(CHUNK_IDS))
    bench.order("a")
    bench.rows.acked = bench.events.acked = 1
    bench.partition.advance()
    assert (bench.answers.given, bench.done) == ([], [])
    bench.ids.acked = 1
    bench.partition.advance()
    assert (bench.answers.given, bench.done) == (["pad:a"], [1])


def test_the_ids_of_a_closed_session_are_sent_to_the_last() -> None:
    bench = Bench()
    bench.partition.send_missing_chunks("T1", row_with(CHUNK_IDS + 1, is_open=False))
    assert [key for key, _ in bench.ids.records] == [b"T1/1/0", b"T1/1/1"]
    assert bench.partition.chunks_under_way("T1", 1)
    bench.ids.acked = 2
    bench.partition.advance()
    assert not bench.partition.chunks_under_way("T1", 1)


def test_an_empty_row_sends_no_ids() -> None:
    bench = Bench()
    bench.partition.send_missing_chunks("T1", row_with(0, is_open=False))
    bench.partition.send_missing_chunks("T1", row_with(CHUNK_IDS - 1))
    assert bench.ids.sent == 0


def test_ids_that_no_command_can_ask_for_are_deleted() -> None:
    old, young = Chunk(0, 0, row_with(1).ids), Chunk(1, NOW, row_with(1).ids)
    chunks: Chunks = {("T1", 1): SessionIds(old, young), ("T2", 1): SessionIds(old)}
    second = replace(NO_ROW, session=2, is_open=True)
    bench = Bench({"T1": replace(second, opened_offset=5), "T2": replace(second, opened_offset=7)}, chunks)
    assert bench.partition.forget_old_chunks() == 0  # nothing was acked: anything may be read again
    bench.refusal("a", offset=6)
    bench.partition.advance()
    assert bench.partition.forget_old_chunks() == 1
    assert {key: list(ids) for key, ids in chunks.items()} == {("T1", 1): [young], ("T2", 1): [old]}
    assert bench.ids.records == [(b"T1/1/0", None)]
