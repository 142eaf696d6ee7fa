"""Answers between two workers, over real sockets."""

import asyncio
import gc
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from app.adapters.link import Link, link_key
from app.messages import Answer

KEY = b"k" * 32


def unix_address(folder: Path, name: str) -> str:
    return f"unix:{folder / name}"


def tcp_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{probe.getsockname()[1]}"


async def wait_for(answers: list[Answer], count: int) -> None:
    async with asyncio.timeout(5):
        while len(answers) < count:  # noqa: ASYNC110 - filled by a callback
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_answers_reach_the_other_worker_in_order(kind: str, run: Callable[..., None], tmp_path: Path) -> None:
    if kind == "unix":
        run(answers_arrive(unix_address(tmp_path, "a"), unix_address(tmp_path, "b")))
    else:
        run(answers_arrive(tcp_address(), tcp_address()))


async def answers_arrive(address: str, other: str) -> None:
    got: list[Answer] = []
    here, there = Link(address, lambda: KEY, got.append), Link(other, lambda: KEY, got.append)
    await here.start()
    await there.start()
    sent = [Answer(f"r{n}", "accepted", n) for n in range(500)]
    for answer in sent:
        here.give(there.address, answer)
    await wait_for(got, len(sent))
    assert got == sent
    await here.stop()
    await there.stop()


async def test_an_answer_to_this_worker_itself_is_handed_over(tmp_path: Path) -> None:
    got: list[Answer] = []
    link = Link(unix_address(tmp_path, "a"), lambda: KEY, got.append)
    link.give(link.address, Answer("r", "replayed", 3))
    assert got == [Answer("r", "replayed", 3)]


async def test_a_worker_with_another_key_is_refused(tmp_path: Path) -> None:
    got: list[Answer] = []
    here, there = (
        Link(unix_address(tmp_path, "a"), lambda: b"x" * 32, got.append),
        Link(unix_address(tmp_path, "b"), lambda: KEY, got.append),
    )
    await there.start()
    here.give(there.address, Answer("r", "accepted"))
    reader, writer = await asyncio.open_unix_connection(tmp_path / "b")
    await reader.readexactly(32)  # by now the other connection was judged, too
    assert got == []
    writer.close()
    await here.stop()
    await there.stop()


async def test_after_a_worker_was_away_its_successor_gets_the_answers(tmp_path: Path) -> None:
    got: list[Answer] = []
    here, first = (
        Link(unix_address(tmp_path, "a"), lambda: KEY, got.append),
        Link(unix_address(tmp_path, "b"), lambda: KEY, got.append),
    )
    here.give(first.address, Answer("lost", "accepted"))
    await first.start()
    async with asyncio.timeout(5):
        while not any(answer.request_id == "found" for answer in got):
            here.give(first.address, Answer("found", "accepted"))
            await asyncio.sleep(0.01)
    await here.stop()
    await first.stop()


async def test_garbage_on_the_link_closes_it(tmp_path: Path) -> None:
    link = Link(unix_address(tmp_path, "a"), lambda: KEY, lambda _: None)
    await link.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "a")
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.readexactly(32)
        assert await reader.read() == b""
    writer.close()
    await link.stop()


async def test_workers_go_over_to_a_key_that_was_made_anew(tmp_path: Path) -> None:
    got: list[Answer] = []
    keys = tmp_path / "keys"
    old, new = (
        Link(unix_address(tmp_path, "a"), lambda: link_key(keys), got.append),
        Link(unix_address(tmp_path, "b"), lambda: link_key(keys), got.append),
    )
    (keys / "link.secret").unlink()
    link_key(keys)  # as a worker does that starts now
    await old.start()
    await new.start()
    old.give(new.address, Answer("there", "accepted"))
    new.give(old.address, Answer("back", "accepted"))
    await wait_for(got, 2)
    await old.stop()
    await new.stop()


async def test_a_key_that_is_away_is_remembered(tmp_path: Path) -> None:
    got: list[Answer] = []
    keys = iter([KEY])
    here = Link(unix_address(tmp_path, "a"), lambda: next_key(keys), got.append)
    there = Link(unix_address(tmp_path, "b"), lambda: KEY, got.append)
    await there.start()
    here.give(there.address, Answer("r", "accepted"))
    await wait_for(got, 1)
    await here.stop()
    await there.stop()


def next_key(keys: Iterator[bytes]) -> bytes:
    for key in keys:
        return key
    raise FileNotFoundError("link.secret")


def test_all_workers_read_the_same_key(tmp_path: Path) -> None:
    assert link_key(tmp_path / "keys") == link_key(tmp_path / "keys")
    assert (tmp_path / "keys" / "link.secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("address", ["", "nonsense", "tcp:", "tcp:x:y", "unix:\0", "unix:" + "x" * 300, "tcp:..:1"])
async def test_an_answer_to_an_address_that_is_none_is_lost_and_nothing_else(address: str, tmp_path: Path) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    link = Link(unix_address(tmp_path, "a"), lambda: KEY, lambda _: None)
    link.give(address, Answer("r", "accepted"))
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1 or not link._peers or link._due:  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(0.01)
    gc.collect()
    assert errors == []
    assert link._peers[address]._answers == []
    await link.stop()
