"""Every metric of the project: kind, unit and meaning.

A process makes those that it keeps with `Metrics`, in a registry of its own, and serves nothing else. A name ends with
its unit (and, for a counter, `_total`), as Prometheus asks for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Values = Iterable[tuple[tuple[str, ...], float]]  # by the values of the labels

PREFIX = "bistro92"

# A series more for each counter and histogram, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's


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


# ── the auditor: acknowledged = events = every table of Cassandra = tickets ───────────────────────────────────────────

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
AUDIT_TICKETED = Metric("gauge", "audit_ticketed", "orders", "Orders that have a ticket at each of their stations")
AUDIT_UNTICKETED = Metric(
    "gauge", "audit_unticketed", "orders", "Orders that lack a ticket although the kitchen is done with them; also lost"
)
AUDIT_TICKETS_BEHIND = Metric(
    "gauge", "audit_tickets_behind", "orders", "Orders without tickets that the kitchen is not done with yet"
)
AUDIT_LOST = Metric(
    "gauge",
    "audit_lost",
    "orders",
    "Acknowledged orders without event, missing in Cassandra past the ledger's word, or without tickets past the "
    "kitchen's",
)
AUDIT_DUPLICATED = Metric(
    "gauge", "audit_duplicated", "orders", "Two orders at one place, one order at two, or a line in two tickets"
)
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
    AUDIT_TICKETED,
    AUDIT_UNTICKETED,
    AUDIT_TICKETS_BEHIND,
    AUDIT_LOST,
    AUDIT_DUPLICATED,
    AUDIT_DIFFERING,
    AUDIT_UNWRITTEN_AGE,
    AUDIT_UNWRITTEN,
    AUDIT_UNVERIFIED,
    AUDIT_CHECKED,
    AUDIT_ROUND,
)

# ── an order, from request to answer ──────────────────────────────────────────────────────────────────────────────────

# Up to 0.25 s is what the service level promises; finer below, where a change would show first.
_ANSWER = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

ORDER_ANSWERED = Metric(
    "counter",
    "order_answered",
    "requests",
    "Requests to place an order, by what they were answered: accepted, replayed, version_conflict, invalid_item, "
    "menu_changed, id_reused, session_closed, invalid_request, unauthorized, forbidden, too_large, rate_limited, "
    "unavailable, fault",
    ("outcome",),
)
ORDER_ANSWER = Metric(
    "histogram", "order_answer", "seconds", "From a request to place an order to its answer", buckets=_ANSWER
)
ORDER_PART = Metric(
    "histogram",
    "order_part",
    "seconds",
    "Of an order's time, one in eight: edge (request to append), log (append to its owner), decision, acknowledgement "
    "(decision to Kafka's word on row and event), reply (from there to the view)",
    ("part",),
    _ANSWER,
)
ORDERS_WAITING = Metric("gauge", "orders_waiting", "requests", "Requests that wait for their table's owner")
COMMANDS_IN_FLIGHT = Metric("gauge", "in_flight", "commands", "Commands decided on that wait for Kafka")
ADMISSION_SHARE = Metric(
    "gauge",
    "admission",
    "share",
    "Of the order requests that come in, the part that is let through by the load, 0 to 1",
)
ADMISSION_REFUSED = Metric("counter", "admission_refused", "requests", "Orders refused with 429 since the load is high")
CONNECTIONS = Metric("gauge", "open", "connections", "Connections of guests, staff and other workers")
TURNED_AWAY = Metric(
    "counter",
    "closed",
    "connections",
    "Connections closed to bound their number: silent (for a newcomer), full (the newcomer, while all are at work)",
    ("why",),
)
BUSY = Metric(
    "counter",
    "busy",
    "requests",
    "Requests refused with 503 at once, since as many of their kind are worked on as may be: orders, reads",
    ("kind",),
)
ORDERS = (
    ORDER_ANSWERED,
    ORDER_ANSWER,
    ORDER_PART,
    ORDERS_WAITING,
    COMMANDS_IN_FLIGHT,
    ADMISSION_SHARE,
    ADMISSION_REFUSED,
    CONNECTIONS,
    TURNED_AWAY,
    BUSY,
)

# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────

LIMITED = Metric(
    "counter",
    "limited",
    "requests",
    "Requests refused with 429, by the limit: table, source (a token), address (without a token that holds), held_off "
    "(a source or address that went on)",
    ("which",),
)
LIMITS_JUDGED = Metric(
    "counter",
    "limits_judged",
    "requests",
    "Orders and other changes judged by the limits, by where: redis (over all workers), here (Redis is away: by this "
    "worker alone)",
    ("where",),
)
LIMITS = (LIMITED, LIMITS_JUDGED)

# ── streams: what a process consumes ──────────────────────────────────────────────────────────────────────────────────

OWNED = Metric("gauge", "owned", "partitions", "1 for each partition that this process works on", ("partition",))
LAG = Metric(
    "gauge", "consumer_lag", "records", "Records of a partition that are not done with", ("topic", "partition")
)
LAG_AGE = Metric(
    "gauge",
    "consumer_lag_age",
    "seconds",
    "How long the oldest record that is not done with has stood in its partition, to a second; 0 without one",
    ("topic", "partition"),
)
REBALANCES = Metric("counter", "group", "rebalances", "Assignments that this process was given")
RECOVERY = Metric(
    "histogram",
    "recovery",
    "seconds",
    "From an assignment to the tables taken over",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
RECOVERED = Metric("counter", "recovered", "records", "Changelog records read to take tables over")
CHANGELOG = Metric(
    "gauge", "changelog", "records", "From a changelog's first offset to its end", ("topic", "partition")
)
DEAD_LETTERS = Metric("counter", "dead_lettered", "records", "Records set aside as dead letters", ("topic",))
READY = Metric("gauge", "ready", "state", "1 where the process is ready to work, else 0")
LOOP_DELAY = Metric(
    "histogram",
    "event_loop_delay",
    "seconds",
    "How late the event loop came to a timer, ten times a second",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
STREAMS = (
    OWNED,
    LAG,
    LAG_AGE,
    REBALANCES,
    RECOVERY,
    RECOVERED,
    CHANGELOG,
    DEAD_LETTERS,
    READY,
    LOOP_DELAY,
)

# ── stores ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_STORE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CASSANDRA_CALLS = Metric(
    "counter",
    "cassandra",
    "calls",
    "Requests to Cassandra: kind read or write; result ok or failed",
    ("kind", "result"),
)
CASSANDRA_CALL = Metric(
    "histogram", "cassandra_call", "seconds", "How long Cassandra took to answer", ("kind",), _STORE
)
REDIS_CALLS = Metric("counter", "redis", "calls", "Requests to Redis: result ok or failed", ("result",))
EVENTS_WRITTEN = Metric("counter", "ledger_written", "events", "Events that stand in Cassandra and are acknowledged")
EVENT_AGE = Metric(
    "histogram",
    "ledger_event_age",
    "seconds",
    "From an event's command in the log to the event in all tables of Cassandra",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
LEDGER_HELD = Metric("gauge", "ledger_held", "records", "Records that the ledger holds and has not acknowledged")
STORES = (CASSANDRA_CALLS, CASSANDRA_CALL, REDIS_CALLS, EVENTS_WRITTEN, EVENT_AGE, LEDGER_HELD)

# ── breakers: whether Redis and Cassandra are asked ───────────────────────────────────────────────────────────────────

BREAKER_STATE = Metric(
    "gauge", "breaker", "state", "0 closed, 1 half open (the next call is a trial, or it is out), 2 open", ("breaker",)
)
BREAKER_OPENINGS = Metric("counter", "breaker", "openings", "How often a breaker has opened", ("breaker",))
BREAKER_TRIALS = Metric(
    "counter", "breaker", "trials", "Calls made to see whether a server answers again", ("breaker",)
)
BREAKER_REJECTED = Metric(
    "counter", "breaker_rejected", "calls", "Calls that were not made, since their breaker was open", ("breaker",)
)
BREAKERS = (BREAKER_STATE, BREAKER_OPENINGS, BREAKER_TRIALS, BREAKER_REJECTED)

# ── the menu ──────────────────────────────────────────────────────────────────────────────────────────────────────────

MENU_ANSWERED = Metric(
    "counter",
    "menu_answered",
    "requests",
    "Requests for the menu: result fresh, not_modified, stale (served, but not known to be the newest) or failed",
    ("result",),
)
MENU_REVISION = Metric("gauge", "menu_revision", "number", "Revision of the menu that this worker shows; 0: none")
MENU_DOUBT = Metric(
    "gauge", "menu_doubt", "seconds", "Since the menu here was last known to be the newest; 0 while it is"
)
MENU_LOADED = Metric(
    "counter",
    "menu_loaded",
    "menus",
    "Newer menus taken, by source: redis, cassandra, disk, here (made by this worker)",
    ("source",),
)
MENU_CHANGE = Metric(
    "histogram",
    "menu_change",
    "seconds",
    "From a change of the menu to this worker showing it, by the clocks of the two",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
MENU_STREAMS = Metric("gauge", "menu_streams", "connections", "Pads that follow the menu at this worker")
TABLE_STREAMS = Metric(
    "gauge",
    "table_streams",
    "connections",
    "Pads that follow their table's orders at this worker, by way of the kitchen",
)
MENU = (MENU_ANSWERED, MENU_REVISION, MENU_DOUBT, MENU_LOADED, MENU_CHANGE, MENU_STREAMS)

# ── the kitchen ───────────────────────────────────────────────────────────────────────────────────────────────────────

KITCHEN_TICKETS_BY_STATE = Metric(
    "gauge",
    "kitchen_known",
    "tickets",
    "Tickets of the partitions owned here, by station and state; served and voided ones for some minutes more",
    ("station", "state"),
)
KITCHEN_UNSEEN = Metric("gauge", "kitchen_unseen", "tickets", "New tickets that no display has shown for too long")
KITCHEN_UNSEEN_AGE = Metric("gauge", "kitchen_unseen_age", "seconds", "Age of the oldest of these; 0 without one")
KITCHEN_MADE = Metric(
    "histogram",
    "kitchen_made",
    "seconds",
    "From an order's command in the log to the decision on its tickets, by the log's time and the worker's clock",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
KITCHEN_DECIDED = Metric(
    "counter", "kitchen_decided", "commands", "What cooks and guests asked for, by how it ended", ("outcome",)
)
KITCHEN_STREAMS = Metric(
    "gauge", "kitchen_streams", "connections", "Displays and pads that follow at this worker", ("kind",)
)
KITCHEN_BEHIND = Metric(
    "gauge", "kitchen_behind", "seconds", "Since displays here were last known to show all of the log; 0 while they do"
)
KITCHEN_OPEN_AGE = Metric(
    "gauge", "kitchen_open_age", "seconds", "Age of the oldest order that some display has to show; 0 without one"
)
KITCHEN = (
    KITCHEN_TICKETS_BY_STATE,
    KITCHEN_UNSEEN,
    KITCHEN_UNSEEN_AGE,
    KITCHEN_OPEN_AGE,
    KITCHEN_MADE,
    KITCHEN_DECIDED,
    KITCHEN_STREAMS,
    KITCHEN_BEHIND,
)

# ── machines: what the monitor sees of every process of the local stack ───────────────────────────────────────────────

PROCESS_READY = Metric("gauge", "process_ready", "state", "1 where a process answers as it should", ("process",))
PROCESS_RESTARTS = Metric("counter", "process", "restarts", "How often a process was started again", ("process",))
PROCESS_AGE = Metric("gauge", "process_age", "seconds", "Since a process was started", ("process",))
PROCESS_CPU = Metric("counter", "process_cpu", "seconds", "CPU time of a process and its children", ("process",))
PROCESS_MEMORY = Metric("gauge", "process_memory", "bytes", "Resident memory of a process", ("process",))
DISK_FREE = Metric("gauge", "disk_free", "bytes", "Free on the disk of the data folder")
DISK_USED = Metric("gauge", "disk_used", "bytes", "Taken by a part's folder below the data folder", ("part",))
PARTITIONS = Metric("gauge", "configured", "partitions", "Partitions that the order workers are to own between them")
MACHINES = (
    PROCESS_READY,
    PROCESS_RESTARTS,
    PROCESS_AGE,
    PROCESS_CPU,
    PROCESS_MEMORY,
    DISK_FREE,
    DISK_USED,
    PARTITIONS,
)

ALL = (*AUDIT, *ORDERS, *LIMITS, *STREAMS, *STORES, *BREAKERS, *MENU, TABLE_STREAMS, *KITCHEN, *MACHINES)

# What each kind of process serves. The ledger has no tables to recover, and asks no Redis.
SERVED: Mapping[str, tuple[Metric, ...]] = {
    "orders": (
        *ORDERS,
        *LIMITS,
        *MENU,
        TABLE_STREAMS,
        *STREAMS,
        *BREAKERS,
        CASSANDRA_CALLS,
        CASSANDRA_CALL,
        REDIS_CALLS,
    ),
    "ledger": (
        *(metric for metric in STREAMS if metric not in (RECOVERY, RECOVERED, CHANGELOG)),
        *(metric for metric in STORES if metric is not REDIS_CALLS),
    ),
    "kitchen": (*KITCHEN, LIMITED, *STREAMS, COMMANDS_IN_FLIGHT),
    "auditor": AUDIT,
    "monitor": MACHINES,
}


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

    def computed(self, metric: Metric, read: Callable[[], Values]) -> None:
        """Keep a gauge or counter whose values `read` tells at each scrape, on a thread of its own."""
        assert metric.kind != "histogram", f"{metric.full_name} is a histogram"
        self.registry.register(_Computed(metric, read))

    def _check(self, metric: Metric, kind: str) -> CollectorRegistry:
        assert metric.kind == kind, f"{metric.full_name} is a {metric.kind}"
        return self.registry


class _Computed(Collector):
    def __init__(self, metric: Metric, read: Callable[[], Values]) -> None:
        self._metric = metric
        self._read = read

    def describe(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The name without values: at the start there may be nothing to read from."""
        family = CounterMetricFamily if self._metric.kind == "counter" else GaugeMetricFamily
        return [family(self._metric.full_name, self._metric.meaning, labels=self._metric.labels)]

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The values as they are now."""
        for family in self.describe():
            for labels, value in self._read():
                family.add_metric(labels, value)
            yield family
