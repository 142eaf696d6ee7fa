"""The Cassandra nodes of the local stack."""

import shutil
from string import Template

from app.settings import Settings
from app.stack import jars
from app.stack.layout import CONFIG, Layout
from app.stack.part import Part

RING = 2**64
RING_STARTS = -(2**63)


def part(settings: Settings, layout: Layout, java: str, node: int) -> Part:
    """Node `node` (from 1)."""
    name = f"cassandra-{node}"
    home = layout.data_dir / name
    host = settings.node_addresses[node - 1]
    port, storage_port = settings.ports.of("cassandra"), settings.ports.of("cassandra_storage")
    conf = home / "conf"
    lib = jars.folder("cassandra")

    def prepare() -> None:
        (conf / "triggers").mkdir(parents=True, exist_ok=True)
        template = Template((CONFIG / "cassandra" / "cassandra.yaml").read_text(encoding="utf-8"))
        values: dict[str, object] = {
            "host": host,
            "port": port,
            "storage_port": storage_port,
            "seeds": ",".join(settings.node_addresses),
            "token": RING_STARTS + RING * (node - 1) // settings.nodes,
            "data_dir": home,
        }
        (conf / "cassandra.yaml").write_text(template.substitute(values), encoding="utf-8")
        rack = f"dc={settings.cassandra.data_center}\nrack=rack{node}\n"
        (conf / "cassandra-rackdc.properties").write_text(rack, encoding="utf-8")
        shutil.copyfile(CONFIG / "cassandra" / "logback.xml", conf / "logback.xml")

    return Part(
        name=name,
        kind="cassandra",
        command=[
            java,
            f"@{CONFIG / 'cassandra' / 'jvm.options'}",
            f"-javaagent:{next(iter(lib.glob('jamm-*.jar')), lib / 'jamm.jar')}",
            f"-Dcassandra.storagedir={home}",
            f"-Dcassandra.triggers_dir={conf / 'triggers'}",
            f"-Dcassandra.logdir={layout.logs}",
            f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}",
            "-cp",
            f"{conf}:{lib}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ],
        address=(host, port),
        other_ports=((host, storage_port),),
        prepare=prepare,
    )
