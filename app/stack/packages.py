"""Programs that Debian's packages bring, installed where they are missing."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.stack.layout import StackError

OPTIONS = ("--yes", "--quiet", "--no-install-recommends")
# What Debian's packages ask before they start a service: we want the program, not a server of its own.
POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Wanted:
    """Programs that must be on the PATH, the packages that have them, and what a machine without them is told.

    `services` are units that a package would have started with the machine.
    """

    name: str
    programs: Sequence[str]
    packages: Sequence[str]
    advice: str
    services: Sequence[str] = ()


def fetch(wanted: Wanted, say: Callable[[str], None]) -> None:
    """Install what is missing, by apt and as root; several at a time do no harm.

    Raises:
        StackError: it is missing, and cannot be installed so; says what to do.
    """
    if not _missing(wanted):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise StackError(wanted.advice)
    with _alone():
        if not _missing(wanted):
            return
        say(f"installing {wanted.name} by apt-get")
        with _no_service():
            _run("apt-get", "update", "--quiet")
            done = _run("apt-get", "install", *OPTIONS, *wanted.packages)
        if shutil.which("systemctl"):  # nor at the machine's next start
            for unit in wanted.services:
                _run("systemctl", "disable", unit)
    if done.returncode != 0 or _missing(wanted):
        raise StackError(f"{wanted.advice}\n{(done.stdout + done.stderr)[-2000:]}")


def _missing(wanted: Wanted) -> list[str]:
    return [program for program in wanted.programs if shutil.which(program) is None]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for others that install: apt refuses a second one, and the policy is one file."""
    folder = os.open(POLICY.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _no_service() -> Iterator[None]:
    if POLICY.exists():  # whatever it says, it is the machine's own
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
