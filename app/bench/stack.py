"""A stack to measure: the one that is up, or one of its own that goes when the measurement ends."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.bench import tokens
from app.settings import DEFAULT_FILE, FILE_VARIABLE, Settings, load
from app.stack import client
from app.stack.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 300.0
COMMAND_SECONDS = 120.0
KEPT_LINES = 30

Around = Callable[[Path, Mapping[str, str]], contextlib.AbstractContextManager[Mapping[str, str]]]


class StackFailedError(Exception):
    """A command on the stack failed; the message holds the end of what it said."""


@dataclass(frozen=True)
class Stack:
    """A running stack, driven through its command line with these environment variables."""

    environment: Mapping[str, str]
    settings: Settings

    @property
    def url(self) -> str:
        """Where pads order."""
        return self.settings.orders_url

    @property
    def is_limited(self) -> bool:
        """Whether its workers limit what guests may order."""
        overseer = client.supervisor(Layout(self.settings.data_dir))
        if overseer is None:
            return self.settings.limits.enabled
        return bool(overseer.settings.get("limits", {}).get("enabled"))

    def command(self, *arguments: str, timeout: float = COMMAND_SECONDS, may_fail: bool = False) -> str:
        """The standard output of `python -m app ARGUMENTS`.

        Raises:
            StackFailedError: it failed (unless it may), or took too long.
        """
        name = f"python -m app {' '.join(arguments)[:200]}"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "app", *arguments],
                env=dict(self.environment),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StackFailedError(f"{name} took more than {timeout:.0f} s") from error
        if done.returncode and not may_fail:
            said = (done.stdout + done.stderr).splitlines()[-KEPT_LINES:]
            raise StackFailedError("\n".join([f"{name} ended with {done.returncode}:", *said]))
        return done.stdout

    def tokens(self, tables: Sequence[str]) -> list[tuple[str, str]]:
        """Each table with its token; opened where it was not open."""
        return tokens.parse(self.command("token", *tables).splitlines(), len(tables))

    def statuses(self) -> list[dict[str, Any]]:
        """What `status` tells of each process."""
        found: list[dict[str, Any]] = json.loads(self.command("status", "--json"))["processes"]
        return found

    def pids(self) -> list[tuple[str, int]]:
        """Name and process id of what runs."""
        return [(status["name"], status["pid"]) for status in self.statuses() if status["pid"]]


def running() -> Stack:
    """The stack that the settings name."""
    return Stack(dict(os.environ), load())


@contextlib.contextmanager
def own(
    *,
    offset: int,
    workers: int = 2,
    nodes: int = 1,
    more: Mapping[str, str] | None = None,
    around: Around | None = None,
) -> Iterator[Stack]:
    """A stack of its own in a temporary folder, its ports moved by `offset`; gone afterwards.

    `more` are further environment variables. `around` is entered before the stack starts and left when it is gone: with
    the folder and the stack's environment so far, it gives the rest of that environment.

    Raises:
        StackFailedError: it did not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="bistro92-"))
    try:
        environment = _environment(folder, offset, workers, nodes) | dict(more or {})
        with around(folder, environment) if around else contextlib.nullcontext({}) as given:
            environment |= given
            stack = Stack(environment, settings_in(environment))
            try:
                stack.command("up", "--with-process", str(os.getpid()), timeout=UP_SECONDS)
                yield stack
            finally:
                stack.command("down", may_fail=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, offset: int, workers: int, nodes: int) -> dict[str, str]:
    return {
        **os.environ,
        FILE_VARIABLE: str(folder / DEFAULT_FILE),  # no file: whoever runs this may have one for another stack
        "BISTRO92_PORTS__OFFSET": str(offset),
        "BISTRO92_DATA_DIR": str(folder),
        "BISTRO92_WORKERS": str(workers),
        "BISTRO92_LEDGERS": "1",
        "BISTRO92_NODES": str(nodes),
        # Few tables order much. Whoever measures what limits cost says so.
        "BISTRO92_LIMITS__ENABLED": os.environ.get("BISTRO92_LIMITS__ENABLED", "false"),
    }


def chosen(*, is_running: bool, offset: int, workers: int, nodes: int) -> contextlib.AbstractContextManager[Stack]:
    """The stack that is up, or one of its own for the time of the `with`."""
    return contextlib.nullcontext(running()) if is_running else own(offset=offset, workers=workers, nodes=nodes)


def settings_in(environment: Mapping[str, str]) -> Settings:
    """The settings as a process with this environment reads them."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return load()
    finally:
        os.environ.clear()
        os.environ.update(before)
