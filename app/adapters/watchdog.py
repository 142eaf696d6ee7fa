"""Ends a process that hangs, from a thread beside its event loop.

    loop ── every 0.25 s: Vitals ──> thread ── every second: Liveness ──> end_process

A process that was stopped as a whole stops its watchdog, too; whichever of the two wakes first sees the gap. What
holds Python's lock for ever is beyond both: the supervisor, or a liveness probe, ends that.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import Consumer, KafkaException

from app.adapters.ends import ends_of
from app.adapters.librdkafka import link_config
from app.domain.liveness import Limits, Liveness, Vitals
from app.ports import Fatal
from app.settings import Settings

BEAT_SECONDS = 0.25
CHECK_SECONDS = 1.0
ASK_SECONDS = 2.0  # for an answer of Kafka


def limits(settings: Settings) -> Limits:
    """The limits of a worker."""
    return Limits(settings.kafka.session_timeout, settings.liveness.unready, settings.liveness.stuck)


class KafkaEnds:
    """The first and last offsets of a topic's partitions; None while Kafka does not answer. Bounded in time."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._config = link_config(settings, "bistro92-watchdog")
        self._topic = topic
        self._consumer: Consumer | None = None

    def __call__(self, partitions: Collection[int]) -> Mapping[int, tuple[int, int]] | None:
        """Ask Kafka; of no partition, whether it answers at all."""
        return self.of(self._topic, partitions)

    def of(self, topic: str, partitions: Collection[int]) -> Mapping[int, tuple[int, int]] | None:
        """The same of another topic."""
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **self._config,
                    "group.id": "bistro92-watchdog",  # asked for by the library; nothing is joined or committed
                    "enable.auto.commit": False,
                }
            )
        try:
            if not partitions:
                self._consumer.list_topics(topic, timeout=ASK_SECONDS)
            return ends_of(self._consumer, topic, partitions, ASK_SECONDS)
        except KafkaException:
            return None

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close()


class Watchdog:
    """Watches the process in which it was started. `look` is called on the loop; Vitals' `at` by time.monotonic."""

    def __init__(self, limits: Limits, look: Callable[[], Vitals], ends: KafkaEnds, fatal: Fatal) -> None:
        self._liveness = Liveness(limits)
        self._look = look
        self._ends = ends
        self._fatal = fatal
        self._over = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def words(self) -> str:
        """`ok`, or what will end the process if it goes on."""
        return self._liveness.concern(time.monotonic()) or "ok"

    def start(self) -> None:
        """Begin, on the event loop."""
        self._vitals = self._look()
        self._task = asyncio.get_running_loop().create_task(self._beat(), name="watchdog")
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    async def stop(self) -> None:
        """End; a process that is asked to stop has its own bounds."""
        self._over.set()  # the thread ends by itself: it may be asking Kafka, and nobody need wait for that
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            # Here, too: after a stop of the whole process the loop may turn before the thread looks.
            if reason := self._liveness.stalled(time.monotonic(), self._vitals.at):
                self._fatal(reason)
            self._vitals = self._look()

    def _watch(self) -> None:
        while not self._over.wait(CHECK_SECONDS):
            if reason := self._liveness.check(time.monotonic(), self._vitals, self._ends):
                self._fatal(reason)
        self._ends.close()
