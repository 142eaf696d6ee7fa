"""What a worker shows of what it consumes: figures, and words for its health checks."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from app import metrics
from app.adapters.exposition import serve_metrics
from app.adapters.lags import Lags, Places
from app.adapters.watchdog import KafkaEnds
from app.metrics import Metrics
from app.settings import Settings

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1


class Streams:
    """One worker's; it serves all that `kept` holds, from its start to the end of the process."""

    def __init__(
        self,
        settings: Settings,
        kept: Metrics,
        port: int,
        *,
        topic: str,
        places: Places,
        is_ready: Callable[[], bool],
        changelogs: Sequence[str] = (),
        also: Mapping[str, Places] | None = None,
    ) -> None:
        """`places` and `is_ready` are called from any thread; `port` is where the figures are served.

        `also`: further topics that are read beside `topic`, of which the lag alone is told.
        """
        self._kept = kept
        self._port = port
        self._lags = Lags(topic, changelogs, places, KafkaEnds(settings, topic))
        beside = [Lags(name, (), where, KafkaEnds(settings, name)) for name, where in (also or {}).items()]
        self._all_lags = [self._lags, *beside]
        self._rebalances = kept.counter(metrics.REBALANCES)
        self._letters = kept.counter(metrics.DEAD_LETTERS)
        self._letters.labels(topic)
        self._delay = kept.histogram(metrics.LOOP_DELAY)
        kept.computed(metrics.OWNED, self._lags.owned)
        kept.computed(metrics.LAG, lambda: [value for lags in self._all_lags for value in lags.records()])
        kept.computed(metrics.LAG_AGE, lambda: [value for lags in self._all_lags for value in lags.ages()])
        kept.gauge(metrics.READY).set_function(is_ready)
        self._recovery = kept.histogram(metrics.RECOVERY) if changelogs else None
        if changelogs:
            kept.computed(metrics.CHANGELOG, self._lags.lengths)
        self._changed_at = time.monotonic()  # when partitions were last given or taken away
        self._is_assigned = False
        self._task: asyncio.Task[None] | None = None

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────

    def assigned(self) -> None:
        """The group gave partitions."""
        self._rebalances.inc()
        self._is_assigned, self._changed_at = True, time.monotonic()

    def revoked(self) -> None:
        """The group assigns anew."""
        self._is_assigned, self._changed_at = False, time.monotonic()

    def taken_over(self) -> None:
        """The tables of what was assigned have been taken over."""
        # Faust may tell of an assignment only after its recovery has begun; one that is through by then took no time.
        if self._recovery is not None:
            self._recovery.observe(time.monotonic() - self._changed_at if self._is_assigned else 0.0)

    def dead_letter(self, topic: str) -> None:
        """A record was set aside."""
        self._letters.labels(topic).inc()

    # ── in words ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def assignment(self) -> str:
        """`ok`, or for how long the group has given no partitions."""
        if self._is_assigned:
            return "ok"
        return f"the group has given no partitions for {time.monotonic() - self._changed_at:.0f} s"

    def lag(self) -> str:
        """`ok`, or what is behind, and by how much."""
        words = {lags.topic: lags.words() for lags in self._all_lags}
        if len(words) == 1:
            return self._lags.words()
        return "; ".join(f"{topic}: {said}" for topic, said in words.items() if said != "ok") or "ok"

    def oldest(self) -> float:
        """How many s the oldest record that is not done with has stood in the log; 0 without one."""
        return max(lags.oldest() for lags in self._all_lags)

    # ── begin and end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Serve and look, on the running loop; raises OSError where the port is taken."""
        serve_metrics(self._kept.registry, self._port)
        log.info("metrics are served", port=self._port)
        for lags in self._all_lags:
            lags.start()
        self._task = asyncio.get_running_loop().create_task(self._time_the_loop(), name="loop-delay")

    async def stop(self) -> None:
        """Look no more; what is known is served on."""
        for lags in self._all_lags:
            lags.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _time_the_loop(self) -> None:
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._delay.observe(max(0.0, time.monotonic() - due))
