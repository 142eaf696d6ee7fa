"""The `monitor` service: looks at every process once a second, for Prometheus and for whoever opens `/status`."""

import os
import signal
import threading
import time

import structlog

from app.adapters.exposition import serve_health, serve_metrics
from app.metrics import Metrics
from app.monitor import site
from app.monitor.watch import Watch
from app.settings import Settings

log = structlog.get_logger(__name__)

NICE = 10  # orders go first
HANGS_AFTER = 60.0  # s without a look; whatever does not answer is given up after a second


def run(settings: Settings, index: int) -> int:
    """Watch until SIGTERM; the exit code."""
    os.nice(NICE)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    kept = Metrics()
    watch = Watch(settings, kept)
    serve_metrics(kept.registry, settings.ports.metrics_of("monitor", index))
    serve_health(
        lambda: None,
        lambda: None if time.monotonic() - watch.looked_at < HANGS_AFTER else "the monitor hangs",
        settings.ports.of("monitor", index),
        site.pages(watch.tell),
    )
    log.info("the status is shown", url=f"http://127.0.0.1:{settings.ports.of('monitor', index)}/status")
    while not stopping.is_set():
        begun = time.monotonic()
        try:
            watch.look()
        except Exception:  # one look that failed must not blind the operator: the next one comes in a second
            log.exception("a look failed")
        stopping.wait(max(0.0, begun + settings.monitor.every - time.monotonic()))
    watch.close()
    log.info("stopped", worker=f"monitor-{index}")
    return 0
