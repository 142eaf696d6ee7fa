"""What the stack consists of: its parts, and the steps between servers and workers."""

import json
import os
import sys

from pydantic import BaseModel

from app.adapters import menu_file
from app.settings import DEFAULT_FILE, FILE_VARIABLE, Settings
from app.stack import cassandra, jars, kafka, prometheus, redis
from app.stack.layout import Layout, State
from app.stack.part import Address, Kind, Part, Step

MEASURED = ("orders", "ledger", "kitchen", "auditor", "monitor")  # each process serves its metrics
SERVICES = (*MEASURED, "prometheus")
MOST_WORKERS = {"orders": 64, "ledger": 16, "kitchen": 16, "auditor": 1, "monitor": 1, "prometheus": 1}
# Seconds between SIGTERM and SIGKILL. A broker that stops last waits in vain for others to take its partitions; its
# log is whole after a kill as well.
GRACES: dict[str, float] = {
    "kafka": 10,
    "cassandra": 15,
    "redis": 5,
    "orders": 10,
    "ledger": 10,
    "kitchen": 10,
    "auditor": 5,
    "monitor": 5,
    "prometheus": 10,
}
PART_VARIABLE = "BISTRO92_STACK_PART"  # tells whose process one is, should its record be lost


def service_of(name: str) -> str:
    """`orders` of `orders-2`."""
    return name.rpartition("-")[0]


def places(settings: Settings, counts: dict[str, int]) -> dict[str, tuple[Kind, Address]]:
    """Name -> kind and address of every part that there should be."""
    found: dict[str, tuple[Kind, Address]] = {}
    servers: tuple[Kind, ...] = ("kafka", "cassandra")
    for kind in servers:
        for node, host in enumerate(settings.node_addresses, start=1):
            found[f"{kind}-{node}"] = kind, (host, settings.ports.of(kind))
    found["redis-1"] = "redis", ("127.0.0.1", settings.ports.of("redis"))
    for part in workers(settings, counts):
        found[part.name] = part.kind, part.address
    return found


def servers(settings: Settings, layout: Layout, state: State) -> list[Part]:
    """Kafka, Cassandra and Redis."""
    java = jars.java()
    nodes = range(1, settings.nodes + 1)
    return [
        *(kafka.part(settings, layout, java, state.cluster, node) for node in nodes),
        *(cassandra.part(settings, layout, java, node) for node in nodes),
        redis.part(settings, layout),
    ]


def worker(settings: Settings, service: str, index: int) -> Part:
    """The `index`-th (from 1) worker of a service."""
    if service == "prometheus":
        return prometheus.part(settings, Layout(settings.data_dir))
    others = [settings.ports.metrics_of(service, index)]
    if service in ("orders", "kitchen"):
        others.append(settings.ports.of(f"{service}_shared"))
    return Part(
        name=f"{service}-{index}",
        kind="worker",
        command=[sys.executable, "-m", "app", "worker", service, "--index", str(index)],
        address=("127.0.0.1", settings.ports.of(service, index)),
        other_ports=tuple(("127.0.0.1", port) for port in others),
        needs=() if service == "monitor" else ("topics",),  # it shows what is missing
    )


def workers(settings: Settings, counts: dict[str, int]) -> list[Part]:
    """The workers of every service."""
    return [worker(settings, service, index) for service in SERVICES for index in range(1, counts[service] + 1)]


def targets(settings: Settings, counts: dict[str, int]) -> str:
    """The pages of metrics of that many workers, for Prometheus's file discovery; JSON."""
    return json.dumps(
        [
            {
                "targets": [f"127.0.0.1:{settings.ports.metrics_of(service, index)}"],
                "labels": {"job": service, "instance": f"{service}-{index}"},
            }
            for service in MEASURED
            for index in range(1, counts[service] + 1)
        ],
        indent=1,
    )


def steps(settings: Settings) -> list[Step]:
    """Topics as soon as Kafka is ready, the schema as soon as Cassandra is, then the menu."""
    nodes = range(1, settings.nodes + 1)
    brokers = tuple(f"kafka-{node}" for node in nodes)
    stores = tuple(f"cassandra-{node}" for node in nodes)
    app = [sys.executable, "-m", "app"]
    return [
        Step("topics", [*app, "topics"], brokers),
        Step("schema", [*app, "schema"], stores),
        # Only the first time: from then on the menu is what the managers made of it.
        Step("menu", [*app, "menu", "import", str(menu_file.FILE)], (*stores, "redis-1"), ("schema",), once=True),
    ]


def environment(settings: Settings) -> dict[str, str]:
    """What children are started with: these very settings, with paths that hold in the repository's folder too."""
    file = os.path.abspath(os.environ.get(FILE_VARIABLE, DEFAULT_FILE))
    given = settings.model_copy(update={"data_dir": settings.data_dir, "nodes": settings.nodes})
    return {**os.environ, FILE_VARIABLE: file, "PYTHONUNBUFFERED": "1", **_variables(given, "BISTRO92_")}


def _variables(group: BaseModel, prefix: str) -> dict[str, str]:
    """The environment variables that say what was set in a group."""
    found: dict[str, str] = {}
    for name in sorted(group.model_fields_set):
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            found |= _variables(value, f"{prefix}{name.upper()}__")
        elif value is not None:
            found[prefix + name.upper()] = json.dumps(value) if isinstance(value, dict | tuple) else str(value)
    return found
