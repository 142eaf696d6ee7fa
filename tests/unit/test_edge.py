"""The way of a command to its owner, seen from the view."""

import asyncio
import time
from collections.abc import Callable

import pytest

from app.adapters.edge import KafkaEdge
from app.messages import Answer, OpenSession
from app.ports import OrderPart, UnavailableError, Unwatched


class KeptCommands:
    """Keeps what is appended; the test answers."""

    def __init__(self) -> None:
        self.tables: list[str] = []
        self.fail: list[Callable[[str], None]] = []

    def append(self, table: str, command: bytes, on_failure: Callable[[str], None]) -> None:
        self.tables.append(table)
        self.fail.append(on_failure)


def edge_of(commands: KeptCommands, deadline: float = 5.0, max_waiting: int = 10) -> KafkaEdge:
    return KafkaEdge(commands, "unix:here", deadline, max_waiting)


def opening(edge: KafkaEdge) -> OpenSession:
    return OpenSession(edge.new_request_id(), edge.address, "T1", 1)


async def test_a_view_gets_the_answer_to_its_own_request() -> None:
    commands = KeptCommands()
    edge = edge_of(commands)
    first, second = opening(edge), opening(edge)
    asked = [asyncio.ensure_future(edge.ask(command)) for command in (first, second)]
    await asyncio.sleep(0)
    edge.resolve(Answer(second.request_id, "unchanged"))
    edge.resolve(Answer(first.request_id, "opened", session=1))
    edge.resolve(Answer("nobody's", "opened"))
    assert [answer.outcome for answer in await asyncio.gather(*asked)] == ["opened", "unchanged"]
    assert commands.tables == ["T1", "T1"]
    assert edge.waiting == 0


async def test_without_an_answer_the_view_gives_up_at_its_deadline() -> None:
    edge = edge_of(KeptCommands(), deadline=0.01)
    with pytest.raises(UnavailableError, match="no answer"):
        await edge.ask(opening(edge))
    assert edge.waiting == 0


async def test_past_the_bound_an_order_is_refused_at_once() -> None:
    edge = edge_of(KeptCommands(), max_waiting=1)
    waiting = asyncio.ensure_future(edge.ask(opening(edge)))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="wait already"):
        await edge.ask(opening(edge))
    waiting.cancel()


async def test_a_command_that_kafka_did_not_take_fails_the_request() -> None:
    commands = KeptCommands()
    edge = edge_of(commands)
    asked = asyncio.ensure_future(edge.ask(opening(edge)))
    await asyncio.sleep(0)
    commands.fail[0]("timed out")
    with pytest.raises(UnavailableError, match="timed out"):
        await asked


async def test_a_command_decided_long_ago_is_no_answer() -> None:
    edge = edge_of(KeptCommands())
    command = opening(edge)
    asked = asyncio.ensure_future(edge.ask(command))
    await asyncio.sleep(0)
    edge.resolve(Answer(command.request_id, "unknown"))
    with pytest.raises(UnavailableError, match="decided on before"):
        await asked


async def test_an_answer_that_bears_its_time_tells_how_long_it_was_on_its_way() -> None:
    took: list[tuple[OrderPart, float]] = []

    class Watch(Unwatched):
        def took(self, part: OrderPart, seconds: float) -> None:
            took.append((part, seconds))

    edge = KafkaEdge(KeptCommands(), "unix:here", 5.0, 10, Watch())
    commands = [opening(edge) for _ in range(3)]
    asked = [asyncio.ensure_future(edge.ask(command)) for command in commands]
    await asyncio.sleep(0)
    for command, at in zip(commands, (0.0, time.time() - 60, time.time() + 60), strict=True):
        edge.resolve(Answer(command.request_id, "opened", at=at))
    edge.resolve(Answer("nobody's", "opened", at=1.0))
    await asyncio.gather(*asked)
    [(part, before), (_, clock_behind)] = took
    assert part == "reply"
    assert 60 <= before < 120
    assert clock_behind == 0


async def test_whoever_looks_after_the_load_hears_when_each_answered_command_was_appended() -> None:
    heard = list[float]()
    edge = KafkaEdge(KeptCommands(), "unix:here", 5.0, 10, answered=heard.append)
    command, began = opening(edge), asyncio.get_running_loop().time()
    asked = asyncio.ensure_future(edge.ask(command))
    await asyncio.sleep(0.02)
    edge.resolve(Answer(command.request_id, "opened", session=1))
    edge.resolve(Answer(command.request_id, "opened", session=1))
    await asked
    assert heard == [pytest.approx(began, abs=0.01)]


async def test_an_answer_that_another_edge_at_the_same_address_waits_for_is_handed_on() -> None:
    kitchen = edge_of(KeptCommands())
    edge = KafkaEdge(KeptCommands(), "unix:here", 5.0, 10, otherwise=kitchen.resolve)
    commands = opening(edge), opening(kitchen)
    asked = [asyncio.ensure_future(each.ask(command)) for each, command in zip((edge, kitchen), commands, strict=True)]
    await asyncio.sleep(0)
    edge.resolve(Answer(commands[1].request_id, "cancelled"))
    edge.resolve(Answer(commands[0].request_id, "opened"))
    edge.resolve(Answer("nobody's", "opened"))
    assert [answer.outcome for answer in await asyncio.gather(*asked)] == ["opened", "cancelled"]
