"""The `auditor` service: the audit as figures, for as long as it runs."""

import logging
import os
import signal
import threading
import time

import structlog

from app.adapters.exposition import serve_health, serve_metrics
from app.adapters.fatal import end_process
from app.audit.auditor import Auditor
from app.audit.figures import Figures
from app.audit.log import RemadeError
from app.metrics import Metrics
from app.settings import Settings

log = structlog.get_logger(__name__)

NICE = 10  # orders go first
HANGS_AFTER = 120.0  # s without a sign of life; a request that is not answered ends long before


def run(settings: Settings, index: int) -> int:
    """Audit until SIGTERM; the exit code."""
    os.nice(NICE)
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what the driver says, with tracebacks, we say once
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    kept = Metrics()
    auditor = Auditor(settings, Figures(kept), stopping.wait)
    serve_metrics(kept.registry, settings.ports.metrics_of("auditor", index))
    serve_health(
        lambda: None if auditor.has_begun else "kafka and cassandra have not answered yet",
        lambda: None if time.monotonic() - auditor.turned_at < HANGS_AFTER else "the audit hangs",
        settings.ports.of("auditor", index),
    )
    log.info("metrics are served", port=settings.ports.metrics_of("auditor", index))
    try:
        while not stopping.is_set():
            begun = time.monotonic()
            auditor.check()
            stopping.wait(max(0.0, begun + settings.audit.every - time.monotonic()))
    except RemadeError as error:
        end_process(f"{error}: the audit begins anew")
    auditor.close()
    log.info("stopped", worker=f"auditor-{index}")
    return 0
