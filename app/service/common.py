"""What all Faust apps of this project have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.web.drivers.aiohttp import Web

from app.adapters.fatal import end_process
from app.settings import Settings
from app.web.server import ContractRunner

# Faust's consumer fetches nothing while the ledger waits for Cassandra, and no commands at all. That must not look like
# a dead consumer: the watchdog tells whether it is one.
MAX_POLL_SECONDS = 10 * 365 * 86_400.0


class BareWeb(Web):  # type: ignore[misc]
    """Faust's aiohttp server without its own pages: `/` always says OK there, ready or not.

    Can go when settings turn that page off and name the runner's class.
    """

    production_blueprints = ()
    optional_blueprints = ()

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._runner = ContractRunner(self.web_app, access_log=None)


class App(faust.App):  # type: ignore[misc]
    """A Faust app with a begin and an orderly end of our own.

    `before_start` is awaited before consumer and views start, `before_stop` while they still run, `after_stop` when
    they are gone; each callback bounds itself in time. Can go when Faust has such hooks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.before_start: list[Callable[[], Awaitable[None]]] = []
        self.before_stop: list[Callable[[], Awaitable[None]]] = []
        self.after_stop: list[Callable[[], Awaitable[None]]] = []
        super().__init__(*args, **kwargs)

    def _new_web(self) -> BareWeb:
        return BareWeb(self)

    def on_init_dependencies(self) -> Any:
        """The same but for Faust's own figures, of which each batch is a dozen: nobody reads them (app/metrics.py)."""
        services = super().on_init_dependencies()
        self.sensors.remove(self.monitor)
        return services

    async def on_start(self) -> None:
        """Start in order."""
        await super().on_start()
        for callback in self.before_start:
            await callback()

    async def stop(self) -> None:
        """Stop in order."""
        callbacks, self.before_stop = self.before_stop, []
        for callback in callbacks:
            await callback()
        await super().stop()
        callbacks, self.after_stop = self.after_stop, []
        for callback in callbacks:
            await callback()


def new_app(settings: Settings, service: str, index: int, *, port: int, **overrides: Any) -> App:
    """A Faust app as this project runs it; why each setting has its value is told in docs/faust.md."""
    kafka = settings.kafka
    datadir = settings.data_dir / "faust" / f"{service}-{index}"
    datadir.mkdir(parents=True, exist_ok=True)
    conf: dict[str, Any] = {
        "broker": [f"aiokafka://{address}" for address in settings.kafka_bootstrap.split(",")],
        "broker_client_id": f"{service}-{index}",
        "broker_session_timeout": kafka.session_timeout,
        "broker_heartbeat_interval": kafka.heartbeat_interval,
        "broker_rebalance_timeout": 20.0,
        "broker_request_timeout": 90.0,
        "broker_commit_interval": 0.5,
        "broker_max_poll_records": 500,
        # Bytes that one fetch brings of each partition. It is held for every one, the paused changelogs' too.
        "consumer_max_fetch_size": 256 * 1024,
        "consumer_auto_offset_reset": "earliest",
        "processing_guarantee": "at_least_once",
        "agent_supervisor": "mode.CrashingSupervisor",
        "store": "memory://",
        "table_standby_replicas": 0,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "topic_partitions": kafka.partitions,
        "producer_acks": -1,
        "producer_threaded": False,
        "stream_publish_on_commit": False,
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "web_bind": "0.0.0.0",  # noqa: S104 - pads are elsewhere
        "web_port": port,
        "canonical_url": f"http://{settings.host}:{port}",
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "datadir": datadir,
        "worker_redirect_stdouts": False,
        "loghandlers": [],
    }
    return App(service, **{**conf, **overrides})


def end_with(task: asyncio.Task[None]) -> None:
    """A task in the background that fails takes the worker with it: nobody would notice that it is missing."""
    if not task.cancelled() and task.exception() is not None:
        end_process(f"{task.get_coro()} failed: {task.exception()!r}")
