"""Prometheus beside the local stack: scrapes every process, evaluates the rules of config/prometheus."""

import shutil
from collections.abc import Callable
from pathlib import Path
from string import Template

from app.settings import Settings
from app.stack import packages
from app.stack.layout import CONFIG, Layout, StackError
from app.stack.packages import Wanted
from app.stack.part import Part

FOLDER = CONFIG / "prometheus"
ADVICE = (
    "Prometheus is missing. Install it: apt-get install --no-install-recommends prometheus (Debian, Ubuntu), "
    "brew install prometheus (macOS); or start without OBSERVE"
)
WANTED = Wanted("Prometheus", ["prometheus", "promtool"], ["prometheus"], ADVICE, services=["prometheus.service"])
KEPT = "7d"


def fetch(say: Callable[[str], None]) -> None:
    """Install Prometheus and its promtool where they are missing.

    Raises:
        StackError: they are missing, and cannot be installed; says what to do.
    """
    packages.fetch(WANTED, say)


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
