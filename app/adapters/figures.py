"""The figures of orders, streams and stores as Prometheus keeps them.

Children of labelled metrics are looked up once: a look costs as much as the counting.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from prometheus_client import Counter, Histogram

from app import metrics
from app.adapters.breaker import Breaker
from app.adapters.menu import Source
from app.domain.breaker import State
from app.domain.menu import Menu
from app.domain.windows import Limited
from app.messages import Event, OrderPlaced
from app.metrics import Metrics, Values
from app.ports import OrderPart

OUTCOMES = (
    "accepted",
    "replayed",
    "version_conflict",
    "invalid_item",
    "menu_changed",
    "id_reused",
    "session_closed",
    "invalid_request",
    "unauthorized",
    "forbidden",
    "too_large",
    "rate_limited",
    "unavailable",
    "fault",
)
MENU_RESULTS = ("fresh", "not_modified", "stale", "failed")


class OrderFigures:
    """How orders fare: an `OrderWatch`."""

    def __init__(self, kept: Metrics) -> None:
        answered = kept.counter(metrics.ORDER_ANSWERED)
        self._answered = {outcome: answered.labels(outcome) for outcome in OUTCOMES}
        self._answer = kept.histogram(metrics.ORDER_ANSWER)
        part = kept.histogram(metrics.ORDER_PART)
        self._parts: dict[str, Histogram] = {name: part.labels(name) for name in get_args(OrderPart)}

    def answered(self, outcome: str, seconds: float) -> None:
        """A request to place an order got its answer."""
        self._answered[outcome].inc()
        self._answer.observe(seconds)

    def took(self, part: OrderPart, seconds: float) -> None:
        """A part of an order that is timed took so long."""
        self._parts[part].observe(seconds)


class ReadLimitFigures:
    """How reads and strangers are limited: a `LimitWatch`."""

    def __init__(self, kept: Metrics) -> None:
        limited = kept.counter(metrics.LIMITED)
        self._limited: dict[str, Counter] = {which: limited.labels(which) for which in get_args(Limited) if which}

    def limited(self, which: Limited) -> None:
        """A request was refused by this limit."""
        self._limited[which].inc()

    def judged(self, where: Literal["redis", "here"]) -> None:
        """Writes are counted where they are limited."""


class LimitFigures(ReadLimitFigures):
    """How all requests are limited."""

    def __init__(self, kept: Metrics) -> None:
        super().__init__(kept)
        judged = kept.counter(metrics.LIMITS_JUDGED)
        self._judged: dict[str, Counter] = {where: judged.labels(where) for where in ("redis", "here")}

    def judged(self, where: Literal["redis", "here"]) -> None:
        """A request that would change something was judged there."""
        self._judged[where].inc()


BREAKER_STATES: Mapping[State, int] = {"closed": 0, "half_open": 1, "open": 2}


def keep_breakers(kept: Metrics, breakers: Sequence[Breaker]) -> None:
    """How the breakers stand, as each scrape finds them."""

    def by_name(of: Callable[[Breaker], float]) -> Callable[[], Values]:
        return lambda: [((breaker.name,), of(breaker)) for breaker in breakers]

    kept.computed(metrics.BREAKER_STATE, by_name(lambda breaker: BREAKER_STATES[breaker.state]))
    kept.computed(metrics.BREAKER_OPENINGS, by_name(lambda breaker: breaker.openings))
    kept.computed(metrics.BREAKER_TRIALS, by_name(lambda breaker: breaker.trials))
    kept.computed(metrics.BREAKER_REJECTED, by_name(lambda breaker: breaker.rejected))


class MenuFigures:
    """How the menu comes to this worker, and goes out: a `MenuWatch`."""

    def __init__(self, kept: Metrics) -> None:
        answered, loaded = kept.counter(metrics.MENU_ANSWERED), kept.counter(metrics.MENU_LOADED)
        self._answered = {result: answered.labels(result) for result in MENU_RESULTS}
        self._loaded = {source: loaded.labels(source) for source in get_args(Source)}
        self._revision = kept.gauge(metrics.MENU_REVISION)
        self._change = kept.histogram(metrics.MENU_CHANGE)
        self._has_any = False

    def answered(self, result: str) -> None:
        """A request for the menu got its answer."""
        self._answered[result].inc()

    def loaded(self, source: Source, menu: Menu) -> None:
        """A menu that was newer than the last one was taken."""
        self._loaded[source].inc()
        self._revision.set(menu.revision)
        if self._has_any:  # the first one is as old as the last change
            self._change.observe(max(0.0, time.time() - menu.at / 1000))
        self._has_any = True


class LedgerFigures:
    """How events come into Cassandra: a `LedgerWatch`."""

    def __init__(self, kept: Metrics) -> None:
        self._written = kept.counter(metrics.EVENTS_WRITTEN)
        self._age = kept.histogram(metrics.EVENT_AGE)

    def written(self, events: Sequence[Event]) -> None:
        """These stand in all of their tables."""
        now = time.time()
        for event in events:
            since = event.placed_at if isinstance(event, OrderPlaced) else event.at
            self._age.observe(max(0.0, now - since / 1000))

    def acknowledged(self, events: int) -> None:
        """So many more stand there for good, and are acknowledged to the log."""
        self._written.inc(events)


class StoreFigures:
    """Requests to Cassandra."""

    def __init__(self, kept: Metrics) -> None:
        calls, call = kept.counter(metrics.CASSANDRA_CALLS), kept.histogram(metrics.CASSANDRA_CALL)
        kinds = ("read", "write")
        self._ok = {kind: calls.labels(kind, "ok") for kind in kinds}
        self._failed = {kind: calls.labels(kind, "failed") for kind in kinds}
        self._took = {kind: call.labels(kind) for kind in kinds}

    def cassandra(self, kind: Literal["read", "write"], seconds: float | None) -> None:
        """A request was answered after so long, or not at all."""
        if seconds is None:
            self._failed[kind].inc()
        else:
            self._ok[kind].inc()
            self._took[kind].observe(seconds)


class RedisFigures:
    """Requests to Redis."""

    def __init__(self, kept: Metrics) -> None:
        calls = kept.counter(metrics.REDIS_CALLS)
        self._ok, self._failed = calls.labels("ok"), calls.labels("failed")

    def called(self, answered: bool) -> None:
        """A request was answered, or not."""
        (self._ok if answered else self._failed).inc()


KITCHEN_OUTCOMES = (
    "changed",
    "changed_before",
    "unchanged",
    "version_conflict",
    "not_possible",
    "not_found",
    "id_reused",
    "cancelled",
    "cannot_cancel",
    "unknown",
)


class KitchenFigures:
    """What the kitchen decides: a `KitchenWatch`."""

    def __init__(self, kept: Metrics) -> None:
        self._made = kept.histogram(metrics.KITCHEN_MADE)
        decided = kept.counter(metrics.KITCHEN_DECIDED)
        self._decided = {outcome: decided.labels(outcome) for outcome in KITCHEN_OUTCOMES}

    def made(self, seconds: float) -> None:
        """The tickets of an order were decided on, so long after its command came into the log."""
        self._made.observe(seconds)

    def decided(self, outcome: str) -> None:
        """What a cook or a guest asked for was decided on."""
        self._decided[outcome].inc()
