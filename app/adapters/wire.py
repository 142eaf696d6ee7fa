"""Kafka's protocol, as far as the way of an order needs it: two requests and their answers, as bytes.

aiokafka knows all of the protocol, and reads and writes it field by field: a third of what a request costs a worker.
Source: https://kafka.apache.org/protocol, Produce 7 and Fetch 10.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct

from aiokafka.errors import for_code

PRODUCE, PRODUCE_VERSION = 0, 7
# The last one that only the leader of a partition answers. From 11 on any replica does: it may be behind, and who asks
# would not hear that the leader is another one by now.
FETCH, FETCH_VERSION = 1, 10

ALL_IN_SYNC = -1
CONSUMER = -1  # in place of a replica's id
NO_SESSION = (0, -1)  # id and epoch: each fetch says all that it wants
NONE = b"\xff\xff"  # in place of a text
UNKNOWN = -1

_SHORT, _INT = Struct(">h"), Struct(">i")
_HEAD = Struct(">ihhi")  # size, request, its version, correlation
_ACKS = Struct(">hi")  # acks, ms
_PLACE = Struct(">ii")  # partition, size of its records
_PRODUCED = Struct(">ihqqq")  # partition, error, first offset, log time, start of the log
_FETCH = Struct(">iiiibii")  # replica, ms, least and most bytes, isolation, session and its epoch
_WANTED = Struct(">iiqqi")  # partition, epoch of its leader, offset, start of the log, most bytes
_FETCHED = Struct(">ihqqqi")  # partition, error, end, last stable offset, start of the log, aborted transactions
_ABORTED_BYTES = 16


def head(size: int, request: int, version: int, correlation: int, client: bytes) -> bytes:
    """What stands before a request's `size` bytes; `client` is what `text` makes of its name."""
    return _HEAD.pack(_HEAD.size - _INT.size + len(client) + size, request, version, correlation) + client


def text(value: str) -> bytes:
    """A text as the protocol has it."""
    encoded = value.encode()
    return _SHORT.pack(len(encoded)) + encoded


def produce(batches: Iterable[tuple[str, int, bytes]], replicas_ms: int) -> bytes:
    """Append a batch of records to each topic's partition; the broker waits so long for the other replicas."""
    topics: dict[str, list[bytes]] = defaultdict(list)
    for topic, partition, data in batches:
        topics[topic] += (_PLACE.pack(partition, len(data)), data)
    parts = [NONE, _ACKS.pack(ALL_IN_SYNC, replicas_ms), _INT.pack(len(topics))]
    for topic, found in topics.items():
        parts += (text(topic), _INT.pack(len(found) // 2), *found)
    return b"".join(parts)


def produced(answer: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Topic, partition, error (0: none) and the offset of the batch's first record."""
    at, topics = _int(answer, 0)
    for _ in range(topics):
        at, topic = _text(answer, at)
        at, partitions = _int(answer, at)
        for _ in range(partitions):
            partition, code, offset, _, _ = _PRODUCED.unpack_from(answer, at)
            at += _PRODUCED.size
            yield topic, partition, code, offset


def fetch(topic: str, places: Mapping[int, int], wait_ms: int, most: int, most_each: int) -> bytes:
    """What stands in these partitions from these offsets on, as soon as there is anything, or after `wait_ms`.

    `most` and `most_each` are bytes, of the answer and of each partition; one batch comes whole, however large.
    """
    parts = [_FETCH.pack(CONSUMER, wait_ms, 1, most, 0, *NO_SESSION)]
    parts += (_INT.pack(1), text(topic), _INT.pack(len(places)))
    parts += [_WANTED.pack(partition, UNKNOWN, at, UNKNOWN, most_each) for partition, at in places.items()]
    parts.append(_INT.pack(0))  # topics that a session is to forget
    return b"".join(parts)


def fetched(answer: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Partition, error (0: none), the end of its log, and its records as they are stored, the last batch perhaps cut.

    Raises:
        KafkaError: the broker refused all of it.
    """
    (code,) = _SHORT.unpack_from(answer, _INT.size)  # behind the time for which it held the request up
    if code:
        raise for_code(code)()
    at, topics = _int(answer, _INT.size + _SHORT.size + _INT.size)
    for _ in range(topics):
        at, _ = _text(answer, at)
        at, partitions = _int(answer, at)
        for _ in range(partitions):
            partition, code, end, _, _, aborted = _FETCHED.unpack_from(answer, at)
            at += _FETCHED.size + max(0, aborted) * _ABORTED_BYTES
            at, size = _int(answer, at)
            yield partition, code, end, answer[at : at + size] if size > 0 else b""
            at += max(0, size)


def _int(answer: bytes, at: int) -> tuple[int, int]:
    return at + _INT.size, _INT.unpack_from(answer, at)[0]


def _text(answer: bytes, at: int) -> tuple[int, str]:
    (size,) = _SHORT.unpack_from(answer, at)
    at += _SHORT.size
    return at + size, answer[at : at + size].decode()
