"""Every metric of the project: kind, unit and meaning.

A process makes those that it keeps with `Metrics`, in a registry of its own, and serves nothing else. A name ends with
its unit (and, for a counter, `_total`), as Prometheus asks for.
"""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

PREFIX = "bistro92"


@dataclass(frozen=True)
class Metric:
    """One metric: its full name is `bistro92_{name}_{unit}`; `buckets`, in its unit, are for a histogram."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as it is served, a counter's without `_total`."""
        return f"{PREFIX}_{self.name}_{self.unit}"


# ── the auditor: acknowledged = events = every table of Cassandra ─────────────────────────────────────────────────────

AUDIT_ACKNOWLEDGED = Metric(
    "gauge", "audit_acknowledged", "orders", "Orders that the tables' rows count, over all sessions"
)
AUDIT_EVENTS = Metric("gauge", "audit_event", "orders", "Orders that the log tells of, each place counted once")
AUDIT_EXPIRED = Metric(
    "gauge", "audit_expired", "orders", "Acknowledged orders whose events had left the log before the auditor's start"
)
AUDIT_CASSANDRA = Metric(
    "gauge", "audit_cassandra", "orders", "Orders found in a Cassandra table when last looked for there", ("table",)
)
AUDIT_LOST = Metric(
    "gauge", "audit_lost", "orders", "Acknowledged orders without event, or missing in Cassandra past the ledger's word"
)
AUDIT_DUPLICATED = Metric("gauge", "audit_duplicated", "orders", "Two orders at one place, or one order at two")
AUDIT_DIFFERING = Metric("gauge", "audit_differing", "orders", "Orders that two sources tell in different ways")
AUDIT_UNWRITTEN_AGE = Metric(
    "gauge", "audit_unwritten_age", "seconds", "Age of the oldest event that is not in Cassandra yet; 0 without one"
)
AUDIT_UNWRITTEN = Metric("gauge", "audit_unwritten", "events", "Events that the ledger has not done with")
AUDIT_UNVERIFIED = Metric(
    "gauge", "audit_unverified", "events", "Events the ledger has done with that the auditor has yet to look for"
)
AUDIT_CHECKED = Metric(
    "gauge", "audit_check_timestamp", "seconds", "Unix time of the last check for which Kafka and Cassandra answered"
)
AUDIT_ROUND = Metric(
    "gauge", "audit_round_timestamp", "seconds", "Unix time at which all of the log had last been looked for once more"
)

AUDIT = (
    AUDIT_ACKNOWLEDGED,
    AUDIT_EVENTS,
    AUDIT_EXPIRED,
    AUDIT_CASSANDRA,
    AUDIT_LOST,
    AUDIT_DUPLICATED,
    AUDIT_DIFFERING,
    AUDIT_UNWRITTEN_AGE,
    AUDIT_UNWRITTEN,
    AUDIT_UNVERIFIED,
    AUDIT_CHECKED,
    AUDIT_ROUND,
)

ALL = (*AUDIT,)


class Metrics:
    """The metrics of one process, beside its CPU time, memory and open files."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

    def counter(self, metric: Metric) -> Counter:
        """Keep a counter."""
        return Counter(metric.full_name, metric.meaning, metric.labels, registry=self._check(metric, "counter"))

    def gauge(self, metric: Metric) -> Gauge:
        """Keep a gauge."""
        return Gauge(metric.full_name, metric.meaning, metric.labels, registry=self._check(metric, "gauge"))

    def histogram(self, metric: Metric) -> Histogram:
        """Keep a histogram."""
        registry = self._check(metric, "histogram")
        return Histogram(metric.full_name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)

    def _check(self, metric: Metric, kind: str) -> CollectorRegistry:
        assert metric.kind == kind, f"{metric.full_name} is a {metric.kind}"
        return self.registry
