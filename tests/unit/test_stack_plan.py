"""What the local stack consists of, and what it was made with."""

import json
import os
from pathlib import Path
from unittest import mock

import pytest
import yaml

from app.settings import Redis, Settings, load
from app.stack import cassandra, jars, kafka, plan, prometheus, redis
from app.stack.layout import Layout, StackError, State, as_made, read_state, settle_state
from tests.stack import clean_environment


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_the_first_up_takes_the_numbers_from_the_settings(layout: Layout) -> None:
    settings = Settings(workers=3, ledgers=2, data_dir=layout.data_dir)
    assert settle_state(layout, settings, "cluster") == State(1, "cluster", 3, 2)


def test_a_scaled_number_of_workers_is_kept_by_the_next_up(layout: Layout) -> None:
    State(1, "cluster", 4, 2).save(layout)
    assert settle_state(layout, Settings(data_dir=layout.data_dir), "another") == State(1, "cluster", 4, 2)


def test_a_number_of_workers_that_is_asked_for_outright_wins(layout: Layout) -> None:
    State(1, "cluster", 4, 2).save(layout)
    settled = settle_state(layout, Settings(workers=2, data_dir=layout.data_dir), "")
    assert settled.workers == {"orders": 2, "ledger": 2, "kitchen": 2, "auditor": 1, "monitor": 1, "prometheus": 0}


def test_a_service_that_was_scaled_to_nothing_comes_back_with_the_next_up(layout: Layout) -> None:
    State(1, "cluster", 0, 0, 0, 0).save(layout)
    settled = settle_state(layout, Settings(data_dir=layout.data_dir), "")
    assert settled.workers == {"orders": 2, "ledger": 1, "kitchen": 2, "auditor": 1, "monitor": 1, "prometheus": 0}


def test_a_state_from_before_there_were_auditor_and_monitor_gets_both(layout: Layout) -> None:
    layout.state.write_text('{"nodes": 1, "cluster": "cluster", "orders": 4, "ledger": 2}')
    assert settle_state(layout, Settings(data_dir=layout.data_dir), "") == State(1, "cluster", 4, 2, 1, 1)


def test_a_stack_runs_without_auditor_when_told_so(layout: Layout) -> None:
    settings = Settings(auditors=0, data_dir=layout.data_dir)
    counts = settle_state(layout, settings, "").workers
    assert counts["auditor"] == 0
    assert not any(part.name.startswith("auditor") for part in plan.workers(settings, counts))


def test_prometheus_runs_when_told_so_until_told_otherwise(layout: Layout) -> None:
    def settled(**observe: bool) -> State:
        state = settle_state(layout, Settings(data_dir=layout.data_dir, **observe), "cluster")  # type: ignore[arg-type]
        state.save(layout)
        return state

    assert [settled(**given).prometheus for given in ({}, {"observe": True}, {}, {"observe": False}, {})] == [
        0,
        1,
        1,
        0,
        0,
    ]
    assert "prometheus-1" in plan.places(Settings(), {**settled().workers, "prometheus": 1})


def test_prometheus_is_told_of_each_process_that_is_to_run() -> None:
    settings = Settings.model_validate({"ports": {"offset": 700}})
    counts = {"orders": 3, "ledger": 1, "kitchen": 0, "auditor": 0, "monitor": 1, "prometheus": 1}
    targets = json.loads(plan.targets(settings, counts))
    assert {entry["labels"]["instance"]: entry["targets"] for entry in targets} == {
        "orders-1": ["127.0.0.1:9892"],
        "orders-2": ["127.0.0.1:9893"],
        "orders-3": ["127.0.0.1:9894"],
        "ledger-1": ["127.0.0.1:10192"],
        "monitor-1": ["127.0.0.1:10290"],
    }
    assert {entry["labels"]["job"] for entry in targets} == {"orders", "ledger", "monitor"}


def test_prometheus_is_set_up_for_the_stacks_own_list_of_targets(layout: Layout) -> None:
    config = yaml.safe_load(prometheus.render(layout.targets))
    assert config["scrape_configs"][0]["file_sd_configs"] == [{"files": [str(layout.targets)]}]
    assert config["global"]["scrape_interval"] == config["global"]["evaluation_interval"] == "2s"


