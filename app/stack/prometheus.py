"""Prometheus beside the local stack: scrapes every process, evaluates the rules of config/prometheus."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from app.settings import Settings
from app.stack.layout import CONFIG, Layout, StackError
from app.stack.part import Part

FOLDER = CONFIG / "prometheus"
INSTALL = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "prometheus"]
ADVICE = (
    "Prometheus is missing. Install it: apt-get install --no-install-recommends prometheus (Debian, Ubuntu), "
    "brew install prometheus (macOS); or start without OBSERVE"
)
KEPT = "7d"
# What Debian's packages ask before they start a service: we want the program, not a server of its own on port 9090.
POLICY = Path("/usr/sbin/policy-rc.d")


def fetch(say: Callable[[str], None]) -> None:
    """Install Prometheus and its promtool where they are missing, by apt and as root.

    Raises:
        StackError: they are missing, and cannot be installed so; says what to do.
    """
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise StackError(ADVICE)
    say("installing Prometheus by apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_service():
        subprocess.run(["apt-get", "update", "--quiet"], capture_output=True, stdin=subprocess.DEVNULL)
        done = subprocess.run(INSTALL, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
    if shutil.which("systemctl"):  # nor at the machine's next start
        subprocess.run(["systemctl", "disable", "prometheus.service"], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0 or not shutil.which("promtool"):
        raise StackError(f"{ADVICE}\n{(done.stdout + done.stderr)[-2000:]}")


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


def render(targets: Path) -> str:
    """The configuration, for pages of metrics that the file `targets` lists."""
    template = Template((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    return template.substitute(targets=targets, rules=FOLDER / "rules")


def part(settings: Settings, layout: Layout) -> Part:
    """The one server; what it has seen survives `down`."""
    port = settings.ports.of("prometheus")
    home = layout.data_dir / "prometheus-1"
    config = home / "prometheus.yml"

    def prepare() -> None:
        if shutil.which("prometheus") is None:
            raise StackError(ADVICE)
        home.mkdir(parents=True, exist_ok=True)
        config.write_text(render(layout.targets), encoding="utf-8")

    return Part(
        name="prometheus-1",
        kind="prometheus",
        command=[
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--storage.tsdb.retention.time={KEPT}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ],
        address=("127.0.0.1", port),
        prepare=prepare,
    )
