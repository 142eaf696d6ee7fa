"""Takes rules out of a copy of the project, one at a time, and sees whether the tests notice."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutations.audit import OF_THE_AUDIT
from tests.mutations.cancelling import OF_CANCELLING
from tests.mutations.libraries import OF_THE_LIBRARIES
from tests.mutations.limits import OF_THE_LIMITS
from tests.mutations.mutation import Mutation
from tests.mutations.overload import OF_OVERLOAD
from tests.mutations.resuming import OF_RESUMING
from tests.mutations.rules import OF_DECISIONS
from tests.mutations.state import OF_THE_STATE

ROOT = Path(__file__).resolve().parents[2]
ALL = [
    *OF_DECISIONS,
    *OF_THE_STATE,
    *OF_THE_LIBRARIES,
    *OF_THE_LIMITS,
    *OF_OVERLOAD,
    *OF_THE_AUDIT,
    *OF_CANCELLING,
    *OF_RESUMING,
]
WITHIN = 600.0  # s; code that no longer comes to an end is caught, too


@dataclass(frozen=True)
class Verdict:
    """`caught_by` is the first test that failed; empty: none did."""

    mutation: Mutation
    caught_by: str


class StaleMutationError(Exception):
    """The text to be replaced does not stand once in its file: the code has changed, the mutation must follow."""


def mutated(mutation: Mutation, text: str) -> str:
    """The file's text without the rule.

    Raises:
        StaleMutationError: it is not to be found, or not clear which.
    """
    found = text.count(mutation.old)
    if found != 1:
        raise StaleMutationError(f"{mutation.name}: its text stands {found} times in {mutation.file}, not once")
    return text.replace(mutation.old, mutation.new)


@contextmanager
def copy_of_the_project() -> Iterator[Path]:
    """A folder with all that the tests need."""
    with TemporaryDirectory(prefix="bistro92-mutations-") as folder:
        copy = Path(folder)
        for name in ("app", "tests", "config", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / file, copy)
        yield copy


def try_out(mutation: Mutation, copy: Path) -> Verdict:
    """Run the checks on the copy without the rule; the copy is as before afterwards."""
    file = copy / mutation.file
    before = file.read_text(encoding="utf-8")
    file.write_text(mutated(mutation, before), encoding="utf-8")
    try:
        return Verdict(mutation, _first_failure(mutation.checks, copy))
    finally:
        file.write_text(before, encoding="utf-8")


def _first_failure(checks: tuple[str, ...], copy: Path) -> str:
    # Modules come from the working folder; without bytecode, which goes by a file's second and size.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *checks]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN
        )
    except subprocess.TimeoutExpired:
        return f"{checks[0]} (comes to no end)"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?", done.stdout, re.MULTILINE)
    if failed:
        return f"{failed[1]}" + (f" ({failed[2][:110]})" if failed[2] else "")
    if done.returncode:
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return ""