def test_without_prometheus_the_command_that_installs_it_is_named(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither it nor apt-get
    with pytest.raises(StackError, match="apt-get install --no-install-recommends prometheus"):
        prometheus.fetch(lambda _: None)
    with pytest.raises(StackError, match="or start without OBSERVE"):
        prometheus.part(Settings(), layout).prepare()


def test_the_number_of_nodes_is_that_of_the_state_unless_another_is_asked_for(layout: Layout) -> None:
    State(3, "cluster", 2, 1).save(layout)
    plain, asked = Settings(data_dir=layout.data_dir), Settings(nodes=1, data_dir=layout.data_dir)
    assert as_made(plain, layout).nodes == 3
    assert len(as_made(plain, layout).kafka_bootstrap.split(",")) == 3
    with pytest.raises(StackError, match="was made with NODES=3, not 1"):
        settle_state(layout, as_made(asked, layout), "")


def test_a_state_that_cannot_be_read_is_named_with_the_way_out(layout: Layout) -> None:
    layout.state.write_text('{"nodes": 1, "surprise": 2}')
    with pytest.raises(StackError, match=r"stack\.json cannot be read .* `make clean`"):
        read_state(layout)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be written to"):
        Layout(tmp_path / "file" / "var").make()


def test_three_nodes_share_the_ring_evenly_and_elect_among_three(layout: Layout) -> None:
    settings = Settings(nodes=3, data_dir=layout.data_dir)
    tokens, voters = [], set()
    for node in (1, 2, 3):
        store = cassandra.part(settings, layout, "java", node)
        store.prepare()
        config = yaml.safe_load((layout.data_dir / store.name / "conf" / "cassandra.yaml").read_text())
        tokens.append(config["initial_token"])
        assert (config["listen_address"], config["rpc_address"]) == (f"127.0.0.{node}",) * 2
        assert config["seed_provider"][0]["parameters"][0]["seeds"] == "127.0.0.1,127.0.0.2,127.0.0.3"
        data = layout.data_dir / f"kafka-{node}" / "data"
        data.mkdir(parents=True)
        (data / "meta.properties").touch()  # made already: no Java is run
        kafka.part(settings, layout, "java", "cluster", node).prepare()
        lines = (data.parent / "server.properties").read_text().splitlines()
        properties = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        voters.add(properties["controller.quorum.voters"])
        assert (properties["default.replication.factor"], properties["min.insync.replicas"]) == ("3", "2")
    gaps = {tokens[1] - tokens[0], tokens[2] - tokens[1], tokens[0] + 2**64 - tokens[2]}
    assert max(gaps) - min(gaps) <= 1
    assert len(voters) == 1
    assert set(voters.pop().split(",")) == {f"{node}@127.0.0.{node}:19093" for node in (1, 2, 3)}


def test_clients_are_told_another_port_than_the_servers_own_where_something_stands_between(layout: Layout) -> None:
    given = {"kafka": {"client_port": 29001}, "cassandra": {"client_port": 29002}}
    settings = Settings.model_validate({"data_dir": layout.data_dir, **given})
    assert (settings.kafka_bootstrap, settings.cassandra_client_port) == ("127.0.0.1:29001", 29002)
    data = layout.data_dir / "kafka-1" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").touch()  # made already: no Java is run
    broker = kafka.part(settings, layout, "java", "cluster", 1)
    broker.prepare()
    lines = (data.parent / "server.properties").read_text().splitlines()
    assert "advertised.listeners=CLIENTS://127.0.0.1:29001" in lines
    assert "listeners=CLIENTS://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093" in lines
    assert broker.address == ("127.0.0.1", 19092)
    store = cassandra.part(settings, layout, "java", 1)
    store.prepare()
    config = yaml.safe_load((layout.data_dir / store.name / "conf" / "cassandra.yaml").read_text())
    assert config["native_transport_port"] == store.address[1] == 19042


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    assert not any(kafka.new_cluster().startswith("-") for _ in range(1000))


def test_children_read_the_very_settings_that_they_were_started_with(tmp_path: Path) -> None:
    given = {
        "BISTRO92_DATA_DIR": str(tmp_path),
        "BISTRO92_PORTS__OFFSET": "700",
        "BISTRO92_CASSANDRA__REPLICATION": '{"dc1":2,"dc2":1}',
        "BISTRO92_NODES": "3",
        "BISTRO92_WEB__CORS_ORIGINS": '["https://pads.bistro"]',
    }
    with mock.patch.dict(os.environ, {**clean_environment(), **given}, clear=True):
        settings = load()
    with mock.patch.dict(os.environ, plan.environment(settings), clear=True):
        assert load() == settings


def test_missing_java_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="apt-get install openjdk"):
        jars.java()


def test_a_java_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("""#!/bin/sh\necho 'openjdk version "11.0.2" 2019-01-15' >&2\n""")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"Java 17 or newer is needed"):
        jars.java()


def test_missing_maven_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "JARS", tmp_path / "jars")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="apt-get install maven"):
        jars.fetch(lambda _: None)
    assert [path.name for path in (tmp_path / "jars").iterdir()] == ["lock"]


def test_another_pom_has_another_folder_of_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "CONFIG", tmp_path)
    (tmp_path / "kafka").mkdir()
    pom = tmp_path / "kafka" / "pom.xml"
    pom.write_text("4.1.1")
    before = jars.folder("kafka")
    pom.write_text("4.1.2")
    assert jars.folder("kafka") != before


def test_the_machines_redis_is_preferred_and_the_wheels_is_there_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(redis.server(Settings())).name == "valkey-server"
    installed = tmp_path / "redis-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    assert redis.server(Settings()) == str(installed)
    named = Settings().model_copy(update={"redis": Redis(server="/opt/redis")})
    assert redis.server(named) == "/opt/redis"


def test_without_any_redis_the_command_that_installs_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StackError, match="apt-get install redis-server"):
        redis.server(Settings())


def test_each_worker_needs_the_port_of_its_metrics_beside_its_own() -> None:
    settings = Settings()
    for part in plan.workers(
        settings, {"orders": 2, "ledger": 2, "kitchen": 2, "auditor": 1, "monitor": 1, "prometheus": 0}
    ):
        service, _, index = part.name.partition("-")
        assert ("127.0.0.1", settings.ports.metrics_of(service, int(index))) in part.other_ports
