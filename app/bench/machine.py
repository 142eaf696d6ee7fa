"""What a measurement was made on and with; nothing that names a person, a host or a folder."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from app.stack import jars
from app.stack.layout import ROOT, StackError

PACKAGES = (
    "faust-streaming",
    "aiokafka",
    "aiohttp",
    "cassandra-driver",
    "confluent-kafka",
    "msgspec",
    "redis",
    "uvloop",
)
JARS = {"kafka": "kafka-clients", "cassandra": "cassandra-all"}
CPUS = Path("/proc/cpuinfo")
ASK_SECONDS = 10.0


def describe() -> dict[str, str]:
    """The machine and the software, by name."""
    return {
        "cpu": _cpu(),
        "cpus": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "java": _java(),
        **{server: _jar(server, name) for server, name in JARS.items()},
        **{package: _package(package) for package in PACKAGES},
    }


def revision() -> str:
    """The git revision of this code, with `-dirty` where it was changed since; empty where there is none."""
    return _said("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*")


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPUS.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def _java() -> str:
    try:
        found = re.search(r'version "([^"]+)"', _said(jars.java(), "-version"))
    except StackError:
        return ""
    return found[1] if found else ""


def _jar(server: str, name: str) -> str:
    try:
        names = [path.name for path in jars.folder(server).glob(f"{name}-*.jar")]
    except StackError:
        return ""
    found = [match[1] for jar in names if (match := re.fullmatch(rf"{name}-(\d[\w.]*)\.jar", jar))]
    return found[0] if found else ""


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _said(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""
