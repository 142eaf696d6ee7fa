"""Orders, events and requests to the stores, as the figures count them."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import metrics
from app.adapters import dead_letters
from app.adapters.cassandra import CassandraSession, Statement
from app.adapters.dead_letters import KafkaDeadLetters
from app.adapters.figures import (
    OUTCOMES,
    LedgerFigures,
    LimitFigures,
    MenuFigures,
    OrderFigures,
    RedisFigures,
    StoreFigures,
)
from app.adapters.menu_copies import MenuCopies
from app.domain.menu import Menu
from app.messages import SessionClosed, SessionOpened, order_placed
from app.metrics import Metric, Metrics
from app.ports import UnavailableError
from app.settings import Settings
from tests.property.restaurant import place


def read(kept: Metrics, metric: Metric, suffix: str = "", **labels: str) -> float | None:
    suffix = suffix or {"counter": "_total", "histogram": "_count"}.get(metric.kind, "")
    return kept.registry.get_sample_value(metric.full_name + suffix, labels)


def test_every_outcome_that_is_promised_is_counted_from_nought() -> None:
    kept = Metrics()
    figures = OrderFigures(kept)
    promised = metrics.ORDER_ANSWERED.meaning.partition("answered: ")[2].split(", ")
    assert set(promised) == set(OUTCOMES)
    assert [read(kept, metrics.ORDER_ANSWERED, outcome=outcome) for outcome in promised] == [0] * len(promised)
    figures.answered("accepted", 0.2)
    figures.answered("accepted", 0.3)
    figures.answered("fault", 9.0)
    assert read(kept, metrics.ORDER_ANSWERED, outcome="accepted") == 2
    assert read(kept, metrics.ORDER_ANSWERED, outcome="fault") == 1
    assert read(kept, metrics.ORDER_ANSWER) == 3
    assert read(kept, metrics.ORDER_ANSWER, "_bucket", le="0.25") == 1


def test_refusals_are_counted_by_limit_and_what_was_judged_by_where() -> None:
    kept = Metrics()
    figures = LimitFigures(kept)
    for which in ("table", "source", "address", "held_off"):
        assert which in metrics.LIMITED.meaning
        assert read(kept, metrics.LIMITED, which=which) == 0
        figures.limited(cast(Any, which))
        assert read(kept, metrics.LIMITED, which=which) == 1
    for where in ("redis", "here"):
        figures.judged(cast(Any, where))
        assert read(kept, metrics.LIMITS_JUDGED, where=where) == 1


def test_every_part_that_is_promised_is_measured() -> None:
    kept = Metrics()
    figures = OrderFigures(kept)
    for part in ("edge", "log", "decision", "acknowledgement", "reply"):
        assert f"{part} (" in metrics.ORDER_PART.meaning.replace("decision,", "decision (")
        assert read(kept, metrics.ORDER_PART, part=part) == 0
        figures.took(cast(Any, part), 0.02)
        assert read(kept, metrics.ORDER_PART, part=part) == 1
        assert read(kept, metrics.ORDER_PART, "_sum", part=part) == pytest.approx(0.02)


def test_events_are_as_old_as_their_commands_and_counted_when_they_are_acknowledged() -> None:
    kept = Metrics()
    figures = LedgerFigures(kept)
    ago = int(time.time() * 1000) - 20_000
    figures.written([order_placed(place("a"), 1, 7, ago), SessionOpened("T1", 1, ago), SessionClosed("T1", 1, ago)])
    assert read(kept, metrics.EVENTS_WRITTEN) == 0
    assert read(kept, metrics.EVENT_AGE, "_bucket", le="10.0") == 0
    assert read(kept, metrics.EVENT_AGE) == 3
    figures.acknowledged(3)
    assert read(kept, metrics.EVENTS_WRITTEN) == 3


class Driver:
    """A driver's session and response in one: answers, or fails, at once or never."""

    has_more_pages = False

    def __init__(self, fails: bool = False, hangs: bool = False) -> None:
        self._fails, self._hangs = fails, hangs

    def execute_async(self, query: object, timeout: float) -> "Driver":
        return self

    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[Exception], None]) -> None:
        if self._fails:
            errback(OSError("broken"))
        elif not self._hangs:
            callback([("row",)])


async def test_requests_to_cassandra_are_counted_by_kind_and_result_and_only_answers_are_timed() -> None:
    kept = Metrics()
    session = CassandraSession(Settings(), StoreFigures(kept).cassandra)
    statement = cast(Statement, SimpleNamespace(bind=lambda _: None))
    with pytest.raises(UnavailableError):
        await session.rows(statement, ())  # no request: there is no connection yet
    for driver in (Driver(), Driver(fails=True), Driver(hangs=True)):
        session._session = driver
        for request in (session.rows(statement, ()), session.write(None), session.write(None)):
            with contextlib.suppress(UnavailableError, TimeoutError):
                await asyncio.wait_for(request, 0.01)
    counted = [
        read(kept, metrics.CASSANDRA_CALLS, kind=kind, result=result)
        for kind in ("read", "write")
        for result in ("ok", "failed")
    ]
    assert counted == [1, 2, 2, 4]
    assert [read(kept, metrics.CASSANDRA_CALL, kind=kind) for kind in ("read", "write")] == [1, 2]


async def test_requests_to_redis_are_counted_by_result() -> None:
    kept = Metrics()
    settings = Settings.model_validate({"redis": {"url": "redis://127.0.0.1:1/0"}})
    copies = MenuCopies(settings, RedisFigures(kept).called)
    await copies.stand()
    await copies.put(Menu())
    assert [read(kept, metrics.REDIS_CALLS, result=result) for result in ("ok", "failed")] == [0, 2]

    async def answers(*_: Any, **__: Any) -> None: ...

    copies._redis = cast(Any, SimpleNamespace(delete=answers))
    await copies.unlock()
    assert [read(kept, metrics.REDIS_CALLS, result=result) for result in ("ok", "failed")] == [1, 2]


def test_a_menu_that_comes_is_counted_by_where_it_came_from_and_timed_but_for_the_first() -> None:
    kept = Metrics()
    figures = MenuFigures(kept)
    figures.loaded("disk", Menu(3, 0))
    figures.loaded("redis", Menu(4, round(time.time() * 1000) - 200))
    figures.answered("stale")
    assert read(kept, metrics.MENU_REVISION) == 4
    assert [read(kept, metrics.MENU_LOADED, source=source) for source in ("disk", "redis", "cassandra")] == [1, 1, 0]
    assert read(kept, metrics.MENU_ANSWERED, result="stale") == 1
    assert read(kept, metrics.MENU_CHANGE) == 1


async def test_a_dead_letter_is_counted_once_it_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    attempts = [BufferError("full"), None]

    async def send(self: KafkaDeadLetters, key: bytes, value: bytes) -> None:
        assert counted == []
        if (error := attempts.pop(0)) is not None:
            raise error

    monkeypatch.setattr(dead_letters, "PolledProducer", lambda *_: None)
    monkeypatch.setattr(dead_letters, "RETRY_SECONDS", 0)
    monkeypatch.setattr(KafkaDeadLetters, "_send", send)
    record: Any = SimpleNamespace(topic="t", partition=0, offset=1, timestamp=0, key=b"", value=b"", headers=())
    await KafkaDeadLetters(Settings(), counted.append).put(record, "no event")
    assert counted == ["t"]
