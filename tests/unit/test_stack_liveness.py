"""How the supervisor finds a worker that lives and answers nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.stack import liveness, probe
from app.stack.part import Address

PERIOD = 0.05  # s


class Questions:
    """How many were asked, and which of them are answered."""

    def __init__(self, answers: Sequence[bool]) -> None:
        self.answers = answers
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        assert (await reader.readline()).startswith(b"GET /health/live ")
        is_answered = self.asked < len(self.answers) and self.answers[self.asked]
        self.asked += 1
        if is_answered:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()


@asynccontextmanager
async def worker(*answers: bool) -> AsyncIterator[tuple[Address, Questions]]:
    """A worker that answers some questions, and none after them."""
    questions = Questions(answers)
    async with await asyncio.start_server(questions.serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname(), questions


async def asked_until_given_up(*answers: bool, starting: float = 3600) -> int:
    """How many questions a worker is asked; three in a row without an answer are too many."""
    async with worker(*answers) as (address, questions):
        await liveness.unanswered(address, 3 * PERIOD, period=PERIOD, starting=starting)
        return questions.asked


async def test_a_worker_that_stops_answering_is_given_up() -> None:
    assert await asked_until_given_up(True, True) == 5


async def test_only_questions_in_a_row_count() -> None:
    assert await asked_until_given_up(True, False, False, True, False, False) == 7


async def test_a_worker_that_has_never_answered_may_still_be_starting() -> None:
    assert await asked_until_given_up(False, False, False, False, False, True) == 9


async def test_a_worker_that_never_answers_is_not_waited_for_for_ever() -> None:
    assert await asked_until_given_up(starting=-1) == 3


async def test_a_worker_need_not_be_ready_to_be_alive() -> None:
    async with worker(True) as (address, _):
        assert await probe.live(address, 5)
        assert not await probe.live(address, 5)
    assert not await probe.live(address, 5)
