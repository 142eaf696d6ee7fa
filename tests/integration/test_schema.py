"""Cassandra's schema, from the numbered files."""

import threading
from pathlib import Path

import pytest
from cassandra.cluster import Session

from app.adapters import schema
from app.adapters.schema import SchemaError, apply, read_changes
from app.settings import Ports, Settings
from tests.stack import Stack

pytestmark = pytest.mark.stack


def write(folder: Path, *files: str) -> Path:
    for number, text in enumerate(files, start=1):
        (folder / f"{number:03}_change.cql").write_text(text, encoding="utf-8")
    return folder


def tables(session: Session, settings: Settings) -> set[str]:
    query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    return {row[0] for row in session.execute(query, (settings.cassandra.keyspace,))}


def test_the_command_finds_the_stacks_tables_as_they_should_be(stack: Stack) -> None:
    assert stack.command("schema").splitlines() == ["schema up to date"]


def test_a_new_file_is_applied_and_a_changed_one_refused(
    own_keyspace: Settings, cassandra: Session, tmp_path: Path
) -> None:
    first = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY); -- one; only\n"
    second = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\nALTER TABLE a ADD IF NOT EXISTS note text;\n"
    said: list[str] = []
    apply(own_keyspace, say=said.append, folder=write(tmp_path, first))
    apply(own_keyspace, say=said.append, folder=write(tmp_path, "-- another comment\n" + first, second))
    assert said == ["applied 001_change.cql", "applied 002_change.cql"]
    with pytest.raises(SchemaError, match=r"001_change\.cql was changed after it was applied"):
        apply(own_keyspace, folder=write(tmp_path, first.replace("int", "text"), second))
    assert {"a", "b"} <= tables(cassandra, own_keyspace)


def test_an_older_release_leaves_a_newer_database_alone(own_keyspace: Settings, tmp_path: Path) -> None:
    first, second = (f"CREATE TABLE IF NOT EXISTS {name} (id int PRIMARY KEY);" for name in "ab")
    apply(own_keyspace, say=lambda _: None, folder=write(tmp_path, first, second))
    (tmp_path / "002_change.cql").unlink()
    said: list[str] = []
    apply(own_keyspace, say=said.append, folder=tmp_path)
    assert said == ["the database is ahead of this release: 002_change.cql"]


def test_of_several_processes_one_applies_each_file_and_later_none_does(
    own_keyspace: Settings, cassandra: Session
) -> None:
    said: list[str] = []
    failed: list[SchemaError] = []

    def run() -> None:
        try:
            apply(own_keyspace, say=said.append)
        except SchemaError as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(said) == [f"applied {change.name}" for change in read_changes()]
    assert {"orders_by_id", "orders_by_session", "orders_by_day", "sessions", "menu_revisions"} <= tables(
        cassandra, own_keyspace
    )
    said.clear()
    apply(own_keyspace, say=said.append)
    assert said == []


def test_a_file_that_broke_off_is_finished_the_next_time(own_keyspace: Settings, tmp_path: Path) -> None:
    good = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);"
    with pytest.raises(SchemaError, match="Cassandra refused"):
        apply(own_keyspace, folder=write(tmp_path, good + "CREATE TABLE b (id nonsense PRIMARY KEY);"))
    said: list[str] = []
    apply(own_keyspace, say=said.append, folder=write(tmp_path, good))
    assert said == ["applied 001_change.cql"]


def test_a_change_of_the_copies_is_made_and_what_to_do_then_is_said(
    own_keyspace: Settings, cassandra: Session, tmp_path: Path
) -> None:
    folder = write(tmp_path, "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);")
    apply(own_keyspace, say=lambda _: None, folder=folder)
    name = own_keyspace.cassandra.keyspace
    cassandra.execute(f"ALTER KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', 'dc1': 2}}")
    said: list[str] = []
    apply(own_keyspace, say=said.append, folder=folder)
    assert len(said) == 1
    assert "nodetool repair" in said[0]


def test_a_cassandra_that_is_away_is_named(stack: Stack) -> None:
    offset = stack.settings.ports.offset + 7
    elsewhere = stack.settings.model_copy(update={"ports": Ports(offset=offset)})
    with pytest.raises(SchemaError, match=rf"does not answer at 127\.0\.0\.1 port {19042 + offset} \(waited 0\.1 s\)"):
        apply(elsewhere, wait=0.1)


@pytest.mark.parametrize("name", ["002_late.cql", "1_short.cql", "001-dash.cql"])
def test_a_misnumbered_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("CREATE TABLE a (id int PRIMARY KEY);", encoding="utf-8")
    with pytest.raises(SchemaError, match="expected 001_NAME"):
        schema.read_changes(tmp_path)
