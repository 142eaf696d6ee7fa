"""The watchdog in a process of its own: it ends it, whatever the event loop does."""

import os
import signal
import subprocess
import sys

import pytest

from app.adapters.fatal import EXIT_CODE

# A worker's loop that turns a few times and then does what the test wants; the limit is in seconds.
WORKER = """
import asyncio, sys, threading, time
from app.adapters.fatal import end_process
from app.adapters.watchdog import Watchdog
from app.domain.liveness import Limits, Vitals

def ends(partitions):
    return dict.fromkeys(partitions, (0, 10))
ends.close = lambda: None

def look():
    return Vitals(time.monotonic(), {ready}, places={{0: {place}}})

async def main():
    watchdog = Watchdog(Limits({stall}, 1, 1), look, ends, end_process)
    watchdog.start()
    await asyncio.sleep(0.5)
    print("up", flush=True)
    {then}
    await watchdog.stop()

asyncio.run(main())
"""
WITHIN = 60.0  # s
FOR_EVER = "threading.Event().wait()"


def worker(then: str, *, stall: float = 60, ready: bool = True, place: int = 10) -> subprocess.Popen[str]:
    """Start it; returns once its loop has turned."""
    code = WORKER.format(then=then, stall=stall, ready=ready, place=place)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def end_of(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what it said."""
    try:
        out, said = child.communicate(timeout=WITHIN)
    finally:
        child.kill()
    return child.returncode, out + said


def test_a_loop_that_hangs_is_ended_from_beside_it() -> None:
    code, said = end_of(worker(FOR_EVER, stall=1))
    assert code == EXIT_CODE
    assert "the event loop stood still" in said


def test_a_process_that_was_stopped_for_too_long_ends_when_it_wakes_up() -> None:
    child = worker("await asyncio.Event().wait()", stall=1)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(2)
    os.kill(child.pid, signal.SIGCONT)
    code, said = end_of(child)
    assert code == EXIT_CODE
    assert "the event loop stood still" in said


def test_a_loop_that_turns_may_be_without_tables_for_some_time_only() -> None:
    code, said = end_of(worker("await asyncio.Event().wait()", ready=False))
    assert code == EXIT_CODE
    assert "no table was taken over" in said


def test_an_orderly_stop_ends_the_watch() -> None:
    assert end_of(worker("pass", ready=False))[0] == 0


def test_a_process_ends_although_its_last_word_cannot_be_said() -> None:
    hangs = "import logging; logging.getLogger().addHandler(logging.StreamHandler()); logging._lock.acquire()"
    held = "for handler in logging.getLogger().handlers: handler.acquire()"
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{hangs}\n{held}\nimport threading, structlog\n"
            "structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())\n"
            "from app.adapters.fatal import end_process\n"
            f"threading.Thread(target=end_process, args=('hangs',), daemon=True).start()\n{FOR_EVER}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert end_of(child)[0] == EXIT_CODE
