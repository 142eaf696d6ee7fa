"""A process's page of metrics, as far as the monitor shows it."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from app import metrics
from app.domain.tickets import COOKING, NEW, READY, SEEN
from app.metrics import AUDIT, Metric

TIMEOUT = 1.0  # s

_ANSWERED = f"{metrics.ORDER_ANSWERED.full_name}_total"
_BUCKET = f"{metrics.ORDER_ANSWER.full_name}_bucket"
_OWNED, _LAG, _LAG_AGE = metrics.OWNED.full_name, metrics.LAG.full_name, metrics.LAG_AGE.full_name
_STREAMS, _TICKETS = metrics.KITCHEN_STREAMS.full_name, metrics.KITCHEN_TICKETS_BY_STATE.full_name
_OPEN = {NEW, SEEN, COOKING, READY}
_KITCHEN = (metrics.KITCHEN_UNSEEN, metrics.KITCHEN_UNSEEN_AGE, metrics.KITCHEN_BEHIND, metrics.KITCHEN_OPEN_AGE)
_PLAIN = {
    metric.full_name
    for metric in (metrics.ORDERS_WAITING, metrics.COMMANDS_IN_FLIGHT, metrics.READY, *_KITCHEN, *AUDIT)
} | {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"}
# Most of a page is not shown: what is not wanted is not parsed, either.
_WANTED = tuple({_ANSWERED, _BUCKET, _OWNED, _LAG, _LAG_AGE, _STREAMS, _TICKETS, *_PLAIN})


@dataclass
class Page:
    """What a process told of itself."""

    # Since its start: outcome -> requests, and s -> orders that were answered within.
    counters: dict[str | float, float] = field(default_factory=dict)
    owned: list[int] = field(default_factory=list)  # partitions
    lag: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # topic -> records
    lag_age: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # topic -> s
    streams: dict[str, float] = field(default_factory=dict)  # connections: display or pad -> how many
    open_tickets: float = 0.0
    plain: dict[str, float] = field(default_factory=dict)  # full name -> value of what has no labels

    @property
    def is_kitchen(self) -> bool:
        """Whether a kitchen worker told it."""
        return metrics.KITCHEN_BEHIND.full_name in self.plain

    def value(self, metric: Metric) -> float | None:
        """A gauge without labels; None where the process does not keep it."""
        return self.plain.get(metric.full_name)


def read(text: str) -> Page:
    """Take from a page what is shown.

    Raises:
        ValueError: it is no page of metrics.
    """
    page = Page()
    lines = [line for line in text.splitlines() if line.startswith(_WANTED)]
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            _take(page, sample.name, sample.labels, sample.value)
    page.owned.sort()
    return page


def _take(page: Page, name: str, labels: dict[str, str], value: float) -> None:
    if name == _ANSWERED:
        page.counters[labels["outcome"]] = value
    elif name == _BUCKET:
        page.counters[float(labels["le"])] = value
    elif name == _OWNED and value:
        page.owned.append(int(labels["partition"]))
    elif name == _LAG:
        page.lag[labels["topic"]] += value
    elif name == _LAG_AGE:
        page.lag_age[labels["topic"]] = max(page.lag_age[labels["topic"]], value)
    elif name == _STREAMS:
        page.streams[labels["kind"]] = value
    elif name == _TICKETS and labels["state"] in _OPEN:
        page.open_tickets += value
    elif name in _PLAIN:
        page.plain[name] = value


async def fetch(address: tuple[str, int]) -> Page | None:
    """The page that is served at `address`; None where there is none within `TIMEOUT`."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(*address)
            try:
                writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.transport.abort()
        return read(body.decode()) if head.split()[1:2] == [b"200"] else None
    except (OSError, TimeoutError, ValueError, KeyError):
        return None
