"""Kafka's requests and answers as we write and read them, beside aiokafka's, which knows the whole protocol."""

from typing import Any

import pytest
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v10
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7

from app.adapters import wire


def theirs(request: Any, kind: int, version: int) -> bytes:
    return bytes(request.prepare({kind: (version, version)}).encode())


def test_a_produce_request_is_as_the_protocol_has_it() -> None:
    batches = [("rows", 0, b"abc"), ("events", 3, b""), ("rows", 2, b"d" * 300)]
    request = ProduceRequest(
        transactional_id=None,
        required_acks=-1,
        timeout=2000,
        topics=[("rows", [(0, b"abc"), (2, b"d" * 300)]), ("events", [(3, b"")])],
    )
    assert wire.produce(batches, 2000) == theirs(request, wire.PRODUCE, wire.PRODUCE_VERSION)


def test_a_fetch_is_as_the_protocol_has_it() -> None:
    request = FetchRequest(500, 1, 4_000_000, 0, [("order-commands", [(0, 12, 250_000), (3, 2**40, 250_000)])])
    found = wire.fetch("order-commands", {0: 12, 3: 2**40}, 500, 4_000_000, 250_000)
    assert found == theirs(request, wire.FETCH, wire.FETCH_VERSION)


def test_a_fetch_is_one_that_only_the_leader_answers() -> None:
    assert wire.FETCH_VERSION < 11


def test_the_head_of_a_request_says_how_long_it_is() -> None:
    struct = FetchRequest(500, 1, 100, 0, [("rows", [(0, 0, 100)])]).prepare({wire.FETCH: (10, 10)})
    head = struct.build_request_header(correlation_id=77, client_id="bistro").encode()
    body = struct.encode()
    size = (len(head) + len(body)).to_bytes(4)
    assert wire.head(len(body), wire.FETCH, wire.FETCH_VERSION, 77, wire.text("bistro")) == size + head


def test_what_was_produced_is_read_by_partition() -> None:
    answer = ProduceResponse_v7(
        [("rows", [(0, 0, 17, -1, 3), (2, 6, -1, -1, -1)]), ("events", [(3, 0, 2**40, 1000, 0)])], 0
    )
    assert list(wire.produced(answer.encode())) == [
        ("rows", 0, 0, 17),
        ("rows", 2, 6, -1),
        ("events", 3, 0, 2**40),
    ]


def test_what_was_fetched_is_read_by_partition() -> None:
    partitions = [
        (0, 0, 20, 20, 0, None, b"records"),
        (1, 0, 9, 9, 0, [], b""),
        (2, 0, 5, 5, 0, [(7, 1), (8, 2)], b"x" * 1000),  # of transactions that others broke off
        (3, 1, -1, -1, -1, None, None),
    ]
    answer = FetchResponse_v10(0, 0, 0, [("rows", partitions)])
    assert list(wire.fetched(answer.encode())) == [
        (0, 0, 20, b"records"),
        (1, 0, 9, b""),
        (2, 0, 5, b"x" * 1000),
        (3, 1, -1, b""),
    ]


def test_a_fetch_that_was_refused_as_a_whole_is_an_error() -> None:
    with pytest.raises(KafkaError):
        list(wire.fetched(FetchResponse_v10(0, 70, 0, []).encode()))
