"""The servers' jars: Maven fetches what the pinned poms name, once per pom."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from app.stack.layout import CONFIG, JARS, StackError

SERVERS = ("kafka", "cassandra")
JAVA_AT_LEAST = 17


def folder(server: str) -> Path:
    """Where a server's jars are, or will be: another pom has another folder."""
    pom = CONFIG / server / "pom.xml"
    if not pom.exists():
        raise StackError(f"{pom} is missing: the stack runs from a clone of the repository")
    return JARS / f"{server}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"


def fetch(say: Callable[[str], None], wanted: Sequence[str] = SERVERS) -> None:
    """Fetch the jars that are not there yet; two at a time do no harm.

    Raises:
        StackError: Maven is missing or failed.
    """
    if all(folder(name).is_dir() for name in wanted):
        return
    try:
        JARS.mkdir(exist_ok=True)
        with (JARS / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in wanted:
                if not folder(name).is_dir():
                    say(f"fetching {name}'s jars through Maven")
                    _fetch(name)
    except OSError as error:
        raise StackError(f"the jars cannot be kept in {JARS}: {error}") from error


def _fetch(server: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError(
            "Maven is missing, which fetches Kafka and Cassandra. Install it: "
            "apt-get install maven (Debian, Ubuntu), brew install maven (macOS)"
        )
    target = folder(server)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}"]
    result = subprocess.run(
        [maven, "--quiet", "--batch-mode", "--file", str(CONFIG / server / "pom.xml"), *goal],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if result.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        output = (result.stdout + result.stderr).strip().splitlines()
        raise StackError(f"Maven could not fetch {server}'s jars:\n" + "\n".join(output[-15:]))
    for old in JARS.glob(f"{server}-*"):
        if old != draft:
            shutil.rmtree(old)
    draft.rename(target)


def java() -> str:
    """The Java to run the servers with: JAVA_HOME's, else the PATH's.

    Raises:
        StackError: there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    advice = (
        f"Java {JAVA_AT_LEAST} or newer is needed. Install it: apt-get install openjdk-17-jre-headless "
        "(Debian, Ubuntu), brew install openjdk@17 (macOS); or name one with JAVA_HOME"
    )
    if found is None:
        raise StackError(f"no java {f'in JAVA_HOME={home}' if home else 'on the PATH'}. {advice}")
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < JAVA_AT_LEAST:
        first = answer.stderr.strip().splitlines()[:1]
        raise StackError(f"{found} is {first[0] if first else 'no Java'}. {advice}")
    return found
