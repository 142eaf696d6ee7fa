"""The `ledger` service: what happened, from the log into Cassandra."""

import asyncio
import time
from typing import Any

import structlog
from aiohttp import web

from app import metrics
from app.adapters.cassandra import CassandraSession
from app.adapters.dead_letters import KafkaDeadLetters
from app.adapters.fatal import end_process
from app.adapters.figures import LedgerFigures, StoreFigures
from app.adapters.journal import journal_of
from app.adapters.order_writer import CassandraOrderWriter
from app.adapters.transport import PATIENT, following_transport
from app.adapters.watchdog import KafkaEnds, Watchdog, limits
from app.agents.ledger import LedgerAgent
from app.domain.liveness import Vitals
from app.metrics import Metrics
from app.service.common import MAX_POLL_SECONDS, App, new_app
from app.service.streams import Streams
from app.settings import Settings
from app.topics import LEDGER_APP, ORDER_EVENTS
from app.web.answers import answer_json
from app.web.headers import add_headers
from app.web.health import readiness
from app.web.middleware import contract

log = structlog.get_logger(__name__)

STOP_SECONDS = 2.0  # and the time in which a write settles


class LedgerService:
    """One worker of the ledger service."""

    def __init__(self, settings: Settings, index: int) -> None:
        self.name = f"{LEDGER_APP}-{index}"
        self.app = new_app(
            settings,
            LEDGER_APP,
            index,
            port=settings.ports.of("ledger", index),
            broker_max_poll_interval=MAX_POLL_SECONDS,
        )
        self.app.transport = following_transport(self.app, settings, {ORDER_EVENTS: PATIENT}, end_process)
        kept = Metrics()
        self.streams = Streams(
            settings,
            kept,
            settings.ports.metrics_of("ledger", index),
            topic=ORDER_EVENTS,
            places=self._places,
            is_ready=lambda: self.not_ready_because() is None,
        )
        self.cassandra = CassandraSession(settings, StoreFigures(kept).cassandra)
        self.dead_letters = KafkaDeadLetters(settings, self.streams.dead_letter)
        self.journal = journal_of(settings)
        self.agent = LedgerAgent(
            CassandraOrderWriter(self.cassandra, settings),
            self.dead_letters,
            end_process,
            self._acknowledge,
            settings.cassandra.settle,
            LedgerFigures(kept),
            self.journal,
        )
        kept.gauge(metrics.LEDGER_HELD).set_function(lambda: self.agent.held)
        self.watchdog = Watchdog(limits(settings), self._vitals, KafkaEnds(settings, ORDER_EVENTS), end_process)
        self._stop_seconds = settings.cassandra.settle + STOP_SECONDS
        self._assigned = False
        self._partitions: set[Any] | None = None  # None between two assignments
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._wire(settings)

    def _wire(self, settings: Settings) -> None:
        app = self.app
        app.agent(app.topic(ORDER_EVENTS, key_type=bytes, value_type=bytes), name="ledger", concurrency=1)(self._run)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.before_start.append(self._start)
        app.before_stop.append(self._drain)
        app.after_stop.append(self._stop)
        add_headers(app.web.web_app, settings.web)
        app.web.web_app.middlewares.append(contract)
        app.web.web_app.router.add_get("/health/ready", self._ready)
        app.web.web_app.router.add_get("/health/live", self._live)

    async def _run(self, stream: Any) -> None:
        await self.agent.take(stream)

    def _acknowledge(self, message: Any) -> bool:
        """All of the partition up to this message stands in Cassandra; False where others have it meanwhile."""
        app = self.app
        if not app.rebalancing and message.generation_id == app.consumer_generation_id:
            app.consumer.done(message.tp, message.offset + 1)
            return True
        return False

    async def _on_assigned(self, app: App, assigned: set[Any], **_: Any) -> None:
        self._partitions = app.consumer.assignment()
        if not self._assigned:
            log.info("ready to write", worker=self.name, partitions=sorted(tp.partition for tp in assigned))
        self._assigned = True
        self.streams.assigned()

    async def _on_revoked(self, app: App, revoked: set[Any], **_: Any) -> None:
        del app, revoked
        self._partitions = None
        self.agent.forget()
        self.streams.revoked()

    # ── readiness ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def not_ready_because(self) -> str | None:
        """Why this worker writes nothing; None when it does. A Cassandra that is away later is no such reason."""
        if self._stopping:
            return "the worker is stopping"
        if not self._assigned:
            return "the worker has not joined its group"
        if not self.cassandra.connected:
            return "cassandra has not answered yet"
        return None

    def checks(self) -> dict[str, str]:
        """How each condition is: `ok`, or in words what is not as it should be. Nothing is asked."""
        return {
            "assigned": self.streams.assignment(),
            "cassandra": "ok" if self.cassandra.connected else "it has not answered yet",
            "lag": self.streams.lag(),
            "watchdog": self.watchdog.words(),
        }

    def _places(self) -> dict[int, int]:
        """From any thread."""
        return {tp.partition: self.app.consumer.place(tp) for tp in self._partitions or ()}

    def _vitals(self) -> Vitals:
        # What it holds waits for Cassandra: no fault of the process, however long that is away.
        places = {} if self.agent.held else self._places()
        return Vitals(time.monotonic(), self._partitions is not None, places=places)

    async def _ready(self, request: web.Request) -> web.Response:
        del request
        return readiness(self.not_ready_because(), self.checks())

    async def _live(self, request: web.Request) -> web.Response:
        del request
        return answer_json({"status": "alive"})

    # ── begin and end ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        self.streams.start()
        self.watchdog.start()
        self.cassandra.start()
        self._task = asyncio.get_running_loop().create_task(self.agent.run(), name="ledger")

    async def _drain(self) -> None:
        """Let what is being written come to its end, for a while; the rest is read again."""
        self._stopping = True
        await self.watchdog.stop()
        await self.agent.close(self._stop_seconds)

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.streams.stop()
        await self.cassandra.stop()
        await asyncio.to_thread(self.dead_letters.stop, 1.0)
        self.journal.flush()
        log.info("stopped", worker=self.name, acked=self.agent.acked)


def build(settings: Settings, index: int) -> App:
    """The Faust app of the `index`-th ledger worker."""
    return LedgerService(settings, index).app
