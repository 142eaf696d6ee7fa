"""Processes that outlive their supervisor, found again by their records."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click.testing
import psutil
import pytest

from app.cli.clean import command as clean
from app.cli.logs import Tail
from app.stack import ports, probe, process
from app.stack.layout import Layout
from app.stack.part import Part
from app.stack.plan import GRACES

OBEDIENT = "input()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); input()"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path)
    layout.make()
    yield layout
    process.find_unrecorded(layout)
    for record in process.records(layout).values():
        record.send(signal.SIGKILL)


def start(layout: Layout, code: str = OBEDIENT, name: str = "redis-1") -> subprocess.Popen[bytes]:
    """A process of the stack, without a record."""
    waits = f"import sys, os; sys.stdin = os.fdopen(os.pipe()[0]); {code}"  # nobody writes: it waits for ever
    part = Part(name, "redis", [sys.executable, "-c", waits], ("127.0.0.1", 1))
    return process.spawn(layout, part, os.environ, layout.data_dir)


def recorded(layout: Layout, child: subprocess.Popen[bytes], name: str = "redis-1") -> process.Record:
    record = process.describe(name, child.pid)
    process.write(layout, record)
    return record


def test_a_record_names_its_process_and_no_other_with_the_same_id(layout: Layout) -> None:
    with start(layout) as child:
        record = recorded(layout, child)
        assert process.read(layout, "redis-1") == record
        assert record.alive
        assert not replace(record, created=record.created - 60).alive
        child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="sets the clock as Linux tells it")
@pytest.mark.parametrize("hours", [2, -2])
def test_a_record_names_its_process_also_when_the_clock_was_set(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    with start(layout) as child:
        record = recorded(layout, child)
        booted, created = psutil.boot_time(), psutil.Process(child.pid).create_time()
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + hours * 3600)
        moved_by = psutil.Process(child.pid).create_time() - created
        is_alive = record.alive
        child.kill()
    assert moved_by == pytest.approx(hours * 3600)
    assert is_alive


def test_a_record_from_before_the_machine_started_anew_names_nothing(layout: Layout) -> None:
    with start(layout) as child:
        is_alive = replace(recorded(layout, child), boot="another").alive
        child.kill()
    assert not is_alive


def test_an_ended_process_that_nobody_collected_is_not_alive(layout: Layout) -> None:
    with start(layout) as child:
        record = recorded(layout, child)
        child.kill()
        asyncio.run(process.ended(record))
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        assert not record.alive


def test_a_signal_meant_for_an_ended_process_does_not_reach_the_one_that_has_its_id_now(layout: Layout) -> None:
    with start(layout) as child:
        record = recorded(layout, child)
        replace(record, created=record.created - 60).send(signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.2)
        child.kill()


def test_a_process_without_a_record_is_found_by_its_environment(layout: Layout) -> None:
    with start(layout) as child:
        deadline = time.monotonic() + 10
        while not process.records(layout):  # until the child has become what it was started as
            assert time.monotonic() < deadline
            process.find_unrecorded(layout)
        assert process.records(layout)["redis-1"].pid == child.pid
        child.kill()


def test_another_stacks_process_is_not_taken_for_ours(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    other.make()
    with start(other) as child:
        recorded(other, child)
        process.find_unrecorded(layout)
        assert process.records(layout) == {}
        child.kill()


def test_half_a_record_counts_as_none(layout: Layout) -> None:
    (layout.run / "redis-1.json").write_text('{"name": "redis-1", "pi')
    assert process.read(layout, "redis-1") is None
    assert process.records(layout) == {}


def test_who_does_not_stop_when_asked_is_killed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GRACES, "redis", 0.1)
    with start(layout, STUBBORN) as child:
        record = recorded(layout, child)
        deadline = time.monotonic() + 10
        while "deaf" not in layout.log("redis-1").read_text():
            assert time.monotonic() < deadline
        asyncio.run(process.stop_everything(layout))
        assert child.wait() == -signal.SIGKILL
    assert not record.alive
    assert process.records(layout) == {}


def test_workers_stop_before_the_servers_that_they_need(layout: Layout) -> None:
    says = "import signal, time\ndef bye(*_):\n open({file!r}, 'a').write({name!r}); raise SystemExit\n"
    file = str(layout.data_dir / "order")
    names = ("redis-1", "kafka-1", "orders-1", "ledger-1")
    children = []
    for name in names:
        code = says.format(file=file, name=name + " ") + "signal.signal(signal.SIGTERM, bye); print('up', flush=True)\n"
        code = f"exec({code + 'signal.pause()'!r})"
        children.append(start(layout, code, name))
        recorded(layout, children[-1], name)
    deadline = time.monotonic() + 20
    while not all("up" in layout.log(name).read_text() for name in names):
        assert time.monotonic() < deadline
    asyncio.run(process.stop_everything(layout))
    assert [child.wait() for child in children] == [0] * 4
    stopped = Path(file).read_text().split()
    assert set(stopped[:2]) == {"orders-1", "ledger-1"}
    assert set(stopped[2:]) == {"redis-1", "kafka-1"}


def test_a_long_log_is_put_aside_and_goes_on_at_its_start(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_LIMIT", 10)
    log = layout.log("orders-1")
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long first line\n")
        process.rotate(log)
        writer.write(b"second\n")
    assert log.read_text() == "second\n"
    assert log.with_suffix(".log.1").read_text() == "a long first line\n"


def test_a_followed_log_shows_whole_lines_once_also_when_it_was_cut(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    log = layout.log("orders-1")
    log.write_text("one\ntwo\nthr")
    tail = Tail("orders-1", log, prefixed=True)
    tail.show(1)
    log.write_text("one\ntwo\nthree\n")
    tail.show()
    tail.show()
    log.write_text("new\n")
    tail.show()
    assert capsys.readouterr().out.splitlines() == ["orders-1 | two", "orders-1 | three", "orders-1 | new"]


def test_lines_of_single_orders_are_shown_only_when_asked_for(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    log = layout.log("orders-1")
    lines = ["event=ready port=8090", 'event="order decided" order_id=o1', 'event="events acknowledged" first=1']
    log.write_text("".join(f"timestamp=2026-11-24T18:00:00Z level=info {line}\n" for line in lines))
    Tail("orders-1", log, prefixed=False).show(1)
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["event=ready"]
    Tail("orders-1", log, prefixed=False, orders=True).show(3)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_clean_deletes_the_stacks_files_and_nothing_else(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BISTRO92_DATA_DIR", str(layout.data_dir))
    (layout.data_dir / "kafka-1" / "data").mkdir(parents=True)
    layout.state.write_text("{}")
    (layout.data_dir / "wedding.jpg").touch()
    assert click.testing.CliRunner().invoke(clean).exit_code == 0
    assert [path.name for path in layout.data_dir.iterdir()] == ["wedding.jpg"]


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        [line] = ports.conflicts([("kafka-1", address)])
        assert line.startswith(f"port {address[1]} on 127.0.0.1, which kafka-1 needs, is taken by pid {os.getpid()} (")
    assert ports.conflicts([("kafka-1", address)]) == []


def test_an_address_that_is_not_this_machines_is_named() -> None:
    [line] = ports.conflicts([("kafka-2", ("192.0.2.1", 19092))])
    assert line.startswith("kafka-2 cannot listen on 192.0.2.1:19092: ")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"\r\n", b"\0" * 64])
async def test_a_server_that_does_not_answer_as_it_should_is_not_ready(answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        assert not await probe.ready("worker", address)
        assert not await probe.ready("redis", address)
        assert not await probe.ready("kafka", address)
        assert not await probe.ready("cassandra", address)
    assert not await probe.ready("worker", address)


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has batches")
def test_a_process_of_the_stack_is_not_interrupted_by_one_that_wakes_up(layout: Layout) -> None:
    with start(layout) as child:
        policy = os.sched_getscheduler(child.pid)
        child.kill()
    assert policy == os.SCHED_BATCH
