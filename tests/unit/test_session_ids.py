"""The order ids of a session that have left its row."""

import random

from app.domain.row import CHUNK_IDS, Chunk, encode_id
from app.tables.session_ids import SessionIds

DICE = random.Random(92)
HASHES = [DICE.randbytes(16) for _ in range(CHUNK_IDS * 100)]
HASHES_OF_THREE = b"".join(encode_id(each, b"printed!", 0) for each in HASHES[:3])


def chunk(number: int) -> Chunk:
    hashes = HASHES[number * CHUNK_IDS : (number + 1) * CHUNK_IDS]
    return Chunk(number, 0, b"".join(encode_id(each, b"printed!", 0) for each in hashes))


def test_every_id_of_a_long_session_is_found_in_the_chunks_to_look_into() -> None:
    ids = SessionIds(*(chunk(number) for number in range(100)))
    for version, each in enumerate(HASHES):
        found = [known.version for one in ids.that_may_hold(each) if (known := one.find(each))]
        assert found == [version]


def test_an_id_that_is_new_hardly_ever_costs_a_look() -> None:
    ids = SessionIds(*(chunk(number) for number in range(100)))
    assert sum(bool(ids.that_may_hold(DICE.randbytes(16))) for _ in range(10_000)) < 200


def test_a_chunk_that_comes_twice_is_kept_once_and_one_taken_out_is_gone() -> None:
    ids = SessionIds(chunk(0), chunk(1), chunk(1))
    assert len(ids) == 2
    ids.remove(1)
    ids.remove(7)
    assert [each.number for each in ids] == [0]
    assert 1 not in ids


def test_ids_of_a_short_session_are_found_without_a_filter() -> None:
    ids = SessionIds(chunk(0), chunk(1))
    assert [each.number for each in ids.that_may_hold(HASHES[CHUNK_IDS])] == [1]
    assert list(ids) == [chunk(0), chunk(1)]
    assert not ids.that_may_hold(DICE.randbytes(16))


def test_ids_that_come_after_the_filter_was_asked_are_found() -> None:
    ids = SessionIds(*(chunk(number) for number in range(20)))
    assert ids.that_may_hold(HASHES[0])
    for number in range(20, 100):
        ids.put(chunk(number))
        assert [each.number for each in ids.that_may_hold(HASHES[number * CHUNK_IDS])] == [number]
    assert all(ids.that_may_hold(each) for each in HASHES)


def test_a_last_chunk_with_few_ids_comes_back_as_it_was() -> None:
    few = Chunk(3, 77, HASHES_OF_THREE)
    ids = SessionIds(few)
    assert list(ids) == [few]
    assert len(ids) == 1
    assert 2 not in ids
    assert ids.that_may_hold(HASHES[1]) == (few,)
    ids.remove(3)
    assert not ids.that_may_hold(HASHES[1])
