"""The driver's own objects without a Cassandra: statements prepared as our tables are, and requests read back."""

import re
from pathlib import Path
from struct import Struct
from typing import Any

from cassandra import cqltypes
from cassandra.protocol import BatchMessage, ColumnMetadata
from cassandra.query import BatchStatement, PreparedStatement

from app.adapters.batch import RowProtocol
from app.adapters.cassandra import PROTOCOL

CQL = Path(__file__).parents[1] / "config" / "cassandra"
LOCAL_QUORUM = 6

_TYPES: dict[str, Any] = {
    "text": cqltypes.UTF8Type,
    "int": cqltypes.Int32Type,
    "bigint": cqltypes.LongType,
    "timestamp": cqltypes.DateType,
    "date": cqltypes.SimpleDateType,
}
_SHORT, _INT = Struct(">H"), Struct(">i")


def prepared(cql: str) -> PreparedStatement:
    """An INSERT or UPDATE of one of our tables, as the driver has it after preparing it."""
    if cql.startswith("INSERT"):
        table, names = cql.split()[2], re.findall(r"\w+", cql.partition("(")[2].partition(")")[0])
        names.append("[timestamp]")
    else:
        table, names = cql.split()[1], ["[timestamp]", *re.findall(r"(\w+) = \?", cql)]
    types, keys = _columns(table)
    columns = [ColumnMetadata("bistro92", table, name, _TYPES[types.get(name, "bigint")]) for name in names]
    return PreparedStatement(
        columns, cql.encode()[:40], [names.index(key) for key in keys], cql, "bistro92", PROTOCOL, None, None
    )


def request(batch: BatchStatement) -> bytes:
    """What the driver sends of a batch."""
    message = BatchMessage(
        batch.batch_type, batch._statements_and_parameters, LOCAL_QUORUM, None, 1_700_000_000_000_000, batch.keyspace
    )
    message.tracing = False
    message.update_custom_payload(batch.custom_payload)
    return bytes(RowProtocol.encode_message(message, 7, PROTOCOL, None, allow_beta_protocol_version=False))


def rows_of(data: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The names of a batch's statements, as Cassandra gave them, each with its values in bytes."""
    place = 9 + 1  # the frame's header, the batch's kind

    def number(form: Struct) -> int:
        nonlocal place
        (found,) = form.unpack_from(data, place)
        place += form.size
        return int(found)

    def some(length: int) -> bytes:
        nonlocal place
        place += length
        return data[place - length : place]

    found = []
    for _ in range(number(_SHORT)):
        assert some(1) == b"\x01"
        name = some(number(_SHORT))
        found.append((name, [some(number(_INT)) for _ in range(number(_SHORT))]))
    return found


def _columns(table: str) -> tuple[dict[str, str], list[str]]:
    """Types of a table's columns by their names, and the columns of its partitions."""
    text = "\n".join(re.sub("--.*", "", path.read_text("utf-8")) for path in sorted(CQL.glob("*.cql")))
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\)", text, re.DOTALL)
    assert body
    added = re.findall(rf"ALTER TABLE {table} ADD IF NOT EXISTS (\w+) (\w+);", text)
    types = dict([*re.findall(r"^ {4}(\w+) ([a-z]+)", body[1], re.MULTILINE), *added])
    single, key = re.search(r"(\w+) text PRIMARY KEY", body[1]), re.search(r"PRIMARY KEY \(\(?([\w, ]+)", body[1])
    if single:
        return types, [single[1]]
    assert key
    names = key[1].split(", ")
    return types, names if f"(({key[1]})" in body[1] else names[:1]
