"""What the commands ask of the stack: its status, a supervisor, another number of workers, an end."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.settings import Settings
from app.stack import plan, ports, probe, process
from app.stack.layout import ROOT, Layout, StackError, read_state
from app.stack.part import Address, Failure, Kind, Part
from app.stack.process import Record

SUPERVISOR_START = 15.0  # s
POLL = 0.1  # s


@dataclass(frozen=True)
class Status:
    """One process as `status` shows it."""

    name: str
    pid: int | None
    host: str
    port: int
    ready: bool
    since: str | None
    restarts: int
    last_exit: str


@dataclass(frozen=True)
class Overseer:
    """The supervisor, as it wrote itself down."""

    record: Record
    settings: dict[str, Any]  # it and its children were started with these
    steps: dict[str, bool]
    failures: dict[str, Failure]


def supervisor(layout: Layout) -> Overseer | None:
    """The supervisor that runs, if one does."""
    try:
        facts = json.loads((layout.run / "supervisor.json").read_text(encoding="utf-8"))
        record = Record("supervisor", facts["pid"], facts["created"], facts["boot"], facts["since"])
        found = Overseer(record, facts["settings"], facts["steps"], facts["failures"])
    except (OSError, ValueError, KeyError):
        return None
    return found if record.alive else None


async def _status(name: str, kind: Kind, address: Address, record: Record | None) -> Status:
    host, port = address
    if record is None or not record.alive:
        restarts, last_exit = (record.restarts, record.last_exit) if record else (0, "")
        return Status(name, None, host, port, False, None, restarts, last_exit)
    answers = await probe.ready(kind, address)
    return Status(name, record.pid, host, port, answers, record.since, record.restarts, record.last_exit)


async def ask_statuses(settings: Settings, layout: Layout) -> list[Status]:
    """Every process of the stack, each asked whether it is ready; empty after a `down`."""
    state, found = read_state(layout), process.records(layout)
    if state is None:
        return []
    # Workers beyond today's numbers may still run: a supervisor that died while scaling down leaves them.
    most = {service: max(count, _highest(found, service)) for service, count in state.workers.items()}
    places = plan.places(settings.model_copy(update={"nodes": state.nodes}), most)
    if supervisor(layout) is None:
        places = {name: place for name, place in places.items() if name in found and found[name].alive}
    return list(await asyncio.gather(*(_status(name, *place, found.get(name)) for name, place in places.items())))


def _highest(found: dict[str, Record], service: str) -> int:
    indexes = [int(name.rpartition("-")[2]) for name in found if plan.service_of(name) == service]
    return max(indexes, default=0)


def statuses(settings: Settings, layout: Layout) -> list[Status]:
    """Every process of the stack, each asked whether it is ready; empty after a `down`."""
    return asyncio.run(ask_statuses(settings, layout))


def check_ports(settings: Settings, layout: Layout, parts: Sequence[Part]) -> None:
    """See that nobody else listens where those of `parts` will that do not run.

    Raises:
        StackError: names each port that is taken, and who holds it.
    """
    process.find_unrecorded(layout)
    running = {name for name, record in process.records(layout).items() if record.alive}
    missing = [part for part in parts if part.name not in running]
    ours = {
        ("127.0.0.1", settings.ports.of(f"{service}_shared"))
        for service in ("orders", "kitchen")
        if any(plan.service_of(name) == service for name in running)
    }
    wanted: dict[Address, str] = {}
    for part in missing:
        for address in (part.address, *part.other_ports):
            if address not in ours:
                wanted.setdefault(address, part.name)
    lines = ports.conflicts((name, address) for address, name in wanted.items())
    if lines:
        advice = "Stop that, or move all of this stack's ports with BISTRO92_PORTS__OFFSET. Nothing was started."
        raise StackError("\n".join([*lines, advice]))


def start_supervisor(layout: Layout, environment: dict[str, str], companion: int | None = None) -> None:
    """Start a supervisor in the background, and return once it is at work; it stops with the process `companion`.

    Raises:
        StackError: it ended; with the end of its log.
    """
    process.rotate(layout.log("supervisor"))
    with layout.log("supervisor").open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "app.stack", *([str(companion)] if companion else [])],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + SUPERVISOR_START
    while time.monotonic() < deadline:
        if child.poll() is not None or supervisor(layout):
            break
        time.sleep(POLL)
    if not supervisor(layout):
        raise StackError(f"the supervisor did not start:\n{tail(layout, 'supervisor')}")
    child.returncode = 0  # it outlives us: nothing to wait for


def tail(layout: Layout, name: str, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        text = layout.log(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def scale(settings: Settings, layout: Layout, counts: dict[str, int]) -> None:
    """Have the supervisor start or stop workers; returns when the surplus ones have stopped.

    Raises:
        StackError: there is no supervisor, or it refused.
    """
    if supervisor(layout) is None:
        raise StackError("the stack is not up: python -m app up")
    check_ports(settings, layout, plan.workers(settings, {**dict.fromkeys(plan.SERVICES, 0), **counts}))
    _ask(layout, {"counts": counts})


def hold(layout: Layout, name: str) -> None:
    """Have the supervisor stop a part and leave it so; returns when it has stopped.

    Raises:
        StackError: there is no supervisor, or no such part.
    """
    _ask(layout, {"hold": name})


def release(layout: Layout, name: str) -> None:
    """Have the supervisor start a part again that was held.

    Raises:
        StackError: there is no supervisor, or no such part.
    """
    _ask(layout, {"release": name})


def _ask(layout: Layout, request: dict[str, Any]) -> None:
    if supervisor(layout) is None:
        raise StackError("the stack is not up: python -m app up")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(layout.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")
            reply = json.loads(connection.makefile().readline() or '{"error": "no answer"}')
    except (OSError, ValueError) as error:
        raise StackError(f"the supervisor does not answer: {error}") from error
    if "error" in reply:
        raise StackError(f"the supervisor refused: {reply['error']}")


def stop(layout: Layout) -> bool:
    """Stop everything, supervisor first if there is one; whether there was anything to stop."""
    overseer = supervisor(layout)
    found = overseer is not None
    if overseer:
        overseer.record.send(signal.SIGTERM)
        while overseer.record.alive:
            time.sleep(POLL)
    process.find_unrecorded(layout)
    found = found or any(record.alive for record in process.records(layout).values())
    asyncio.run(process.stop_everything(layout))
    return found
