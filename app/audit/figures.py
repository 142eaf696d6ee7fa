"""The auditor's metrics."""

import time

from app import metrics
from app.audit.book import Book
from app.audit.store import TABLES
from app.metrics import Metrics


class Figures:
    """They stand as the last check left them; `audit_check_timestamp` tells how old they are, and the age grows on."""

    def __init__(self, kept: Metrics) -> None:
        self.oldest_unwritten: int | None = None  # ms since 1970, UTC
        self._oldest_missing: int | None = None
        self._acknowledged = kept.gauge(metrics.AUDIT_ACKNOWLEDGED)
        self._events = kept.gauge(metrics.AUDIT_EVENTS)
        self._expired = kept.gauge(metrics.AUDIT_EXPIRED)
        self._cassandra = kept.gauge(metrics.AUDIT_CASSANDRA)
        self._lost = kept.gauge(metrics.AUDIT_LOST)
        self._duplicated = kept.gauge(metrics.AUDIT_DUPLICATED)
        self._ticketed = kept.gauge(metrics.AUDIT_TICKETED)
        self._unticketed = kept.gauge(metrics.AUDIT_UNTICKETED)
        self._behind = kept.gauge(metrics.AUDIT_TICKETS_BEHIND)
        self._differing = kept.gauge(metrics.AUDIT_DIFFERING)
        self.unwritten = kept.gauge(metrics.AUDIT_UNWRITTEN)
        self.unverified = kept.gauge(metrics.AUDIT_UNVERIFIED)
        self._checked = kept.gauge(metrics.AUDIT_CHECKED)
        self._round = kept.gauge(metrics.AUDIT_ROUND)
        kept.gauge(metrics.AUDIT_UNWRITTEN_AGE).set_function(self.age)

    def age(self) -> float:
        """s since the oldest event that is not in Cassandra; 0 where each is."""
        oldest = min((at for at in (self.oldest_unwritten, self._oldest_missing) if at is not None), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)

    def show(self, book: Book) -> None:
        """Take over what the book tells."""
        self._acknowledged.set(book.acknowledged)
        self._events.set(book.told.count)
        self._expired.set(sum(book.expired.values()))
        for table in TABLES:
            self._cassandra.labels(table).set(book.in_cassandra(table))
        self._lost.set(book.lost)
        self._ticketed.set(book.kitchen.count)
        self._unticketed.set(book.kitchen.lost)
        self._behind.set(book.kitchen.behind)
        self._duplicated.set(len(book.duplicated) + len(book.kitchen.duplicated))
        self._differing.set(book.differing)
        self._oldest_missing = book.oldest_missing()

    def check_is_done(self) -> None:
        """Kafka and Cassandra have answered all that was asked."""
        self._checked.set(time.time())

    def round_is_done(self) -> None:
        """All of the log was looked for once more."""
        self._round.set(time.time())
