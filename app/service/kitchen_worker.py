"""The `kitchen` service: tickets from orders, displays and pads that follow them, and what cooks do with them."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from faust.types import TP

from app import metrics
from app.adapters.dead_letters import KafkaDeadLetters
from app.adapters.edge import KafkaEdge
from app.adapters.fatal import end_process
from app.adapters.figures import KitchenFigures, ReadLimitFigures
from app.adapters.kitchen_log import KitchenLog
from app.adapters.limiter import LocalLimiter
from app.adapters.link import Link, link_key
from app.adapters.log_reader import KafkaLogReader
from app.adapters.log_writer import KafkaCommands, KafkaLogWriter
from app.adapters.owners import partition_of
from app.adapters.tokens import signed_tokens
from app.adapters.transport import GATHERED, PROMPT, following_transport
from app.adapters.watchdog import KafkaEnds, Watchdog, limits
from app.agents.kitchen import HOUR_MS, KitchenAgent, OrderCopier
from app.clock import wall_clock
from app.domain.liveness import Vitals
from app.domain.tickets import STATES
from app.metrics import Metrics
from app.ports import UNLIMITED, Limiter, UnavailableError
from app.service.common import MAX_POLL_SECONDS, App, end_with, new_app
from app.service.streams import Streams
from app.settings import Settings
from app.tables.kitchen import KitchenState
from app.tables.recovery import BatchRecovery
from app.topics import KITCHEN_APP, KITCHEN_CHANGELOG, KITCHEN_COMMANDS, KITCHEN_ORDERS, ORDER_EVENTS
from app.web.board import Board
from app.web.crowd import CROWD
from app.web.kitchen_routes import TICKET_STREAMS, add_kitchen_routes
from app.web.kitchen_services import KitchenServices

log = structlog.get_logger(__name__)

REPAIR_SECONDS = 3.0
SWEEP_SECONDS = 1.0
POLL_SECONDS = 0.02
BACKLOG = 1024  # connections that the kernel holds until they are accepted


class KitchenService:
    """One worker of the kitchen service."""

    def __init__(self, settings: Settings, index: int) -> None:
        self.settings = settings
        self.name = f"{KITCHEN_APP}-{index}"
        self._port = settings.ports.of("kitchen", index)
        self.app = new_app(settings, KITCHEN_APP, index, port=self._port, broker_max_poll_interval=MAX_POLL_SECONDS)
        topics = {ORDER_EVENTS: GATHERED, KITCHEN_COMMANDS: PROMPT}
        self.app.transport = following_transport(self.app, settings, topics, end_process)
        self._stopping = False
        self._taken_over = False
        self._is_settled = False  # not between two assignments, or before its records are read
        self._shared: web.TCPSite | None = None
        self._tasks: list[asyncio.Task[None]] = []
        partitions = settings.kafka.partitions
        self.kept = Metrics()
        # No cook's tap is limited. Who else asks without end must not take the displays' worker.
        local = LocalLimiter(settings, ReadLimitFigures(self.kept))
        self.limiter: Limiter = local if settings.limits.enabled else UNLIMITED
        self.streams = Streams(
            settings,
            self.kept,
            settings.ports.metrics_of("kitchen", index),
            topic=KITCHEN_COMMANDS,
            places=partial(self._places, KITCHEN_COMMANDS),
            is_ready=lambda: self.not_ready_because() is None,
            changelogs=(KITCHEN_CHANGELOG,),
            also={ORDER_EVENTS: partial(self._places, ORDER_EVENTS)},
        )
        self.state = KitchenState(self.app, name=KITCHEN_ORDERS, partitions=partitions, fatal=end_process)
        self.app.tables.add(self.state)
        self.writer = KafkaLogWriter(settings, end_process)
        self.reader = KafkaLogReader(settings)
        self.app.tables._recovery = BatchRecovery(self.app, self.reader, self._known)
        self.commands = KafkaCommands(settings, KITCHEN_COMMANDS, end_process)
        address = settings.link_address(self.name)
        self.edge = KafkaEdge(self.commands, address, settings.orders.view_deadline, settings.orders.max_waiting)
        self.link = Link(address, partial(link_key, settings.keys_dir), self.edge.resolve)
        self.dead_letters = KafkaDeadLetters(settings, self.streams.dead_letter)
        most = settings.kitchen.max_in_flight
        self.copier = OrderCopier(self.writer, self._copied, end_process, most)
        self.agent = KitchenAgent(
            self.state,
            self.writer,
            self.reader,
            self.link,
            self.dead_letters,
            end_process,
            self._done,
            most,
            partial(partition_of, partitions=partitions),
            KitchenFigures(self.kept),
        )
        self.state.recovered = self._take_over
        self.board = Board(partitions, settings.kitchen.kept_changes)
        self.reader_for_displays = KafkaLogReader(settings)  # however much they read, tickets are taken over at once
        self.log = KitchenLog(settings, self.reader_for_displays, self.board, end_process)
        self.watchdog = Watchdog(limits(settings), self._vitals, KafkaEnds(settings, KITCHEN_COMMANDS), end_process)
        self._wire()

    def _wire(self) -> None:
        app = self.app
        services = KitchenServices(
            settings=self.settings,
            board=self.board,
            edge=self.edge,
            tokens=signed_tokens(self.settings),
            ready=self.not_ready_because,
            checks=self.checks,
            behind=self.log.behind,
            limiter=self.limiter,
        )
        add_kitchen_routes(app.web.web_app, services)
        app.web.web_app[CROWD].reserved_port = self._port
        self._measure()
        for topic, name, run in (
            (ORDER_EVENTS, "copier", self.copier.run),
            (KITCHEN_COMMANDS, "kitchen", self.agent.run),
        ):
            app.agent(app.topic(topic, key_type=bytes, value_type=bytes), name=name, concurrency=1)(_running(run))
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.before_start.append(self._start)
        app.before_stop.append(self._drain)
        app.after_stop.append(self._stop)

    def _measure(self) -> None:
        kept, streams = self.kept, self.app.web.web_app[TICKET_STREAMS]
        kept.gauge(metrics.COMMANDS_IN_FLIGHT).set_function(lambda: self.agent.in_flight)
        kept.computed(
            metrics.KITCHEN_STREAMS, lambda: [((kind,), streams.connected(kind)) for kind in ("display", "pad")]
        )
        kept.computed(metrics.KITCHEN_TICKETS_BY_STATE, self._tickets_by_state)
        kept.gauge(metrics.KITCHEN_UNSEEN).set_function(lambda: self._unseen()[0])
        kept.gauge(metrics.KITCHEN_UNSEEN_AGE).set_function(lambda: self._unseen()[1])
        kept.gauge(metrics.KITCHEN_OPEN_AGE).set_function(self._oldest_open)
        kept.gauge(metrics.KITCHEN_BEHIND).set_function(self.log.behind)
        kept.computed(metrics.RECOVERED, lambda: [((), self.state.applied)])

    def _tickets_by_state(self) -> list[tuple[tuple[str, str], float]]:
        """From any thread."""
        found: dict[tuple[str, str], float] = {
            (station, state): 0.0 for station in self.settings.restaurant.stations for state in STATES
        }
        for partition in tuple(self.agent.partitions.values()):
            for key, count in tuple(partition.states.items()):
                found[key] = found.get(key, 0.0) + count
        return list(found.items())

    def _unseen(self) -> tuple[int, float]:
        """How many tickets no display has shown for too long, and the age of the oldest in s; from any thread."""
        now = wall_clock()
        since = now - int(1000 * self.settings.kitchen.unseen_after)
        ages = [
            placed
            for partition in tuple(self.agent.partitions.values())
            for placed in tuple(partition.unseen.values())
            if placed <= since
        ]
        return len(ages), (now - min(ages)) / 1000 if ages else 0.0

    def _oldest_open(self) -> float:
        """In s; from any thread."""
        placed = [next(iter(partition.open.values()), None) for partition in tuple(self.agent.partitions.values())]
        known = [at for at in placed if at is not None]
        return max(0.0, (wall_clock() - min(known)) / 1000) if known else 0.0

    def _known(self, topic: str, partition: int) -> int:
        return self.writer.lane(topic, partition).known

    def _done(self, partition: int, offset: int) -> None:
        self.app.consumer.done(TP(KITCHEN_COMMANDS, partition), offset)

    def _copied(self, message: Any) -> None:
        """All events of the partition up to this message stand in the kitchen's log."""
        app = self.app
        if not app.rebalancing and message.generation_id == app.consumer_generation_id:
            app.consumer.done(message.tp, message.offset + 1)

    async def _take_over(self, mine: set[int]) -> None:
        if self.app.consumer.is_revoked or not await self.agent.take_over(mine):
            return
        if not self._taken_over:
            log.info("tickets taken over", worker=self.name, partitions=sorted(mine))
        self._taken_over = self._is_settled = True
        self.streams.taken_over()

    # ── readiness ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def not_ready_because(self) -> str | None:
        """Why this worker serves no display; None when it does."""
        if self._stopping:
            return "the worker is stopping"
        if not self._taken_over:
            return "the tickets are being read from the log"
        if not self.log.is_read:
            return "what displays show is being read from the log"
        return None

    def checks(self) -> dict[str, str]:
        """How each condition is: `ok`, or in words what is not as it should be. Nothing is asked."""
        behind = self.log.behind()
        return {
            "assigned": self.streams.assignment(),
            "recovered": "ok" if self._is_settled else f"records are being read, {self.state.applied} so far",
            "displays": "ok" if not behind else f"the log has had more than was read for {behind:.0f} s",
            "lag": self.streams.lag(),
            "watchdog": self.watchdog.words(),
        }

    def _places(self, topic: str) -> dict[int, int]:
        """From any thread."""
        return {number: self.app.consumer.place(TP(topic, number)) for number in tuple(self.agent.partitions)}

    def _vitals(self) -> Vitals:
        return Vitals(time.monotonic(), self._is_settled, self.state.applied, self._places(KITCHEN_COMMANDS))

    # ── begin and end ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self.streams.start()
        self.watchdog.start()
        self.writer.start(loop)
        self.commands.start(loop)
        await self.link.start()
        self.log.start()
        self._tasks = [
            loop.create_task(task)
            for task in (
                self._open_shared_port(),
                self._every(REPAIR_SECONDS, self.agent.repair),
                self._every(SWEEP_SECONDS, self._sweep),
            )
        ]
        for task in self._tasks:
            task.add_done_callback(end_with)

    async def _on_assigned(self, app: App, assigned: set[Any], **_: Any) -> None:
        del app, assigned
        self.streams.assigned()

    async def _on_revoked(self, app: App, revoked: set[Any], **_: Any) -> None:
        del app, revoked
        self._is_settled = False
        self.agent.give_up()
        self.copier.give_up()
        self.streams.revoked()

    async def _open_shared_port(self) -> None:
        """Listen where all workers do, from the moment on when this one can answer."""
        while self.not_ready_because() is not None:  # noqa: ASYNC110 - several things make it ready
            await asyncio.sleep(POLL_SECONDS)
        port = self.settings.ports.of("kitchen_shared")
        self._shared = web.TCPSite(
            self.app.web._runner,
            "0.0.0.0",  # noqa: S104 - for the displays
            port,
            reuse_port=True,
            backlog=BACKLOG,
        )
        await self._shared.start()
        log.info("ready", worker=self.name, port=port)

    async def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except UnavailableError as error:
                log.warning("tried again later", work=work.__name__, reason=str(error))

    async def _sweep(self) -> None:
        self.agent.forget_finished()
        kitchen = self.settings.kitchen
        self.agent.sweep(kitchen.max_open, wall_clock() - int(kitchen.abandoned_hours * HOUR_MS))

    async def _drain(self) -> None:
        """End the streams: their displays go to another worker; then give the answers that are pending."""
        self._stopping = True
        await self.watchdog.stop()
        if self._shared is not None:
            await self._shared.stop()
        self.app.web.web_app[TICKET_STREAMS].stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.orders.stop_grace
        while (self.edge.waiting or self.agent.in_flight) and loop.time() < deadline:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(POLL_SECONDS)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.streams.stop()
        await self.link.stop()
        await self.log.stop()
        await self._stop_writers()

    async def _stop_writers(self) -> None:
        left = await self.commands.stop(1.0) + await self.writer.stop(self.settings.orders.stop_grace)
        left += await asyncio.to_thread(self._stop_clients)
        if left:
            log.warning("records were not delivered; the next owner reads their commands again", count=left)

    def _stop_clients(self) -> int:
        """Those that block; returns how many dead letters were not delivered."""
        self.reader.stop()
        self.reader_for_displays.stop()
        return self.dead_letters.stop(1.0)


def _running(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function, as Faust wants its agents to be."""

    async def agent(stream: Any) -> None:
        await run(stream)

    return agent


def build(settings: Settings, index: int) -> App:
    """The Faust app of the `index`-th kitchen worker."""
    return KitchenService(settings, index).app
