"""The dead letters as an operator sees them: read, and their records sent again."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from app.adapters.dead_letters import BadLetterError, DeadLetter, Resent, decode_letter
from app.audit.log import REQUEST, AuditError, Topic
from app.messages import BadMessageError, Nothing, check_key, decode_command, decode_event
from app.settings import Settings
from app.topics import DEAD_LETTERS, ORDER_COMMANDS, ORDER_EVENTS

READ_SECONDS = 10.0
SEND_SECONDS = 30.0

Headers = list[tuple[str, bytes | None]]


@dataclass
class Letter:
    """A dead letter: its number is its offset in `dead-letters`, so it stays; `at` is when it was put there (ms)."""

    number: int
    at: int
    content: DeadLetter
    resent: list[Resent] = field(default_factory=list)


@dataclass
class Box:
    """Letters by number, without their values; `strange` records of the topic are none."""

    letters: dict[int, Letter] = field(default_factory=dict)
    strange: int = 0


@dataclass(frozen=True)
class Original:
    """What of a record is sent again."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def read_box(settings: Settings) -> Box:
    """All letters that still stand, oldest first, with what was noted of them.

    Raises:
        AuditError: Kafka does not answer.
    """
    box = Box()
    for record, content in _records(settings):
        number, at = record.offset(), record.timestamp()[1]
        if content is None:
            box.strange += 1
        elif isinstance(content, DeadLetter):
            box.letters[number] = Letter(number, at, msgspec.structs.replace(content, value=None))
        elif content.letter in box.letters:  # else the letter has left by its age
            box.letters[content.letter].resent.append(content)
    return box


def whole_letters(settings: Settings, numbers: Collection[int]) -> Iterator[tuple[int, DeadLetter]]:
    """The letters of these numbers with their values, one at a time: together they may be large.

    Raises:
        AuditError: Kafka does not answer.
    """
    for record, content in _records(settings):
        if isinstance(content, DeadLetter) and record.offset() in numbers:
            yield record.offset(), content


def _records(settings: Settings) -> Iterator[tuple[Message, DeadLetter | Resent | None]]:
    topic = Topic(settings.kafka_bootstrap, DEAD_LETTERS)
    try:
        for record in topic.read():
            try:
                yield record, decode_letter(record.value())
            except BadLetterError:
                yield record, None
    finally:
        topic.close()


def original(settings: Settings, letter: DeadLetter) -> Original:
    """The record as it was: from the letter, or from where it stands if the letter could not hold it.

    Raises:
        AuditError: it does not stand there any more, or Kafka does not answer.
    """
    if letter.is_whole:
        return Original(letter.key, letter.value, list(letter.headers or ()))
    record = _record_at(settings, letter)
    return Original(record.key(), record.value(), record.headers() or [])


def _record_at(settings: Settings, letter: DeadLetter) -> Message:
    place = f"{letter.topic}/{letter.partition} offset {letter.offset}"
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "group.id": "dead-letters",  # asked for by the library; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    try:
        consumer.assign([TopicPartition(letter.topic, letter.partition, letter.offset)])
        deadline = time.monotonic() + READ_SECONDS
        while time.monotonic() < deadline:
            record = consumer.poll(1.0)
            if record is None:
                continue
            error = record.error()
            is_gone = error is not None and error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET)
            if is_gone or (error is None and _is_another(record, letter)):
                raise AuditError(f"the letter holds a part of its record only, and {place} has it no more")
            if error is not None:
                raise AuditError(f"{place}: {error.str()}")
            return record
        raise AuditError(f"{place} was not read within {READ_SECONDS:.0f} s")
    except KafkaException as error:
        raise AuditError(f"{place}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _is_another(record: Message, letter: DeadLetter) -> bool:
    """A topic that was made anew has other records at the same offsets."""
    found = record.offset(), record.timestamp()[1], len(record.value() or b""), len(record.key() or b"")
    return found != (letter.offset, letter.time, letter.size, letter.key_size)


def refusal(topic: str, record: Original) -> str:
    """Why this release would set the record aside again; empty where it can decode it, or does not read the topic."""
    try:
        if topic == ORDER_COMMANDS:
            command = decode_command(record.value)
            if not isinstance(command, Nothing):
                check_key(command, record.key)
        elif topic == ORDER_EVENTS:
            check_key(decode_event(record.value), record.key)
    except BadMessageError as error:
        return str(error)
    return ""


class Sender:
    """Sends letters' records to where they came from."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": int(SEND_SECONDS * 1000),
                "log_level": 2,
            }
        )

    def resend(self, number: int, letter: DeadLetter, record: Original, *, mended: bool) -> Resent:
        """Append the record to its partition and note that; returns once all in-sync replicas have both.

        Raises:
            AuditError: Kafka did not take it; or took it, but not the note.
        """
        offset = self._send(letter.topic, letter.partition, record)
        note = Resent(number, letter.topic, letter.partition, offset, mended)
        key = f"{letter.topic}/{letter.partition}".encode()
        try:
            self._send(DEAD_LETTERS, 0, Original(key, msgspec.json.encode(note), []))
        except AuditError as error:
            place = f"{letter.topic}/{letter.partition} offset {offset}"
            raise AuditError(f"letter {number} was sent to {place}, but that could not be noted: {error}") from error
        return note

    def _send(self, topic: str, partition: int, record: Original) -> int:
        told: list[tuple[KafkaError | None, int]] = []

        def report(failure: KafkaError | None, sent: Message) -> None:
            told.append((failure, sent.offset()))

        try:
            self._producer.produce(
                topic, record.value, record.key, partition, on_delivery=report, headers=record.headers
            )
        except (KafkaException, BufferError) as error:
            raise AuditError(f"{topic}/{partition} did not take the record: {error}") from error
        self._producer.flush(SEND_SECONDS + REQUEST)
        if not told:
            raise AuditError(f"{topic}/{partition} did not answer; the record may have been written")
        failure, offset = told[0]
        if failure is not None:
            raise AuditError(f"{topic}/{partition} did not take the record: {failure.str()}")
        return offset
