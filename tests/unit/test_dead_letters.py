"""What a dead letter holds, and how its bytes are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pytest

from app.adapters.dead_letters import (
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    BadLetterError,
    DeadLetter,
    Resent,
    decode_letter,
    letter_of,
)
from app.audit.letters import Original, refusal
from app.cli._text import iso, plain, printable, readable
from app.topics import ORDER_COMMANDS, ORDER_EVENTS
from tests import poison

BROKER_TAKES = 1_000_000  # bytes, as librdkafka's message.max.bytes


@dataclass
class Consumed:
    key: bytes | None = b"T1"
    value: bytes | None = b"\xff"
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = ORDER_EVENTS
    partition: int = 2
    offset: int = 17
    timestamp: int = 1_790_000_000_000


def test_a_letter_comes_back_with_all_that_its_record_was() -> None:
    record = Consumed(b"\xfeT1", b"\xff\x00", (("trace", b"\x01"), ("none", None)))
    letter = letter_of(record, "no event")
    assert letter.is_whole
    assert decode_letter(msgspec.json.encode(letter)) == letter
    assert (letter.key, letter.value, letter.headers) == (record.key, record.value, record.headers)
    assert (letter.topic, letter.partition, letter.offset, letter.time) == (ORDER_EVENTS, 2, 17, record.timestamp)


@pytest.mark.parametrize("value", [None, b""])
def test_null_and_nothing_stay_apart(value: bytes | None) -> None:
    letter = letter_of(Consumed(value, value), "no event")
    assert letter.is_whole
    assert (letter.key, letter.value) == (value, value)


def test_the_longest_record_makes_a_letter_that_a_broker_takes() -> None:
    """Else it would be tried for ever, and nothing of its partition would go on."""
    record = Consumed(b"\xff" * 500_000, b"\xff" * 1_000_000, [("h" * 1000, b"\xff" * 1000)] * 30)
    letter = letter_of(record, "\U0001f41f" * 100_000)
    assert len(msgspec.json.encode(letter)) < BROKER_TAKES - 20_000
    assert not letter.is_whole
    assert (len(letter.key or b""), letter.key_size) == (MAX_KEY_BYTES, 500_000)
    assert (len(letter.value or b""), letter.size) == (MAX_VALUE_BYTES, 1_000_000)


def test_headers_too_long_to_be_kept_are_told_of() -> None:
    letter = letter_of(Consumed(headers=[("h", b"x" * 100_000)]), "no event")
    assert letter.headers is None
    assert not letter.is_whole


def test_a_note_comes_back() -> None:
    note = Resent(5, ORDER_EVENTS, 2, 18, mended=True)
    assert decode_letter(msgspec.json.encode(note)) == note


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"type": "Else"}, {"partition": -1}, {"offset": 2**63}, {"value": "no base64!"}]
)
def test_what_is_no_letter_is_none(change: dict[str, object]) -> None:
    data = msgspec.json.encode(letter_of(Consumed(), "no event"))
    assert isinstance(decode_letter(data), DeadLetter)
    with pytest.raises(BadLetterError):
        decode_letter(poison.changed(data, change))


@pytest.mark.parametrize("value", poison.neither().values(), ids=poison.neither())
def test_rubbish_among_the_letters_is_none(value: bytes | None) -> None:
    with pytest.raises(BadLetterError):
        decode_letter(value)


def test_what_a_reader_would_make_of_it_is_told_beforehand() -> None:
    assert refusal(ORDER_COMMANDS, Original(b"T1", poison.command("T1"), [])) == ""
    assert refusal(ORDER_EVENTS, Original(b"T1", poison.event("T1"), [])) == ""
    assert "not a command" in refusal(ORDER_COMMANDS, Original(b"T1", b"{", []))
    assert "its key is" in refusal(ORDER_EVENTS, Original(b"T2", poison.event("T1"), []))


def test_what_is_shown_commands_no_terminal() -> None:
    assert plain("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert printable(b"T\xc3\xbcr\x07") == "Tür\\x07"
    assert printable(b"\xff\x01") == "0xff01"
    assert printable(None) == "-"
    assert readable('{"note":\n "é\x1b"}'.encode()) == '{"note":\n "é\\x1b"}'


def test_a_value_that_is_no_text_is_dumped() -> None:
    assert readable(b"\xffAB" + b"\x00" * 14) == (
        f"00000000  ff 41 42 00 00 00 00 00 00 00 00 00 00 00 00 00  .AB.............\n00000010  {'00':<48} ."
    )
    assert readable(b"\xff" * 5000).endswith("… 904 bytes more")
    assert readable("é".encode()[:1]) == ""  # a text that was cut within a character
    assert readable(None) == "(null)"


def test_times_are_shown_to_the_second() -> None:
    assert iso(1_790_000_000_999) == "2026-09-21T14:13:20Z"
    assert iso(10**30) == f"{10**30} ms"
