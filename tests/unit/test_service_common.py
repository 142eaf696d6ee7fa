"""What our Faust app does otherwise than Faust's: begin and end, pages, waits."""

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiohttp import web
from faust.web.drivers.aiohttp import Web

from app.service.common import App, new_app
from app.settings import Settings
from app.web.server import ContractRunner


@pytest.fixture
async def app(tmp_path: Any) -> App:
    return new_app(Settings(data_dir=tmp_path), "orders", 1, port=6066)


async def test_faust_has_no_pages_of_its_own(app: App) -> None:
    theirs = [blueprint for _, blueprint in Web(app)._enabled_blueprints()]
    assert theirs == ["faust.web.apps.production_index:blueprint"]  # `/` says OK; without it, ours may go
    assert app.web._enabled_blueprints() == []


async def test_the_views_are_served_by_our_server(app: App) -> None:
    assert isinstance(app.web._runner, ContractRunner)
    assert isinstance(app.web.web_app, web.Application)


async def test_the_begin_and_the_end_come_in_their_order(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def note(what: str) -> Any:
        async def noted(*_: Any) -> None:
            done.append(what)

        return noted

    monkeypatch.setattr(faust.App, "on_start", note("faust starts"))
    monkeypatch.setattr(faust.App, "stop", note("faust stops"))
    app.before_start.append(note("ours before consumer and views"))
    app.before_stop.append(note("drained while they run"))
    app.after_stop.append(note("ours after them"))
    await app.on_start()
    await app.stop()
    await app.stop()  # a second signal
    assert done == [
        "faust starts",
        "ours before consumer and views",
        "drained while they run",
        "faust stops",
        "ours after them",
        "faust stops",
    ]


async def test_a_rebalance_does_not_wait_for_what_may_never_be_acknowledged(app: App) -> None:
    consumer: Any = SimpleNamespace(wait_empty=asyncio.Event().wait)
    async with asyncio.timeout(5):
        await app._consumer_wait_empty(consumer, app.log)  # type: ignore[no-untyped-call]


async def test_the_settings_that_keep_faust_from_losing_or_doubling_stand(app: App) -> None:
    conf = app.conf
    assert conf.agent_supervisor.__name__ == "CrashingSupervisor"  # one that starts again skips what failed
    assert conf.table_standby_replicas == 0  # two workers would hold a row, and one of them tell an old one
    assert conf.producer_threaded is False  # its futures never resolve
    assert conf.stream_publish_on_commit is False
    assert conf.topic_allow_declare is False  # Faust's topics have neither our compaction nor our time
    assert conf.topic_disable_leader is True  # its leader topic would be one more assignment
    assert conf.consumer_auto_offset_reset == "earliest"  # a group without a commit reads all, not what comes next
