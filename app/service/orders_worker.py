"""The `orders` service: views, the agent that owns the tables, and what they need."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from faust.types import TP

from app import metrics
from app.adapters import admission, breaker, cassandra, menu_copies
from app.adapters.admission import LOOK_SECONDS, OrderAdmission
from app.adapters.breaker import BatchBreaker, Breaker
from app.adapters.cassandra import CassandraSession
from app.adapters.dead_letters import KafkaDeadLetters
from app.adapters.edge import KafkaEdge
from app.adapters.fatal import end_process
from app.adapters.figures import (
    LimitFigures,
    MenuFigures,
    OrderFigures,
    RedisFigures,
    StoreFigures,
    keep_breakers,
)
from app.adapters.heartbeat import Heartbeat
from app.adapters.journal import journal_of
from app.adapters.limiter import SharedLimiter
from app.adapters.link import Link, link_key
from app.adapters.log_reader import KafkaLogReader
from app.adapters.log_writer import KafkaCommands, KafkaLogWriter
from app.adapters.menu import WorkerMenu
from app.adapters.menu_changes import MenuAnnouncer, MenuChanges
from app.adapters.menu_copies import MenuCopies
from app.adapters.menu_editor import StoredMenuEditor
from app.adapters.menu_store import MenuStore
from app.adapters.order_store import CassandraOrderStore
from app.adapters.owners import FaustOwners, OwnRows, partition_of
from app.adapters.tokens import signed_tokens
from app.adapters.transport import PROMPT, following_transport
from app.adapters.watchdog import KafkaEnds, Watchdog, limits
from app.agents.orders import OrdersAgent
from app.domain.house_clock import HouseClock
from app.domain.liveness import Vitals
from app.metrics import Metrics
from app.ports import OPEN_DOOR, UNLIMITED, UnavailableError
from app.service.common import MAX_POLL_SECONDS, App, end_with, new_app
from app.service.streams import Streams
from app.settings import Settings
from app.tables.recovery import BatchRecovery
from app.tables.rows import ChunkTable, RowTable
from app.topics import (
    KITCHEN_COMMANDS,
    ORDER_COMMANDS,
    ORDER_IDS,
    ORDER_IDS_CHANGELOG,
    ORDERS_APP,
    TABLES,
    TABLES_CHANGELOG,
)
from app.web.crowd import CROWD
from app.web.internal import add_internal_routes
from app.web.routes import MENU_STREAM, READING, TABLE_STREAM, add_routes
from app.web.services import Services

log = structlog.get_logger(__name__)

REPAIR_SECONDS = 3.0
FORGET_SECONDS = 600.0
POLL_SECONDS = 0.02
BACKLOG = 1024  # connections that the kernel holds until they are accepted; past it pads wait a second to try again


class OrdersService:
    """One worker of the orders service."""

    def __init__(self, settings: Settings, index: int) -> None:
        self.settings = settings
        self.name = f"{ORDERS_APP}-{index}"
        self._port = settings.ports.of("orders", index)
        self.app = new_app(
            settings,
            ORDERS_APP,
            index,
            port=self._port,
            broker_max_poll_interval=MAX_POLL_SECONDS,
        )
        self.app.transport = following_transport(self.app, settings, {ORDER_COMMANDS: PROMPT}, end_process)
        self._stopping = False
        self._taken_over = False
        self._is_settled = False  # not between two assignments, or before its tables are read
        self._shared: web.TCPSite | None = None
        self._tasks: list[asyncio.Task[None]] = []
        partitions = settings.kafka.partitions
        kept = self.kept = Metrics()
        self.watch = OrderFigures(kept)
        self.streams = Streams(
            settings,
            kept,
            settings.ports.metrics_of("orders", index),
            topic=ORDER_COMMANDS,
            places=self._places,
            is_ready=lambda: self.not_ready_because() is None,
            changelogs=(TABLES_CHANGELOG, ORDER_IDS_CHANGELOG),
        )
        self.rows = RowTable(self.app, name=TABLES, partitions=partitions, fatal=end_process)
        self.chunks = ChunkTable(self.app, name=ORDER_IDS, partitions=partitions, fatal=end_process)
        self.app.tables.add(self.rows)
        self.app.tables.add(self.chunks)
        self.writer = KafkaLogWriter(settings, end_process)
        self.commands = KafkaCommands(settings, ORDER_COMMANDS, end_process)
        self.reader = KafkaLogReader(settings)
        self.reader_for_guests = KafkaLogReader(settings)  # however much they read, tables are taken over at once
        self.app.tables._recovery = BatchRecovery(self.app, self.reader, self._known)
        self.tokens = signed_tokens(settings)
        address = settings.link_address(self.name)
        orders = settings.orders
        self.admission = OrderAdmission(admission.rules_of(settings.admission), self.streams.oldest)
        self.kitchen_commands = KafkaCommands(settings, KITCHEN_COMMANDS, end_process)
        self.kitchen = KafkaEdge(self.kitchen_commands, address, orders.view_deadline, orders.max_waiting)
        self.edge = KafkaEdge(
            self.commands,
            address,
            orders.view_deadline,
            orders.max_waiting,
            self.watch,
            self.admission.answered,
            self.kitchen.resolve,
        )
        self.link = Link(address, partial(link_key, settings.keys_dir), self.edge.resolve)
        self.heartbeat = Heartbeat(settings)
        self.dead_letters = KafkaDeadLetters(settings, self.streams.dead_letter)
        self.journal = journal_of(settings)
        self.agent = OrdersAgent(
            self.rows,
            self.chunks,
            self.writer,
            self.reader,
            self.link,
            self.dead_letters,
            end_process,
            self._done,
            orders.max_in_flight,
            partial(partition_of, partitions=partitions),
            self.watch,
            self.journal,
        )
        self.rows.recovered = self._take_over
        self.own = OwnRows(self.rows, self.chunks, self.reader_for_guests, partitions, self._owned)
        self.owners = FaustOwners(self.app, self.own, lambda: self.tokens.sign("worker"))
        self.cassandra = CassandraSession(settings, StoreFigures(kept).cassandra)
        self.menu_watch = MenuFigures(kept)
        redis_called = RedisFigures(kept).called
        rules = breaker.rules_of(settings.breakers)
        self.redis_breaker = Breaker("redis", rules, menu_copies.is_away)
        self.cassandra_breaker = Breaker("cassandra", rules, cassandra.is_away)
        store = MenuStore(self.cassandra, settings.menu.revisions, self.cassandra_breaker)
        copies = MenuCopies(settings, redis_called, self.redis_breaker)
        self.limiter = SharedLimiter(settings, BatchBreaker(self.redis_breaker), LimitFigures(kept), redis_called)
        self.menu = WorkerMenu(settings, store, copies, self.menu_watch)
        self.announcer = MenuAnnouncer(settings)
        self.editor = StoredMenuEditor(store, copies, self.announcer, self.menu.made)
        self.menu_changes = MenuChanges(settings, self.reader, self.menu.heard, end_process)
        self.watchdog = Watchdog(limits(settings), self._vitals, KafkaEnds(settings, ORDER_COMMANDS), end_process)
        kept.gauge(metrics.ORDERS_WAITING).set_function(lambda: self.edge.waiting)
        kept.gauge(metrics.COMMANDS_IN_FLIGHT).set_function(lambda: self.agent.in_flight)
        kept.gauge(metrics.ADMISSION_SHARE).set_function(lambda: self.admission.share)
        kept.computed(metrics.ADMISSION_REFUSED, lambda: [((), self.admission.refused)])
        keep_breakers(kept, (self.redis_breaker, self.cassandra_breaker))
        kept.gauge(metrics.MENU_DOUBT).set_function(self._menu_doubt)
        kept.computed(metrics.RECOVERED, lambda: [((), self._records_read)])
        self._wire()

    def _wire(self) -> None:
        app = self.app
        services = Services(
            settings=self.settings,
            edge=self.edge,
            kitchen=self.kitchen,
            owners=self.owners,
            store=CassandraOrderStore(self.cassandra, self.cassandra_breaker),
            menu=self.menu,
            editor=self.editor,
            clock=HouseClock(self.settings.restaurant.time_zone),
            tokens=self.tokens,
            ready=self.not_ready_because,
            checks=self.checks,
            watch=self.watch,
            journal=self.journal,
            menu_answered=self.menu_watch.answered,
            limiter=self.limiter if self.settings.limits.enabled else UNLIMITED,
            admission=self.admission if admission.is_enabled(self.settings) else OPEN_DOOR,
        )
        add_routes(app.web.web_app, services)
        stream = app.web.web_app[MENU_STREAM]
        self.kept.gauge(metrics.MENU_STREAMS).set_function(lambda: stream.connected)
        relay = app.web.web_app[TABLE_STREAM]
        self.kept.gauge(metrics.TABLE_STREAMS).set_function(lambda: relay.connected)
        self._bound_connections()
        add_internal_routes(app.web.web_app, self.own, self.tokens)
        app.agent(app.topic(ORDER_COMMANDS, key_type=bytes, value_type=bytes), name="orders", concurrency=1)(
            self._run_agent
        )
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.before_start.append(self._start)
        app.before_stop.append(self._drain)
        app.after_stop.append(self._stop)

    def _bound_connections(self) -> None:
        crowd, reading, kept = self.app.web.web_app[CROWD], self.app.web.web_app[READING], self.kept
        crowd.reserved_port = self._port
        kept.gauge(metrics.CONNECTIONS).set_function(lambda: len(crowd))
        kept.computed(metrics.TURNED_AWAY, lambda: [(("silent",), crowd.hung_up), (("full",), crowd.sent_away)])
        kept.computed(metrics.BUSY, lambda: [(("orders",), self.edge.refused), (("reads",), reading.refused)])

    def _known(self, topic: str, partition: int) -> int:
        return self.writer.lane(topic, partition).known

    def _done(self, partition: int, offset: int) -> None:
        self.app.consumer.done(TP(ORDER_COMMANDS, partition), offset)

    async def _run_agent(self, stream: Any) -> None:
        await self.agent.run(stream)

    async def _take_over(self, mine: set[int]) -> None:
        # Faust completes a recovery also when its partitions were revoked meanwhile; that of the next ones follows.
        if self.app.consumer.is_revoked or not await self.agent.take_over(mine):
            return
        if not self._taken_over:
            log.info("tables taken over", worker=self.name, partitions=sorted(mine))
        self._taken_over = self._is_settled = True
        self.streams.taken_over()

    # ── readiness ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def not_ready_because(self) -> str | None:
        """Why this worker takes no orders; None when it does.

        A rebalance does not make it unready: an order that comes in meanwhile waits the short time in the log.
        """
        if self._stopping:
            return "the worker is stopping"
        if not self._taken_over:
            return "the tables are being read from the log"
        return self._no_menu_because()

    def checks(self) -> dict[str, str]:
        """How each condition is: `ok`, or in words what is not as it should be. Nothing is asked."""
        reading = f"the tables are being read, {self._records_read} records so far"
        return {
            "assigned": self.streams.assignment(),
            "recovered": "ok" if self._is_settled else reading,
            "menu": self._no_menu_because() or "ok",
            "lag": self.streams.lag(),
            "watchdog": self.watchdog.words(),
            "redis": self.redis_breaker.words(),
            "cassandra": self.cassandra_breaker.words(),
        }

    def _no_menu_because(self) -> str | None:
        try:
            self.menu.current()
        except UnavailableError as error:
            return str(error)
        return None

    def _menu_doubt(self) -> float:
        since = self.menu.stale_since
        return 0.0 if since is None else max(0.0, time.time() - since)

    @property
    def _records_read(self) -> int:
        return self.rows.applied + self.chunks.applied

    def _places(self) -> dict[int, int]:
        """From any thread."""
        mine = tuple(self.agent.partitions)
        return {number: self.app.consumer.place(TP(ORDER_COMMANDS, number)) for number in mine}

    def _vitals(self) -> Vitals:
        return Vitals(time.monotonic(), self._is_settled, self._records_read, self._places())

    def _owned(self) -> set[int]:
        if not self.heartbeat.is_fresh:
            return set()
        return {number for number, partition in self.agent.partitions.items() if not partition.revoked}

    # ── begin and end ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self.streams.start()
        self.watchdog.start()
        self.writer.start(loop)
        self.commands.start(loop)
        self.kitchen_commands.start(loop)
        await self.link.start()
        self.cassandra.start()
        self.menu.start()
        self.menu_changes.start()
        self._tasks = [
            loop.create_task(task)
            for task in (
                self._open_shared_port(),
                self._every(REPAIR_SECONDS, self.agent.repair),
                self._every(FORGET_SECONDS, self._forget_old_chunks),
                self._every(LOOK_SECONDS, self.admission.look),
            )
        ]

        for task in self._tasks:
            task.add_done_callback(end_with)

    async def _on_assigned(self, app: App, assigned: set[Any], **_: Any) -> None:
        del assigned
        self.heartbeat.watch(app)
        self.heartbeat.joined()
        self.streams.assigned()

    async def _on_revoked(self, app: App, revoked: set[Any], **_: Any) -> None:
        del app, revoked
        self._is_settled = False
        self.agent.give_up()
        self.streams.revoked()

    async def _open_shared_port(self) -> None:
        """Listen where all workers do, from the moment on when this one can answer."""
        while self.not_ready_because() is not None:  # noqa: ASYNC110 - several things make it ready
            await asyncio.sleep(POLL_SECONDS)
        port = self.settings.ports.of("orders_shared")
        self._shared = web.TCPSite(
            self.app.web._runner,
            "0.0.0.0",  # noqa: S104 - for the pads
            port,
            reuse_port=True,
            backlog=BACKLOG,
        )
        await self._shared.start()
        log.info("ready", worker=self.name, port=port)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except UnavailableError as error:
                log.warning("tried again later", work=work.__name__, reason=str(error))

    async def _forget_old_chunks(self) -> None:
        self.agent.forget_old_chunks()

    async def _drain(self) -> None:
        """Refuse new orders, then give the answers that are pending: to the views here, and of the tables here."""
        self._stopping = True
        await self.watchdog.stop()
        if self._shared is not None:
            await self._shared.stop()
        self.app.web.web_app[MENU_STREAM].stop()
        self.app.web.web_app[TABLE_STREAM].stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.orders.stop_grace
        while (self.edge.waiting or self.kitchen.waiting or self.agent.in_flight) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        log.info("drained", worker=self.name, unanswered=self.edge.waiting, undecided=self.agent.in_flight)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.streams.stop()
        await self.owners.stop()
        await self.link.stop()
        await self.menu_changes.stop()
        await self.menu.stop()
        await self.limiter.stop()
        await self.cassandra.stop()
        await self._stop_writers()
        self.journal.flush()

    async def _stop_writers(self) -> None:
        await self.kitchen_commands.stop(1.0)
        left = await self.commands.stop(1.0) + await self.writer.stop(self.settings.orders.stop_grace)
        left += await asyncio.to_thread(self._stop_clients)
        if left:
            log.warning("records were not delivered; the next owner reads their commands again", count=left)

    def _stop_clients(self) -> int:
        """Those that block; returns how many dead letters were not delivered."""
        self.announcer.stop()
        self.reader.stop()
        self.reader_for_guests.stop()
        return self.dead_letters.stop(1.0)


def build(settings: Settings, index: int) -> App:
    """The Faust app of the `index`-th orders worker."""
    return OrdersService(settings, index).app
