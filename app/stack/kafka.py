"""The brokers of the local stack: each is broker and controller in one."""

import base64
import subprocess
import uuid
from string import Template

from app.settings import Settings
from app.stack import jars
from app.stack.layout import CONFIG, Layout, StackError
from app.stack.part import Part


def new_cluster() -> str:
    """A random cluster id, as Kafka writes them; one with a dash in front would be taken for an option."""
    while True:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster.startswith("-"):
            return cluster


def part(settings: Settings, layout: Layout, java: str, cluster: str, node: int) -> Part:
    """Broker `node` (from 1)."""
    name = f"kafka-{node}"
    home = layout.data_dir / name
    host = settings.node_addresses[node - 1]
    port, controller_port = settings.ports.of("kafka"), settings.ports.of("kafka_controller")
    properties = home / "server.properties"
    run = [
        java,
        f"@{CONFIG / 'kafka' / 'jvm.options'}",
        f"-Dlog4j2.configurationFile={CONFIG / 'kafka' / 'log4j2.properties'}",
        "-cp",
        f"{jars.folder('kafka')}/*",
    ]

    def prepare() -> None:
        data = home / "data"
        data.mkdir(parents=True, exist_ok=True)
        voters = [f"{i}@{address}:{controller_port}" for i, address in enumerate(settings.node_addresses, start=1)]
        template = Template((CONFIG / "kafka" / "server.properties").read_text(encoding="utf-8"))
        values: dict[str, object] = {
            "node": node,
            "voters": ",".join(voters),
            "host": host,
            "port": port,
            "client_port": settings.kafka_client_port,
            "controller_port": controller_port,
            "data_dir": data,
            "replication": settings.nodes,
            "min_insync": max(1, settings.nodes - 1),
        }
        properties.write_text(template.substitute(values), encoding="utf-8")
        if not (data / "meta.properties").exists():
            _format([*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)])

    return Part(
        name=name,
        kind="kafka",
        command=[*run, "kafka.Kafka", str(properties)],
        address=(host, port),
        other_ports=((host, controller_port),),
        prepare=prepare,
    )


def _format(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        raise StackError(f"Kafka's log folder could not be made:\n{(result.stdout + result.stderr)[-2000:]}")
