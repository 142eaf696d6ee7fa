"""Toxiproxy between the workers and their servers: links that can be made slow, cut or silent.

It is built by Go's own client into a folder of the project, once per version.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from app.bench.stack import StackFailedError, settings_in
from app.stack.layout import ROOT

VERSION = "2.5.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
BINARY = ROOT / "build" / "tools" / f"toxiproxy-{VERSION}" / "server"
BUILD_SECONDS = 600.0
START_SECONDS = 10.0
ANSWER_SECONDS = 10.0
URL = "TOXIPROXY_URL"  # of its API, in the environment of a stack that stands behind it
LINKS = ("kafka", "cassandra", "redis")


@cache
def missing() -> str:
    """What this machine lacks to run it, empty where it is there; builds it the first time."""
    if BINARY.exists():
        return ""
    go = shutil.which("go")
    if go is None:
        return "needs Go, which builds toxiproxy: apt-get install golang (Debian, Ubuntu), brew install go (macOS)"
    try:
        done = subprocess.run(
            [go, "install", MODULE],
            env={**os.environ, "GOBIN": str(BINARY.parent)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"toxiproxy was not built within {BUILD_SECONDS:.0f} s"
    return "" if done.returncode == 0 else f"toxiproxy could not be built: {' '.join(done.stderr.split())[-300:]}"


@contextmanager
def between(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Put a proxy before each server; gives the environment by which clients take that way.

    The servers listen on their own ports, where the stack's supervisor asks whether they are ready.
    """
    with _running(folder / "toxiproxy.log") as url:
        links = Links(url)
        own = settings_in(environment).ports
        ports = {name: links.make(name, own.of(name)) for name in LINKS}
        yield {
            URL: url,
            "BISTRO92_KAFKA__CLIENT_PORT": str(ports["kafka"]),
            "BISTRO92_CASSANDRA__CLIENT_PORT": str(ports["cassandra"]),
            "BISTRO92_REDIS__URL": f"redis://127.0.0.1:{ports['redis']}/0",
        }


@contextmanager
def _running(log: Path) -> Iterator[str]:
    """The server, and the URL of its API. It ends with this process, however that ends: the shell reads from it."""
    port = _free_port()
    command = ["sh", "-c", '"$0" "$@" & cat; kill $!', str(BINARY), "-host", "127.0.0.1", "-port", str(port)]
    with log.open("wb") as output:
        shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if time.monotonic() > deadline:
                raise StackFailedError(f"toxiproxy does not answer:\n{log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.05)
        yield url
    finally:
        assert shell.stdin is not None
        shell.stdin.close()
        shell.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    with suppress(OSError):
        Links(url).heal()
        return True
    return False


class Links:
    """The proxies of a running toxiproxy, driven through its API; a refusal is an OSError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def make(self, name: str, server_port: int) -> int:
        """Put a proxy before a server of this machine; returns the port where it listens."""
        made = self._post("/proxies", name=name, listen="127.0.0.1:0", upstream=f"127.0.0.1:{server_port}")
        return int(made["listen"].rpartition(":")[2])

    def poison(self, name: str, toxic: str, **attributes: int) -> None:
        """Let a toxic work on both directions of a link, on the connections that there are and on new ones."""
        for stream in ("upstream", "downstream"):
            self._post(f"/proxies/{name}/toxics", type=toxic, stream=stream, attributes=attributes)

    def heal(self) -> None:
        """Take every toxic away."""
        self._post("/reset")

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{self._url}{path}", json.dumps(body).encode(), method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - our own address
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
            return found
