"""What the libraries are kept from saying over and over."""

import logging

from app.service.logs import REPEAT_SECONDS, Seldom


def record(name: str, text: str, created: float, *args: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)
    made.created = created
    return made


def test_what_aiokafka_repeats_is_logged_once_in_a_while() -> None:
    seldom = Seldom()
    text = "Unable connect to node with id %s: %s"
    assert seldom.filter(record("aiokafka", text, 1000.0, 1, "closed"))
    assert not seldom.filter(record("aiokafka", text, 1000.1, 1, "refused"))
    assert seldom.filter(record("aiokafka", "another", 1000.1))
    assert seldom.filter(record("aiokafka", text, 1000.0 + REPEAT_SECONDS, 1, "closed"))


def test_what_others_repeat_is_logged_each_time() -> None:
    seldom = Seldom()
    assert all(seldom.filter(record("app.agents.orders", "partition taken over", 1000.0)) for _ in range(3))
