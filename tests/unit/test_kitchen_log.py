"""What the displays' reader does where it cannot go on: it says so, and names the place."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn, cast

import pytest

from app.adapters import kitchen_log
from app.adapters.kitchen_log import KitchenLog
from app.ports import LogReader, Record
from app.settings import Settings
from app.web.board import Board

PARTITIONS = Settings().kafka.partitions


class Ended(BaseException):
    """The process would have ended."""


def end(reason: str) -> NoReturn:
    raise Ended(reason)


class Reader:
    """A changelog with one record in each partition."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.ends = 8

    async def end(self, topic: str, partition: int) -> int:
        return self.ends

    async def batches(self, topic: str, spans: Any) -> AsyncIterator[tuple[int, list[Record]]]:
        yield 2, [Record(7, 1_700_000_000_000, b"T1/o1", self.value)]


def log_of(value: bytes) -> KitchenLog:
    return KitchenLog(Settings(), cast("LogReader", Reader(value)), Board(PARTITIONS, 100), end)


NEWER = b"\x02" + bytes(40)
DAMAGED = b"garbage" * 6


@pytest.mark.parametrize(
    ("value", "what_to_do"),
    [(NEWER, "upgrade this worker"), (DAMAGED, "restore the topic"), (b"", "restore the topic")],
    ids=("newer", "damaged", "empty"),
)
async def test_a_record_that_cannot_be_read_is_named_with_what_to_do(
    value: bytes, what_to_do: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kitchen_log, "_topic_id", lambda _: "id")
    where = r"record 7 of kitchen-orders-changelog/2 cannot be read: .*"
    with pytest.raises(Ended, match=where + what_to_do):
        await log_of(value)._read_all()
    with pytest.raises(Ended, match=where + what_to_do):
        log_of(value)._arrived(2, [cast("Any", Record(7, 1_700_000_000_000, b"T1/o1", value))])


async def test_a_log_that_was_made_anew_is_noticed_and_displays_are_told_until_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kitchen_log, "LOOK_SECONDS", 0)
    reader, board = Reader(b""), Board(PARTITIONS, 100)
    log = KitchenLog(Settings(), cast("LogReader", reader), board, end)
    board.begin("id", [8] * PARTITIONS)
    await log._look()
    assert log.behind() == 0
    reader.ends = 3
    for _ in range(kitchen_log.SHORT_LOOKS - 1):  # a new leader may know less for a moment
        await log._look()
        assert log.behind() > 0
    reader.ends = 8
    await log._look()
    assert log.behind() == 0
    reader.ends = 3
    for _ in range(kitchen_log.SHORT_LOOKS - 1):
        await log._look()
    with pytest.raises(Ended, match="kitchen-orders-changelog/0 ends at offset 3, but was read up to 8"):
        await log._look()
