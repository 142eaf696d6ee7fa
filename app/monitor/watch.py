"""Looks at every process, again and again, and tells what was seen in the last 15 minutes."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app import metrics
from app.metrics import Metric, Metrics
from app.monitor.faults import Faults, Seen
from app.monitor.machines import Machines, Usage
from app.monitor.page import Page, fetch
from app.monitor.totals import Totals, quantile
from app.settings import Settings
from app.stack import client, plan
from app.stack.client import Status
from app.stack.layout import Layout
from app.topics import KITCHEN_COMMANDS, ORDER_COMMANDS, ORDER_EVENTS

KEPT = 15 * 60.0  # s
WINDOW = 10.0  # s over which rates and latencies are taken
LATE = 5.0  # s; an order that has waited in the log for longer is a problem
REFUSED = ("unavailable", "fault")
AUDIT = {
    "acknowledged": metrics.AUDIT_ACKNOWLEDGED,
    "ticketed": metrics.AUDIT_TICKETED,
    "lost": metrics.AUDIT_LOST,
    "duplicated": metrics.AUDIT_DUPLICATED,
    "differing": metrics.AUDIT_DIFFERING,
    "unwritten": metrics.AUDIT_UNWRITTEN,
    "unwritten_age": metrics.AUDIT_UNWRITTEN_AGE,
    "checked": metrics.AUDIT_CHECKED,
}
OUGHT_TO_BE_NONE = ("lost", "duplicated", "differing")


@dataclass(frozen=True)
class Point:
    """One look; None where no process told it."""

    at: float  # s since 1970, UTC
    orders_per_minute: float | None = None  # accepted
    refused_per_minute: float | None = None  # 503 and 500
    p50: float | None = None  # s
    p99: float | None = None  # s
    lag: float | None = None  # commands that no owner is done with
    lag_age: float | None = None  # s
    kitchen_lag: float | None = None  # records that the kitchen is not done with: orders to copy, commands to decide on
    kitchen_lag_age: float | None = None  # s
    unseen: float | None = None  # tickets that no display has shown for too long
    ledger_lag: float | None = None  # events that the ledger is not done with
    ledger_lag_age: float | None = None  # s
    in_flight: float | None = None  # decided, and Kafka has not answered
    waiting: float | None = None  # requests whose owner has not answered


@dataclass(frozen=True)
class Process:
    """A process as the page lists it."""

    name: str
    pid: int | None
    ready: bool
    age: float | None  # s
    restarts: int
    last_exit: str
    memory: float | None  # bytes
    cpu: float | None  # of one core
    partitions: list[int]
    lag: float | None  # records of its partitions that are not done with


@dataclass(frozen=True)
class Kitchen:
    """All kitchen workers together; None where none of them answers."""

    owned: int = 0  # partitions
    orders_lag: float | None = None  # orders' events that are not made into tickets
    orders_lag_age: float | None = None  # s
    lag: float | None = None  # commands that are not decided on
    lag_age: float | None = None  # s
    open: float | None = None  # tickets that a display has to show
    unseen: float | None = None  # tickets that none has shown for too long
    unseen_age: float | None = None  # s
    displays: float | None = None
    pads: float | None = None


class Watch:
    """What is known; `look` is called by one thread, `tell` by any."""

    def __init__(self, settings: Settings, kept: Metrics) -> None:
        self._settings, self._layout = settings, Layout(settings.data_dir)
        self._targets = [_address(target) for target in settings.monitor.targets.split(",") if target.strip()]
        self._machines = None if self._targets else Machines(kept, settings.data_dir, settings.kafka.partitions)
        self._totals, self._faults = Totals(WINDOW), Faults()
        self._cpu: dict[str, tuple[float, float]] = {}  # target -> when, and its CPU seconds then
        self._lock = threading.Lock()
        self._points: deque[Point] = deque(maxlen=math.ceil(KEPT / settings.monitor.every))
        self._told = self._gist([], {}, Point(0.0), True)
        self._runner = asyncio.Runner()
        self._started = time.time()
        self.looked_at = time.monotonic()

    def look(self) -> None:
        """Take one look at everything."""
        processes, pages, supervised = self._runner.run(self._look())
        at = time.time()
        self._faults.look(at, [Seen(p.name, p.pid, p.ready, p.restarts, p.last_exit) for p in processes])
        self._count(at, pages)
        for name in OUGHT_TO_BE_NONE:
            if (value := _first(pages.values(), AUDIT[name])) is not None:
                self._faults.figure(at, "auditor", f"orders {name}", value)
        point = self._point(at, pages)
        told = self._gist(processes, pages, point, supervised)
        with self._lock:
            self._told = told
            self._points.append(point)
        self.looked_at = time.monotonic()

    def _gist(
        self, processes: list[Process], pages: Mapping[str, Page], point: Point, supervised: bool
    ) -> dict[str, Any]:
        partitions = None if self._targets else self._settings.kafka.partitions
        kitchen = _kitchen(pages.values())
        audit = {name: _first(pages.values(), metric) for name, metric in AUDIT.items()}
        return {
            "processes": [asdict(process) for process in processes],
            "audit": audit,
            "partitions": {"owned": _owned(processes), "all": partitions},
            "kitchen": asdict(kitchen),
            "problems": problems(processes, audit, partitions, point, supervised, kitchen) if processes else [],
            "faults": self._faults.tell(),
        }

    async def _look(self) -> tuple[list[Process], dict[str, Page], bool]:
        """The processes, the pages of those that answered, by name, and whether a supervisor runs."""
        if self._targets:
            found = await asyncio.gather(*(fetch(address) for address in self._targets))
            named = {f"{host}:{port}": page for (host, port), page in zip(self._targets, found, strict=True)}
            pages = {name: page for name, page in named.items() if page}
            return [self._elsewhere(name, page) for name, page in named.items()], pages, True
        assert self._machines is not None
        statuses = await client.ask_statuses(self._settings, self._layout)
        measured = [status for status in statuses if status.pid and plan.service_of(status.name) in plan.MEASURED]
        found = await asyncio.gather(*(fetch(self._place(status)) for status in measured))
        pages = {status.name: page for status, page in zip(measured, found, strict=True) if page}
        usage = self._machines.look(statuses)
        processes = [_process(status, usage[status.name], pages.get(status.name)) for status in statuses]
        return processes, pages, client.supervisor(self._layout) is not None

    def _place(self, status: Status) -> tuple[str, int]:
        service, _, index = status.name.rpartition("-")
        return status.host, self._settings.ports.metrics_of(service, int(index))

    def _elsewhere(self, name: str, page: Page | None) -> Process:
        """A process of which its page alone tells."""
        if page is None:
            return Process(name, None, False, None, 0, "", None, None, [], None)
        at, spent = time.monotonic(), page.plain.get("process_cpu_seconds_total", 0.0)
        before, then = self._cpu.get(name, (at, spent))
        self._cpu[name] = at, spent
        share = max(0.0, spent - then) / (at - before) if at > before else None
        age = time.time() - page.plain.get("process_start_time_seconds", time.time())
        memory = page.plain.get("process_resident_memory_bytes")
        ready = page.value(metrics.READY) != 0.0  # what is not told of does not fail
        return Process(name, 0, ready, age, 0, "", memory, share, page.owned, _lag(page))

    def _count(self, at: float, pages: Mapping[str, Page]) -> None:
        for name, page in pages.items():
            began_anew = self._totals.take(name, page.counters)
            if began_anew and self._targets:  # a process of the local stack has a record that tells so
                self._faults.began_anew(at, name)
        self._totals.mark(time.monotonic())

    def _point(self, at: float, pages: Mapping[str, Page]) -> Point:
        answering = any(page.counters for page in pages.values())
        kitchen = [page for page in pages.values() if page.is_kitchen]
        others = [page for page in pages.values() if not page.is_kitchen]
        lag, lag_age = _of_topic(others, ORDER_COMMANDS)
        ledger_lag, ledger_lag_age = _of_topic(others, ORDER_EVENTS)
        kitchen_lags = [_of_topic(kitchen, topic) for topic in (ORDER_EVENTS, KITCHEN_COMMANDS)]
        seconds, recent = self._totals.recent()
        buckets = [(key, value) for key, value in recent.items() if isinstance(key, float)]
        per_minute = 60 / seconds if seconds and answering else None
        return Point(
            at=at,
            orders_per_minute=per_minute and per_minute * recent.get("accepted", 0.0),
            refused_per_minute=per_minute and per_minute * sum(recent.get(outcome, 0.0) for outcome in REFUSED),
            p50=quantile(0.5, buckets),
            p99=quantile(0.99, buckets),
            lag=lag,
            lag_age=lag_age,
            kitchen_lag=_added(lag for lag, _ in kitchen_lags),
            kitchen_lag_age=max((age for _, age in kitchen_lags if age is not None), default=None),
            unseen=_sum(kitchen, metrics.KITCHEN_UNSEEN),
            ledger_lag=ledger_lag,
            ledger_lag_age=ledger_lag_age,
            in_flight=_sum(pages.values(), metrics.COMMANDS_IN_FLIGHT),
            waiting=_sum(pages.values(), metrics.ORDERS_WAITING),
        )

    def tell(self, since: float = 0.0) -> dict[str, Any]:
        """What `/status.json` says, with the points after `since`, s since 1970, UTC."""
        with self._lock:
            points = [point for point in self._points if point.at > since]
            newest = self._points[-1] if self._points else Point(0.0)
            told = self._told
        fields = Point.__dataclass_fields__
        return {
            "name": self._settings.restaurant.name,
            "started": self._started,
            "now": time.time(),
            "at": newest.at,
            "every": self._settings.monitor.every,
            "kept": KEPT,
            "figures": asdict(newest),
            **told,
            "history": {name: [getattr(point, name) for point in points] for name in fields},
        }

    def close(self) -> None:
        """Close what looking needs."""
        self._runner.close()


def problems(
    processes: Sequence[Process],
    audit: Mapping[str, float | None],
    partitions: int | None,
    point: Point,
    supervised: bool,
    kitchen: Kitchen | None = None,
) -> list[str]:
    """What is wrong now, a line each, the worst first; `partitions` that should be owned, None where not known."""
    found = [f"orders {name}: {audit[name]:.0f}" for name in OUGHT_TO_BE_NONE if audit.get(name)]
    if point.refused_per_minute:
        found.append("orders are refused (503 or 500)")
    if (point.lag_age or 0.0) > LATE:
        found.append(f"orders wait in the log for more than {LATE:g} s")
    owned = _owned(processes)
    if partitions is not None and owned < partitions:
        found.append(f"{partitions - owned} of {partitions} partitions have no owner: their tables cannot order")
    found += _of_kitchen(kitchen, partitions) if kitchen is not None else []
    for process in processes:
        if process.pid is None:
            found.append(f"{process.name} does not run or does not answer")
        elif not process.ready:
            found.append(f"{process.name} is not ready")
    if not supervised:
        found.append("no supervisor runs: what ends is not started again")
    return found


def _process(status: Status, usage: Usage, page: Page | None) -> Process:
    owned, lag = (page.owned, _lag(page)) if page else ([], None)
    rest = status.restarts, status.last_exit, usage.memory, usage.cpu, owned, lag
    return Process(status.name, status.pid, status.ready, usage.age, *rest)


def _kitchen(pages: Iterable[Page]) -> Kitchen:
    found = [page for page in pages if page.is_kitchen]
    if not found:
        return Kitchen()
    return Kitchen(
        len({partition for page in found for partition in page.owned}),
        *_of_topic(found, ORDER_EVENTS),
        *_of_topic(found, KITCHEN_COMMANDS),
        sum(page.open_tickets for page in found),
        _sum(found, metrics.KITCHEN_UNSEEN),
        max(page.value(metrics.KITCHEN_UNSEEN_AGE) or 0.0 for page in found),
        *(sum(page.streams.get(kind, 0.0) for page in found) for kind in ("display", "pad")),
    )


def _of_kitchen(kitchen: Kitchen, partitions: int | None) -> Iterator[str]:
    """What is wrong in the kitchen."""
    if kitchen.open is None:
        return  # there is none, or its workers are away, which is said of each
    if partitions is not None and kitchen.owned < partitions:
        yield f"{partitions - kitchen.owned} of {partitions} partitions have no owner in the kitchen: cooks miss orders"
    if max(kitchen.orders_lag_age or 0.0, kitchen.lag_age or 0.0) > LATE:
        yield f"orders wait for the kitchen for more than {LATE:g} s"
    if kitchen.unseen:
        tickets = "1 ticket is" if kitchen.unseen == 1 else f"{kitchen.unseen:.0f} tickets are"
        yield f"{tickets} on no display, the oldest for {kitchen.unseen_age:.0f} s"
    elif kitchen.open and not kitchen.displays:
        yield "no display is connected, and tickets are open"


def _owned(processes: Iterable[Process]) -> int:
    """Partitions that some order worker, or a process of which no service is known, works on."""
    owners = (process for process in processes if not process.name.startswith(("ledger-", "kitchen-")))
    return len({partition for process in owners for partition in process.partitions})


def _lag(page: Page) -> float | None:
    return sum(page.lag.values()) if page.lag else None


def _first(pages: Iterable[Page], metric: Metric) -> float | None:
    return next((value for page in pages if (value := page.value(metric)) is not None), None)


def _added(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum(pages: Iterable[Page], metric: Metric) -> float | None:
    return _added(page.value(metric) for page in pages)


def _of_topic(pages: Iterable[Page], topic: str) -> tuple[float | None, float | None]:
    """Records of a topic that are not done with, and the age of the oldest; None where no process reads it."""
    told = [(page.lag[topic], page.lag_age[topic]) for page in pages if topic in page.lag]
    return (sum(lag for lag, _ in told), max(age for _, age in told)) if told else (None, None)


def _address(target: str) -> tuple[str, int]:
    host, _, port = target.strip().rpartition(":")
    return host, int(port)
