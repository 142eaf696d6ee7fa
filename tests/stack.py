"""A stack of the tests' own: real Kafka, Cassandra, Redis and workers, started and driven through the command line."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from app.settings import FILE_VARIABLE, Ports, Settings, load
from app.stack.plan import PART_VARIABLE
from app.stack.ports import taken

ROOT = Path(__file__).resolve().parents[1]
KEPT_LOGS = ROOT / "build" / "stack-logs"
# All ports stay below those that the kernel gives to clients, and no two stacks of up to ten workers share one.
OFFSETS = range(10000, 13600, 320)
READY_WITHIN = 90.0  # s, on a machine that is busy with other things
COMMAND_WITHIN = 300.0  # s


def clean_environment() -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BISTRO92_")}


@dataclass(frozen=True)
class Stack:
    """A stack, whether it is up or not."""

    environment: Mapping[str, str]
    settings: Settings

    @property
    def url(self) -> str:
        """The shared address of the order workers, as pads use it."""
        return self.settings.orders_url

    def own_url(self, index: int) -> str:
        """The address of one order worker (from 1)."""
        return f"http://127.0.0.1:{self.settings.ports.of('orders', index)}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m app ARGUMENTS`, whatever becomes of it."""
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            env=dict(self.environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_WITHIN,
        )

    def command(self, *arguments: str) -> str:
        """What `python -m app ARGUMENTS` prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"python -m app {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *arguments: str) -> str:
        """Start it, or what is missing of it; it stops with this test run, however that ends."""
        return self.command("up", "--with-process", str(os.getpid()), *arguments)

    def status(self) -> dict[str, dict[str, Any]]:
        """Name -> pid, port, ready, since, … of each process."""
        return {entry["name"]: entry for entry in json.loads(self.command("status", "--json"))["processes"]}

    def pid(self, name: str) -> int:
        """The id of a process that runs; `supervisor` has one too."""
        file = self.settings.data_dir / "run" / f"{name}.json"
        number: int = json.loads(file.read_text(encoding="utf-8"))["pid"]
        return number

    def processes(self) -> list[int]:
        """Every process on this machine that belongs to it, by what its environment says, and its supervisor."""
        found, folder = [], str(self.settings.data_dir)
        for process in psutil.process_iter():
            try:
                environment, supervises = process.environ(), process.cmdline()[1:3] == ["-m", "app.stack"]
            except psutil.Error:
                continue
            if environment.get(PART_VARIABLE, "").endswith(f"@{folder}") or (
                supervises and environment.get("BISTRO92_DATA_DIR") == folder
            ):
                found.append(process.pid)
        return found

    def kill(self, name: str, signal_number: int) -> int:
        """Signal a process; its id."""
        pid = self.pid(name)
        os.kill(pid, signal_number)
        return pid

    def wait_ready(self, name: str, other_than: int | None = None) -> dict[str, Any]:
        """Its status once it is ready, as another process than `other_than` if that is given."""
        deadline = time.monotonic() + READY_WITHIN
        while True:
            status = self.status().get(name, {})
            if status.get("ready") and status["pid"] != other_than:
                return status
            assert time.monotonic() < deadline, f"{name} is not ready: {status}\n{self.log(name)}"
            time.sleep(0.1)

    def log(self, name: str) -> str:
        """The end of a process's log."""
        return "\n".join(self.whole_log(name).splitlines()[-30:])

    def whole_log(self, name: str) -> str:
        """A process's log."""
        return (self.settings.data_dir / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def tokens(self, *tables: str) -> dict[str, str]:
        """Table -> its pad's token; a table's session is opened where none is open."""
        return dict(line.split() for line in self.command("token", *tables).splitlines())

    def token(self, table: str) -> str:
        """A table's pad's token."""
        return self.tokens(table)[table]


@contextlib.contextmanager
def new_stack(**settings: str) -> Iterator[Stack]:
    """A stack with these settings (`WORKERS="1"`), in a folder and on ports of its own; not up yet, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="b92-"))
    try:
        with free_offset() as offset:
            environment = {
                **clean_environment(),
                FILE_VARIABLE: str(folder / "none.toml"),
                "BISTRO92_DATA_DIR": str(folder / "var"),
                "BISTRO92_PORTS__OFFSET": str(offset),
                "BISTRO92_LIMITS__ENABLED": "false",  # tests order more than a table may; those of limits say so
                **{f"BISTRO92_{name}": value for name, value in settings.items()},
            }
            with mock.patch.dict(os.environ, environment, clear=True):
                stack = Stack(environment, load())
            try:
                yield stack
            finally:
                stack.command("down")
                keep_logs(folder / "var" / "logs", offset)
            assert stack.processes() == [], "down leaves nothing running"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep_logs(logs: Path, offset: int) -> None:
    """Keep the logs of the newest stack on these ports where they can be read after a failure."""
    if logs.is_dir():
        kept = KEPT_LOGS / str(offset)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(logs, kept)


@contextlib.contextmanager
def free_offset() -> Iterator[int]:
    """An offset of ports that are free, and that no other test run uses meanwhile."""
    names = [name for name in Ports.model_fields if name != "offset"]
    for offset in OFFSETS:
        with (Path(tempfile.gettempdir()) / f"bistro92-offset-{offset}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not any(taken(("127.0.0.1", Ports(offset=offset).of(name))) for name in names):
                yield offset
                return
    raise AssertionError("no offset of ports is free")
