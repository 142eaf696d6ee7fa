"""The Cassandra schema: numbered CQL files, each applied once, in order, by one process at a time."""

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable, Session

from app.adapters.cassandra import describe, new_cluster
from app.settings import Settings

FILES = Path(__file__).parents[2] / "config" / "cassandra"

LOCK_SECONDS = 60  # renewed before each statement; a process that died holds up the next one for so long
STATEMENT_SECONDS = 30.0  # a change of the schema travels to every node
RETRY_SECONDS = 0.5

_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.cql")
_COMMENT = re.compile(r"--[^\n]*")

# A lock by Cassandra's own consensus. The row goes away by itself when its holder died.
_BOOKKEEPING = (
    "CREATE TABLE IF NOT EXISTS schema_lock (name text PRIMARY KEY, owner text)",
    "CREATE TABLE IF NOT EXISTS schema_changes"
    " (number int PRIMARY KEY, name text, checksum text, applied_at timestamp)",
)


class SchemaError(Exception):
    """The schema cannot be applied; the text says why and what to do."""


@dataclass(frozen=True)
class Change:
    """One CQL file: `statements` without comments, one blank between words."""

    number: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """What must not change once the file was applied: its statements, not its comments."""
        return hashlib.sha256("\n".join(self.statements).encode()).hexdigest()


def read_changes(folder: Path = FILES) -> list[Change]:
    """The files of the folder by number.

    Raises:
        SchemaError: a name is none of a change, a number is missing or stands twice, or a file is empty.
    """
    changes = []
    for number, path in enumerate(sorted(folder.glob("*.cql")), start=1):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise SchemaError(f"{path.name}: expected {number:03}_NAME.cql, numbered without gaps from 001")
        text = _COMMENT.sub("", path.read_text())
        statements = tuple(" ".join(part.split()) for part in text.split(";") if part.strip())
        if not statements:
            raise SchemaError(f"{path.name} holds no statement")
        changes.append(Change(number, path.name, statements))
    if not changes:
        raise SchemaError(f"no CQL files in {folder}")
    return changes


def apply(settings: Settings, wait: float = 60.0, say: Callable[[str], None] = print, folder: Path = FILES) -> None:
    """Bring keyspace and tables to what the files say; waits up to `wait` s for Cassandra, and as long for the lock.

    Raises:
        SchemaError: Cassandra does not answer, a file changed after it was applied, or Cassandra refuses a statement.
    """
    changes = read_changes(folder)
    deadline = time.monotonic() + wait
    with _connected(settings, deadline, wait) as session:
        try:
            _create_keyspace(session, settings, say)
            for statement in _BOOKKEEPING:
                _change_schema(session, statement)
            with _Lock(session, wait) as lock:
                _apply_missing(session, changes, lock, say)
        except (DriverException, NoHostAvailable) as error:
            raise SchemaError(f"Cassandra refused: {describe(error)}") from error


@contextmanager
def _connected(settings: Settings, deadline: float, wait: float) -> Iterator[Session]:
    # Keyspace and bookkeeping are made before there is a lock. All processes therefore talk to the first address that
    # answers: one node makes one change after the other, two nodes at once may make the same table twice.
    tries = 0
    while True:
        host = settings.cassandra_hosts[tries % len(settings.cassandra_hosts)]
        cluster = new_cluster(settings, [host], STATEMENT_SECONDS)
        try:
            session = cluster.connect()
            break
        except (DriverException, NoHostAvailable, OSError) as error:
            cluster.shutdown()
            tries += 1
            if time.monotonic() + RETRY_SECONDS > deadline:
                port = settings.cassandra_client_port
                raise SchemaError(
                    f"Cassandra does not answer at {', '.join(settings.cassandra_hosts)} port {port} "
                    f"(waited {wait:g} s): {describe(error)}"
                ) from error
            time.sleep(RETRY_SECONDS)
    try:
        yield session
    finally:
        cluster.shutdown()


