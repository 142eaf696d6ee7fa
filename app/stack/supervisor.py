"""The supervisor: keeps every part of the stack running until it is told to stop.

One task per part: adopt or start it, wait for its end, start it again. What runs does not depend on the supervisor's
life; a new one adopts it by its records.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psutil

from app.settings import Settings
from app.stack import groups, liveness, plan, probe, process
from app.stack.layout import ROOT, Layout, StackError, State, write_atomically
from app.stack.part import Failure, Part, Step
from app.stack.process import Record

PAUSE_FIRST, PAUSE_MOST = 0.1, 10.0  # s before an ended process is started again; doubles
KILLED, PAUSE_KILLED = "signal SIGKILL", 1.0  # s at most: it did not fail by itself, though the system may lack memory
STEADY = 30.0  # s of life after which the next end counts as the first
PROBE_EVERY = 0.1  # s, until ready
LOG_CHECK = 60.0  # s between looks at the logs' lengths


class Supervisor:
    """All of the stack's processes."""

    def __init__(self, settings: Settings, layout: Layout, state: State) -> None:
        """Plan; nothing is started yet."""
        self.settings, self.layout, self.state = settings, layout, state
        self.environment = plan.environment(settings)
        self.parts: dict[str, Part] = {part.name: part for part in plan.servers(settings, layout, state)}
        self.steps: dict[str, Step] = {step.name: step for step in plan.steps(settings)}
        self.done: dict[str, asyncio.Event] = {name: asyncio.Event() for name in self.steps}
        self.ready: dict[str, asyncio.Event] = {name: asyncio.Event() for name in self.parts}
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.keepers: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, Failure] = {}
        self.stopping = asyncio.Event()
        self.scaling = asyncio.Lock()

    def say(self, text: str) -> None:
        """One line to the supervisor's log."""
        print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}", flush=True)

    async def run(self, companion: Record | None = None) -> None:
        """Keep everything running until SIGTERM or SIGINT, or until the `companion` process is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        process.find_unrecorded(self.layout)
        self.state.save(self.layout)
        self.note()
        server = await self.listen()
        for part in self.parts.values():
            self.keep(part)
        await self.match(self.state.workers)
        background = [asyncio.create_task(self.insist(self.perform, step)) for step in self.steps.values()]
        background.append(asyncio.create_task(self.insist(self.watch_logs)))
        if companion:
            background.append(asyncio.create_task(self.stop_with(companion)))
        await self.stopping.wait()
        self.say("stopping")
        server.close()
        for task in background:
            task.cancel()
        await self.stop()
        self.layout.socket.unlink(missing_ok=True)
        (self.layout.run / "supervisor.json").unlink(missing_ok=True)
        self.say("stopped")

    async def insist(self, work: Callable[..., Awaitable[None]], *arguments: Part | Step) -> None:
        """Do one of the tasks below, and begin it again if it breaks: a full disk must not leave a part alone."""
        while True:
            try:
                return await work(*arguments)
            except Exception:  # noqa: BLE001 - whatever it was, the part needs its keeper
                self.say(f"supervision broke and goes on:\n{traceback.format_exc()}")
                await asyncio.sleep(PAUSE_MOST)

    async def stop_with(self, companion: Record) -> None:
        """Stop everything once the companion is gone."""
        await process.ended(companion)
        self.say(f"pid {companion.pid} is gone, and this stack was to run no longer than that")
        self.stopping.set()

    # Parts

    def keep(self, part: Part) -> None:
        """See to it that a part runs."""
        if part.name in self.keepers:
            return
        self.parts[part.name] = part
        self.keepers[part.name] = asyncio.create_task(self.insist(self.keep_forever, part))

    async def keep_forever(self, part: Part) -> None:
        """Adopt or start the part, wait for its end, and again."""
        pause, last_exit = PAUSE_FIRST, ""
        while True:
            record = process.read(self.layout, part.name)
            if record and record.alive:
                self.say(f"{part.name} adopted, pid {record.pid}")
            else:
                for step in part.needs:
                    await self.done[step].wait()
                if record and not last_exit:
                    await self.take_out(part.name)  # it ended while no supervisor ran
                record = await self.start(part, record, last_exit)
            if record:
                watches = [
                    asyncio.create_task(watch(part, record)) for watch in (self.watch_readiness, self.watch_liveness)
                ]
                try:
                    last_exit = await self.wait_for_end(record)
                finally:
                    for watch in watches:
                        watch.cancel()
                lived = record.age
                pause = PAUSE_FIRST if lived > STEADY else pause
                if last_exit == KILLED:
                    pause = min(pause, PAUSE_KILLED)
                self.say(f"{part.name} ended ({last_exit}) after {lived:.1f} s; starting it again in {pause:g} s")
                await self.take_out(part.name)
            else:
                last_exit = "could not be started"
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MOST)

    async def start(self, part: Part, old: Record | None, last_exit: str) -> Record | None:
        """Start a part and write its record; None if it ended at once."""
        try:
            await asyncio.to_thread(part.prepare)
            child = process.spawn(self.layout, part, self.environment, ROOT)
            new = process.describe(part.name, child.pid)
        except (StackError, OSError, ValueError, KeyError, psutil.Error) as error:
            self.failed(part.name, f"could not be started: {error}")
            self.say(f"{part.name} could not be started: {error!r}")
            with self.layout.log(part.name).open("a", encoding="utf-8") as log:
                log.write(f"could not be started: {error}\n")
            return None
        self.children[child.pid] = child
        record = process.restarted(old, new, last_exit) if old else new
        process.write(self.layout, record)
        self.failures.pop(part.name, None)
        self.say(f"{part.name} started, pid {child.pid}")
        return record

    async def wait_for_end(self, record: Record) -> str:
        """How the process ended."""
        await process.ended(record)
        child = self.children.pop(record.pid, None)
        if child is None:
            return "adopted, so its exit code is not known"
        code = child.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    async def take_out(self, name: str) -> None:
        """Take a worker whose process is gone out of its group; only then is the next one started."""
        await groups.take_out(self.settings.kafka_bootstrap, name, self.say)

    async def watch_readiness(self, part: Part, record: Record) -> None:
        """Set the part's event once it answers."""
        while not await probe.ready(part.kind, part.address):  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(PROBE_EVERY)
        self.say(f"{part.name} is ready, {record.age:.1f} s after its start")
        if part.name in self.ready:
            self.ready[part.name].set()

    async def watch_liveness(self, part: Part, record: Record) -> None:
        """Kill a worker that lives and answers nothing; its end is then noticed like any other."""
        if part.kind == "worker":
            seconds = self.settings.liveness.unanswered
            await liveness.unanswered(part.address, seconds)
            self.say(f"{part.name} does not answer for {seconds:g} s: killed")
            record.send(signal.SIGKILL)

    # Steps

    async def perform(self, step: Step) -> None:
        """Run a step once what it needs is there, until it succeeds."""
        for name in step.needs_ready:
            await self.ready[name].wait()
        for name in step.needs_done:
            await self.done[name].wait()
        mark = self.layout.done(step.name)
        if not (step.once and mark.exists()):
            pause = PAUSE_FIRST
            while not await self.attempt(step):
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_MOST)
            if step.once:
                write_atomically(mark, "")
        self.done[step.name].set()
        self.failures.pop(step.name, None)
        self.note()

    async def attempt(self, step: Step) -> bool:
        """Run a step's command once; whether it succeeded."""
        begun, log = time.monotonic(), self.layout.log(step.name)
        process.rotate(log)
        with log.open("ab") as output:
            child = await asyncio.create_subprocess_exec(
                *step.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=self.environment
            )
            try:
                code = await child.wait()
            except asyncio.CancelledError:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                raise
        took = time.monotonic() - begun
        self.say(f"step {step.name} {'done' if code == 0 else f'failed with exit code {code}'} in {took:.1f} s")
        if code != 0:
            self.failed(step.name, f"exit code {code}")
        return code == 0

    # Workers

    async def match(self, counts: dict[str, int]) -> None:
        """Start and stop workers until there are as many as asked for; records of more than that are stopped too."""
        async with self.scaling:
            self.state = self.state.scaled(counts)
            self.state.save(self.layout)
            write_atomically(self.layout.targets, plan.targets(self.settings, self.state.workers))
            wanted = {part.name: part for part in plan.workers(self.settings, self.state.workers)}
            for name, part in wanted.items():
                if name not in self.keepers:
                    self.keep(part)
            known = {
                name
                for name in {*process.records(self.layout), *self.keepers}
                if plan.service_of(name) in plan.SERVICES
            }
            await asyncio.gather(*(self.dismiss(name) for name in sorted(known - set(wanted))))

    async def dismiss(self, name: str) -> None:
        """Stop one part for good."""
        await self.release(name)
        record = process.read(self.layout, name)
        if record:
            await process.stop(self.layout, record)
            child = self.children.pop(record.pid, None)
            if child:
                child.wait()
            self.say(f"{name} stopped")
            await self.take_out(name)  # had it to be killed

    async def hold(self, name: str) -> None:
        """Stop a part and leave it so until it is released, or another supervisor begins.

        Raises:
            StackError: there is no such part.
        """
        if name not in self.keepers:
            raise StackError(f"{name} is not kept running here; there are {', '.join(sorted(self.keepers))}")
        await self.dismiss(name)

    def let_go(self, name: str) -> None:
        """Keep a part running again that was held.

        Raises:
            StackError: there is no such part.
        """
        if name not in self.parts:
            raise StackError(f"there is no {name}; there are {', '.join(sorted(self.parts))}")
        self.keep(self.parts[name])

    async def release(self, name: str) -> None:
        """Start this part no more; it runs on."""
        keeper = self.keepers.pop(name, None)
        if keeper:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def stop(self) -> None:
        """Stop everything: the workers first, which still need the servers."""
        for name in list(self.keepers):
            await self.release(name)
        await process.stop_everything(self.layout)
        for child in list(self.children.values()):
            child.wait()

    # Requests

    async def listen(self) -> asyncio.Server:
        """Take requests: one line of JSON each, answered by one."""
        self.layout.socket.unlink(missing_ok=True)
        return await asyncio.start_unix_server(self.answer, path=str(self.layout.socket))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request.

        `{"counts": {service: number}}` changes the number of workers, `{"hold": part}` stops a part until
        `{"release": part}`.
        """
        try:
            request = json.loads(await reader.readline())
            self.say(f"asked for {request}")
            if "hold" in request:
                await self.hold(request["hold"])
            elif "release" in request:
                self.let_go(request["release"])
            else:
                await self.match(request["counts"])
            reply: dict[str, object] = {"done": True}
        except (StackError, OSError, ValueError, TypeError, LookupError) as error:
            self.say(f"request failed: {error!r}")
            reply = {"error": str(error)}
        with contextlib.suppress(OSError):
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    # What others read

    def failed(self, name: str, why: str) -> None:
        """Write down that a part or a step failed once more."""
        self.failures[name] = {"times": self.failures.get(name, {"times": 0})["times"] + 1, "why": why}
        self.note()

    def note(self) -> None:
        """Write down who supervises, and how far the steps are."""
        me = process.describe("supervisor", os.getpid())
        facts = {
            "pid": me.pid,
            "created": me.created,
            "boot": me.boot,
            "since": me.since,
            "settings": self.settings.model_dump(mode="json"),
            "steps": {name: event.is_set() for name, event in self.done.items()},
            "failures": self.failures,
        }
        write_atomically(self.layout.run / "supervisor.json", json.dumps(facts))

    async def watch_logs(self) -> None:
        """Keep the logs of what runs for weeks within bounds."""
        while True:
            await asyncio.sleep(LOG_CHECK)
            for log in self.layout.logs.glob("*.log"):
                process.rotate(log)
