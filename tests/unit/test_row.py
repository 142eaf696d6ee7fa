"""A table's row and the chunks of its order ids, as bytes."""

from dataclasses import replace

import pytest

from app.domain.row import (
    CHUNK_IDS,
    FORMAT,
    NO_ROW,
    PLAIN_FORMAT,
    BadRowError,
    Chunk,
    Row,
    chunk_key,
    encode_id,
    newer,
    row_offset,
    split_chunk_key,
)


def row_with(count: int) -> Row:
    ids = b"".join(encode_id(bytes([n]) * 16, b"printed!", 100 + n) for n in range(count))
    return replace(NO_ROW, session=1, is_open=True, version=count, placed=count, offset=100 + count, ids=ids)


def test_a_row_comes_back_from_its_bytes() -> None:
    row = row_with(5)
    assert Row.decode(row.encode()) == row


@pytest.mark.parametrize("cancelled", [(1,), (1, 2, 40_000), tuple(range(1, 70_000))])
def test_a_row_comes_back_with_what_was_cancelled(cancelled: tuple[int, ...]) -> None:
    row = replace(row_with(5), cancelled=cancelled)
    data = row.encode()
    assert Row.decode(data) == row
    assert row_offset(data) == row.offset
    assert len(data) == len(row_with(5).encode()) + 4 + 4 * len(cancelled)


def test_a_row_without_cancelled_orders_is_one_that_releases_without_cancelling_read() -> None:
    assert row_with(5).encode()[0] == PLAIN_FORMAT
    assert Row.decode(row_with(5).encode()).cancelled == ()


def test_a_row_that_lacks_a_part_of_what_was_cancelled_is_refused() -> None:
    data = replace(row_with(0), cancelled=(1, 2, 3)).encode()
    for length in range(len(data) - 15, len(data)):
        with pytest.raises(BadRowError, match=r"damaged|newer"):
            Row.decode(data[:length])


def test_an_id_is_found_at_its_version_also_after_a_chunk_has_left() -> None:
    row = row_with(CHUNK_IDS + 3)
    [(number, ids)] = row.full_chunks()
    left = row.without_chunk()
    assert number == 0
    assert left.find(bytes([1]) * 16) is None
    found = left.find(bytes([CHUNK_IDS + 1]) * 16)
    assert found is not None
    assert found.version == CHUNK_IDS + 1
    chunk = Chunk.decode(0, Chunk(0, 77, ids).encode())
    in_chunk = chunk.find(bytes([1]) * 16)
    assert in_chunk is not None
    assert (in_chunk.version, in_chunk.offset) == (1, 101)


def test_bytes_that_are_no_row_are_refused() -> None:
    for bad in (b"", b"\x01", row_with(1).encode()[:-1], b"\x09" + row_with(1).encode()[1:]):
        with pytest.raises(BadRowError):
            Row.decode(bad)
    with pytest.raises(BadRowError):
        Chunk.decode(0, b"x")
    with pytest.raises(BadRowError):
        split_chunk_key(b"T1")


def test_a_row_or_chunk_of_an_older_version_is_refused_with_what_to_do() -> None:
    # As it was written when chunks had 32 ids: read with ours, its ids would get other versions.
    row = bytes([1]) + row_with(40).encode()[1:]
    chunk = bytes([1]) + bytes(8) + row_with(32).ids
    for decode in (Row.decode, row_offset, lambda data: Chunk.decode(0, data)):
        with pytest.raises(BadRowError, match=r"format 1, from an older version.*Go back to that version"):
            decode(chunk if decode is not Row.decode else row)


def test_a_row_or_chunk_of_a_newer_version_is_refused_with_what_to_do() -> None:
    row = bytes([FORMAT + 1]) + row_with(1).encode()[1:]
    for decode in (Row.decode, row_offset, lambda data: Chunk.decode(0, data)):
        with pytest.raises(BadRowError, match=r"newer version.*upgrade this worker"):
            decode(row)
    with pytest.raises(BadRowError, match="newer version"):
        Chunk.decode(0, bytes([PLAIN_FORMAT + 1]) + Chunk(0, 77, b"").encode()[1:])


def test_a_chunk_with_more_ids_than_ours_is_refused() -> None:
    with pytest.raises(BadRowError):
        Chunk.decode(0, Chunk(0, 77, row_with(CHUNK_IDS + 1).ids).encode())


def test_a_rows_offset_is_told_without_all_the_rest() -> None:
    assert row_offset(row_with(3).encode()) == 103
    assert row_offset(NO_ROW.encode()) == -1
    with pytest.raises(BadRowError):
        row_offset(b"\x02short")


def test_of_two_rows_the_one_of_the_later_command_stays() -> None:
    early, late = row_with(1), row_with(2)
    assert newer(None, early) is early
    assert newer(early, late) is late
    assert newer(late, early) is late


def test_a_chunks_key_comes_back() -> None:
    assert split_chunk_key(chunk_key("PARIS-T12", 3, 7)) == ("PARIS-T12", 3, 7)