def _create_keyspace(session: Session, settings: Settings, say: Callable[[str], None]) -> None:
    name, wanted = settings.cassandra.keyspace, settings.cassandra_replication
    options = ", ".join(["'class': 'NetworkTopologyStrategy'", *(f"'{dc}': {n}" for dc, n in sorted(wanted.items()))])
    _change_schema(session, f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {{{options}}}")
    [row] = session.execute("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", (name,))
    found = {key: int(value) for key, value in row[0].items() if key != "class"}
    if found != wanted:
        _change_schema(session, f"ALTER KEYSPACE {name} WITH replication = {{{options}}}")
        say(f"keyspace {name}: copies {found} -> {wanted}; run `nodetool repair --full {name}` on every node")
    session.set_keyspace(name)


def _change_schema(session: Session, statement: str) -> None:
    future = session.execute_async(statement)
    future.result()
    if not future.is_schema_agreed:
        raise SchemaError("the nodes do not agree on the schema; is one of them down? Nothing is lost: run it again")


def _apply_missing(session: Session, changes: Sequence[Change], lock: "_Lock", say: Callable[[str], None]) -> None:
    applied: dict[int, tuple[str, str]] = {
        number: (name, checksum)
        for number, name, checksum in session.execute("SELECT number, name, checksum FROM schema_changes")
    }
    for change in changes:
        if change.number in applied and applied[change.number][1] != change.checksum:
            raise SchemaError(
                f"{change.name} was changed after it was applied (as {applied[change.number][0]}): "
                "put it back and write a new file with the next number"
            )
    newer = sorted(applied.keys() - {change.number for change in changes})
    if newer:
        say(f"the database is ahead of this release: {', '.join(applied[number][0] for number in newer)}")
    for change in changes:
        if change.number in applied:
            continue
        for statement in change.statements:
            lock.renew()
            _change_schema(session, statement)
        session.execute(
            "INSERT INTO schema_changes (number, name, checksum, applied_at) VALUES (%s, %s, %s, %s)",
            (change.number, change.name, change.checksum, datetime.now(UTC)),
        )
        say(f"applied {change.name}")


class _Lock:
    """One process at a time; all statements on the row are conditional, as mixing them with plain writes is unsound."""

    def __init__(self, session: Session, wait: float) -> None:
        self._session = session
        self._wait = wait
        self._owner = uuid.uuid4().hex
        self._error: Exception | None = None

    def __enter__(self) -> "_Lock":
        deadline = time.monotonic() + max(self._wait, LOCK_SECONDS + 5)
        insert = "INSERT INTO schema_lock (name, owner) VALUES ('schema', %s) IF NOT EXISTS USING TTL %s"
        while True:
            answer = self._conditional(insert, (self._owner, LOCK_SECONDS))
            # A statement that timed out may have been applied: then the row names us.
            if answer is not None and (answer[0] or answer[2] == self._owner):
                return self
            if time.monotonic() > deadline:
                raise SchemaError(self._why_not())
            time.sleep(RETRY_SECONDS)

    def renew(self) -> None:
        """Hold the lock for another LOCK_SECONDS; SchemaError where it was lost."""
        update = "UPDATE schema_lock USING TTL %s SET owner = %s WHERE name = 'schema' IF owner = %s"
        answer = self._conditional(update, (LOCK_SECONDS, self._owner, self._owner))
        if answer is None or not answer[0]:
            raise SchemaError("the lock on the schema was lost: another process may be at work; run it again")

    def __exit__(self, *_: object) -> None:
        # Where this fails the row goes away by itself.
        self._conditional("DELETE FROM schema_lock WHERE name = 'schema' IF owner = %s", (self._owner,))

    def _conditional(self, statement: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        """Whether it was applied, then the row as it is; None where the outcome is unknown."""
        self._error = None
        try:
            row: tuple[Any, ...] = self._session.execute(statement, parameters).one()
        except (DriverException, NoHostAvailable) as error:
            self._error = error
            return None
        return row

    def _why_not(self) -> str:
        if self._error is None:
            return "another process has been changing the schema all the time; try again later"
        return f"too few nodes answer for the copies that are wanted: {describe(self._error)}"
