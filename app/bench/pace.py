"""Open loop: orders at even distances, whether or not the server keeps up."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from time import perf_counter

from app.bench.guest import Guest

# s between two hand-overs to the loop, at least: each wakes it, and thousands of times a second that costs more than
# what is sent. What was due in between is late by so much, and that counts.
TICK = 0.0005


async def open_loop(guests: Sequence[Guest], rate: float, ending: asyncio.Event) -> None:
    """Have the guests order in turn, `rate` orders/s in all, until `ending`.

    The clock of an order runs from when it should have been sent, also while its table's last one is still out: what
    a slow server makes wait is counted, not left out.
    """
    queues: list[asyncio.Queue[float | None]] = [asyncio.Queue() for _ in guests]

    def due(start: int, times: Sequence[float]) -> None:
        for number, time in enumerate(times, start):
            queues[number % len(queues)].put_nowait(time)

    pacer = Pacer(rate, asyncio.get_running_loop(), due)
    try:
        async with asyncio.TaskGroup() as seats:
            for guest, queue in zip(guests, queues, strict=True):
                seats.create_task(_seat(guest, queue))
            await ending.wait()
            pacer.stop()
            await asyncio.sleep(0)  # what the pacer handed over last
            for queue in queues:
                queue.put_nowait(None)
    finally:
        pacer.stop()


async def _seat(guest: Guest, queue: "asyncio.Queue[float | None]") -> None:
    while (since := await queue.get()) is not None:
        await guest.turn(since)


class Pacer:
    """Calls `due(number of the first, times)` in the loop when orders should be sent.

    A thread, since the loop's timers are a millisecond coarse.
    """

    def __init__(
        self, rate: float, loop: asyncio.AbstractEventLoop, due: Callable[[int, Sequence[float]], None]
    ) -> None:
        self._rate = rate
        self._loop = loop
        self._due = due
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more orders."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        count, began = 0, perf_counter()
        while not self._over.wait(max(TICK, began + count / self._rate - perf_counter())):
            times: list[float] = []
            while (time := began + (count + len(times)) / self._rate) <= perf_counter():
                times.append(time)
            if times:
                self._loop.call_soon_threadsafe(self._due, count, times)
                count += len(times)
