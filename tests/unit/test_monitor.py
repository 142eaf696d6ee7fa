"""What the monitor makes of what it sees: figures, faults, problems, and the page that shows them."""

import contextlib
import dataclasses
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import generate_latest

from app import metrics
from app.adapters.exposition import serve_health, serve_metrics
from app.metrics import Metrics
from app.monitor import machines, page, site
from app.monitor.faults import Faults, Seen
from app.monitor.machines import Machines
from app.monitor.totals import Totals, quantile
from app.monitor.watch import Kitchen, Point, Process, Watch, problems
from app.settings import Settings
from app.stack import process
from app.stack.client import Status
from app.topics import KITCHEN_COMMANDS, ORDER_EVENTS

STATIC = Path(site.__file__).parent / "static"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ── pages of metrics ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_a_page_what_is_shown_is_taken_and_the_rest_left() -> None:
    kept = Metrics()
    answered, took = kept.counter(metrics.ORDER_ANSWERED), kept.histogram(metrics.ORDER_ANSWER)
    answered.labels("accepted").inc(3)
    took.observe(0.02)
    owned, lag, age = kept.gauge(metrics.OWNED), kept.gauge(metrics.LAG), kept.gauge(metrics.LAG_AGE)
    for partition, records in ((2, 5), (0, 7)):
        owned.labels(str(partition)).set(1)
        lag.labels("order-commands", str(partition)).set(records)
        age.labels("order-commands", str(partition)).set(records / 10)
    owned.labels("1").set(0)
    kept.gauge(metrics.LEDGER_HELD).set(9)
    seen = page.read(generate_latest(kept.registry).decode())
    assert seen.counters["accepted"] == 3
    assert (seen.counters[0.01], seen.counters[0.025], seen.counters[float("inf")]) == (0, 1, 1)
    assert seen.owned == [0, 2]
    assert (seen.lag, seen.lag_age) == ({"order-commands": 12}, {"order-commands": 0.7})
    assert seen.value(metrics.READY) is None
    assert metrics.LEDGER_HELD.full_name not in seen.plain


def test_a_page_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        page.read("bistro92_ready_state yes\n")


# ── counters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_counters_go_on_where_a_process_begins_anew() -> None:
    totals = Totals(10)
    assert not totals.take("orders-1", {"accepted": 100.0})  # of long ago
    totals.mark(0)
    assert not totals.take("orders-1", {"accepted": 110.0})
    totals.mark(1)
    assert totals.take("orders-1", {"accepted": 4.0})  # killed, and 4 since its start
    totals.take("orders-2", {"accepted": 50.0})
    totals.mark(2)
    assert totals.recent() == (2, {"accepted": 14})
    assert not totals.take("orders-1", {"accepted": 5.0})
    totals.mark(12)
    assert totals.recent() == (10, {"accepted": 1})
    totals.mark(30)
    assert totals.recent() == (18, {"accepted": 0})  # nobody looked meanwhile: as far back as there is


def test_a_quantile_is_reckoned_as_prometheus_does() -> None:
    infinite = float("inf")
    assert quantile(0.5, []) is None
    assert quantile(0.5, [(0.1, 0), (infinite, 0)]) is None
    assert quantile(0.5, [(0.1, 100), (0.2, 100), (infinite, 100)]) == pytest.approx(0.05)
    assert quantile(0.99, [(infinite, 100), (0.1, 98), (0.2, 100)]) == pytest.approx(0.15)
    assert quantile(0.99, [(0.1, 50), (infinite, 100)]) == 0.1


# ── faults and problems ───────────────────────────────────────────────────────────────────────────────────────────────


def told(faults: Faults) -> list[tuple[float, str, bool]]:
    return [(fault["at"], fault["what"], fault["over"]) for fault in reversed(faults.tell())]


def test_an_end_and_a_return_are_faults_and_a_start_is_none() -> None:
    faults = Faults()
    looks = [
        (1, Seen("orders-1", 10, False)),
        (2, Seen("orders-1", 10, True)),
        (3, Seen("orders-1", None, False)),
        (4, Seen("orders-1", 11, False, 1, "signal SIGKILL")),
        (7, Seen("orders-1", 11, True, 1, "signal SIGKILL")),
        (8, Seen("orders-1", 11, False, 1, "signal SIGKILL")),
        (9, Seen("orders-1", 11, True, 1, "signal SIGKILL")),
        (10, Seen("orders-1", 12, True, 2, "exit code 1")),  # between two looks
    ]
    for at, seen in looks:
        faults.look(at, [seen])
    assert told(faults) == [
        (3, "does not run or does not answer", False),
        (4, "ended (signal SIGKILL) and was started again", False),
        (7, "is ready again after 4 s", True),
        (8, "is not ready", False),
        (9, "is ready again after 1 s", True),
        (10, "ended (exit code 1) and was started again", False),
        (10, "is ready again after 0 s", True),
    ]


def test_a_process_that_was_scaled_away_is_forgotten() -> None:
    faults = Faults()
    faults.look(1, [Seen("orders-3", 10, True)])
    faults.look(2, [])
    faults.look(3, [Seen("orders-3", 11, True)])
    assert told(faults) == []


def test_lost_orders_are_told_when_there_are_more_and_when_there_are_none() -> None:
    faults = Faults()
    for at, value in enumerate([0, 0, 2, 2, 1, 0, 0]):
        faults.figure(at, "auditor", "orders lost", value)
    assert told(faults) == [(2, "orders lost: 2", False), (5, "orders lost: none any more", True)]


def one(name: str, *, pid: int | None = 1, ready: bool = True, partitions: list[int] | None = None) -> Process:
    return Process(name, pid, ready, 1.0, 0, "", 1.0, 0.0, partitions or [], 0.0)


def test_what_is_wrong_is_said_in_words() -> None:
    well = [one("orders-1", partitions=[0, 1]), one("orders-2", partitions=[2, 3])]
    none_amiss: dict[str, float | None] = {"lost": 0.0, "duplicated": 0.0, "differing": None}
    assert problems(well, none_amiss, 4, Point(0), True) == []
    assert problems(well, none_amiss, None, Point(0), True) == []
    bad = [one("orders-1", ready=False, partitions=[0]), one("ledger-1", pid=None, ready=False, partitions=[0, 1])]
    point = Point(0, refused_per_minute=12.4, lag_age=8)
    assert problems(bad, {"lost": 1.0}, 4, point, False) == [
        "orders lost: 1",
        "orders are refused (503 or 500)",
        "orders wait in the log for more than 5 s",
        "3 of 4 partitions have no owner: their tables cannot order",
        "orders-1 is not ready",
        "ledger-1 does not run or does not answer",
        "no supervisor runs: what ends is not started again",
    ]


def test_what_is_wrong_in_the_kitchen_is_said_in_words() -> None:
    well = Kitchen(owned=4, orders_lag_age=0.0, lag_age=1.0, open=3.0, unseen=0.0, unseen_age=0.0, displays=1.0)

    def said(**changes: float) -> list[str]:
        kitchen = dataclasses.replace(well, **changes)  # type: ignore[arg-type]
        return problems([one("orders-1", partitions=[0, 1, 2, 3])], {}, 4, Point(0), True, kitchen)

    assert said() == []
    assert said(open=0.0, displays=0.0) == []
    assert problems([one("orders-1")], {}, None, Point(0), True, Kitchen()) == []
    assert said(owned=3) == ["1 of 4 partitions have no owner in the kitchen: cooks miss orders"]
    assert said(orders_lag_age=6.0) == said(lag_age=6.0) == ["orders wait for the kitchen for more than 5 s"]
    assert said(unseen=1.0, unseen_age=41.2, displays=0.0) == ["1 ticket is on no display, the oldest for 41 s"]
    assert said(unseen=2.0, unseen_age=41.2, displays=0.0) == ["2 tickets are on no display, the oldest for 41 s"]
    assert said(displays=0.0) == ["no display is connected, and tickets are open"]


def test_partitions_of_the_kitchen_are_not_those_of_the_tables() -> None:
    found = [one("orders-1", partitions=[0]), one("kitchen-1", partitions=[0, 1, 2, 3])]
    assert problems(found, {}, 4, Point(0), True) == ["3 of 4 partitions have no owner: their tables cannot order"]


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as running:
        assert running.stdout
        running.stdout.readline()
        yield running
        running.kill()


def test_each_process_is_measured_by_its_name_until_it_is_scaled_away(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "kafka-1").mkdir()
    (tmp_path / "kafka-1" / "log").write_bytes(b"x" * 10000)
    kept = Metrics()
    watched = Machines(kept, tmp_path, 4)
    since = process.describe("orders-1", child.pid).since
    runs = Status("orders-1", child.pid, "127.0.0.1", 1, True, since, 2, "")
    away = Status("orders-2", None, "127.0.0.1", 2, False, None, 0, "")
    usage = watched.look([runs, away])
    assert usage["orders-1"].memory
    assert usage["orders-1"].cpu is None  # after one look
    assert usage["orders-2"] == machines.Usage()
    shown = generate_latest(kept.registry).decode()
    assert 'bistro92_process_ready_state{process="orders-1"} 1.0' in shown
    assert 'bistro92_process_ready_state{process="orders-2"} 0.0' in shown
    assert 'bistro92_process_restarts_total{process="orders-1"} 2.0' in shown
    assert "bistro92_configured_partitions 4.0" in shown
    used = re.search(r'bistro92_disk_used_bytes\{part="kafka-1"\} (\S+)', shown)
    assert used
    assert float(used[1]) >= 10000
    again = Status("orders-1", child.pid, "127.0.0.1", 1, True, since, 3, "signal SIGKILL")
    assert watched.look([again])["orders-1"].cpu is not None
    shown = generate_latest(kept.registry).decode()
    assert 'bistro92_process_restarts_total{process="orders-1"} 3.0' in shown
    assert "orders-2" not in shown


def test_a_process_that_ends_while_it_is_looked_at_takes_nothing(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    since = process.describe("orders-1", child.pid).since
    child.kill()
    child.wait()
    status = Status("orders-1", child.pid, "127.0.0.1", 1, True, since, 0, "")
    assert Machines(Metrics(), tmp_path, 4).look([status])["orders-1"].memory is None


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def watch_of() -> Iterator[Callable[[str], Watch]]:
    """Makes a watch of these pages."""
    with contextlib.ExitStack() as open_ones:

        def make(targets: str) -> Watch:
            watch = Watch(Settings.model_validate({"monitor": {"targets": targets}}), Metrics())
            open_ones.callback(watch.close)
            return watch

        yield make


def test_pages_elsewhere_are_read_and_one_that_is_away_is_told(watch_of: Callable[[str], Watch]) -> None:
    here, away = free_port(), free_port()
    kept = Metrics()
    answered, took = kept.counter(metrics.ORDER_ANSWERED), kept.histogram(metrics.ORDER_ANSWER)
    answered.labels("accepted").inc(1000)
    kept.gauge(metrics.AUDIT_LOST).set(1)
    serve_metrics(kept.registry, here)
    watch = watch_of(f"127.0.0.1:{here}, 127.0.0.1:{away}")
    assert watch.tell()["processes"] == []
    watch.look()
    answered.labels("accepted").inc(10)
    answered.labels("unavailable").inc(5)
    took.observe(0.02)
    watch.look()
    seen = watch.tell()
    point = seen["figures"]
    assert point["refused_per_minute"] > 0
    assert point["orders_per_minute"] == pytest.approx(2 * point["refused_per_minute"])
    assert 0.01 < point["p50"] < 0.025
    assert point["lag"] is None  # nobody told
    assert seen["history"]["orders_per_minute"] == [None, point["orders_per_minute"]]
    assert [entry["ready"] for entry in seen["processes"]] == [True, False]
    assert seen["audit"]["lost"] == 1
    assert f"127.0.0.1:{away} does not run or does not answer" in seen["problems"]
    assert seen["partitions"] == {"owned": 0, "all": None}
    assert [fault["what"] for fault in seen["faults"]] == ["orders lost: 1"]
    assert watch.tell(since=seen["history"]["at"][0])["history"]["at"] == seen["history"]["at"][1:]


def serve_kitchen(port: int, *, copied: int, unseen: int) -> None:
    """What a kitchen worker tells."""
    kept = Metrics()
    kept.gauge(metrics.OWNED).labels("0").set(1)
    lag, age = kept.gauge(metrics.LAG), kept.gauge(metrics.LAG_AGE)
    for topic, records in ((ORDER_EVENTS, copied), (KITCHEN_COMMANDS, 2)):
        lag.labels(topic, "0").set(records)
        age.labels(topic, "0").set(records / 10)
    tickets = kept.gauge(metrics.KITCHEN_TICKETS_BY_STATE)
    for state, count in (("new", unseen), ("cooking", 4), ("served", 50), ("voided", 1)):
        tickets.labels("grill", state).set(count)
    streams = kept.gauge(metrics.KITCHEN_STREAMS)
    streams.labels("display").set(3)
    streams.labels("pad").set(7)
    kept.gauge(metrics.KITCHEN_UNSEEN).set(unseen)
    kept.gauge(metrics.KITCHEN_UNSEEN_AGE).set(10 * unseen)
    kept.gauge(metrics.KITCHEN_BEHIND).set(0)
    serve_metrics(kept.registry, port)


def test_the_kitchens_workers_are_added_up_and_their_lag_is_not_the_ledgers(watch_of: Callable[[str], Watch]) -> None:
    first, second, ledger = free_port(), free_port(), free_port()
    serve_kitchen(first, copied=5, unseen=1)
    serve_kitchen(second, copied=0, unseen=2)
    kept = Metrics()
    kept.gauge(metrics.LAG).labels(ORDER_EVENTS, "0").set(40)
    kept.gauge(metrics.LAG_AGE).labels(ORDER_EVENTS, "0").set(2)
    serve_metrics(kept.registry, ledger)
    watch = watch_of(",".join(f"127.0.0.1:{port}" for port in (first, second, ledger)))
    watch.look()
    seen = watch.tell()
    assert seen["kitchen"] == {
        "owned": 1,
        "orders_lag": 5,
        "orders_lag_age": 0.5,
        "lag": 4,
        "lag_age": pytest.approx(0.2),
        "open": 11,
        "unseen": 3,
        "unseen_age": 20,
        "displays": 6,
        "pads": 14,
    }
    point = seen["figures"]
    assert (point["ledger_lag"], point["kitchen_lag"], point["kitchen_lag_age"], point["unseen"]) == (40, 9, 0.5, 3)


def test_without_a_kitchen_nothing_is_told_of_it(watch_of: Callable[[str], Watch]) -> None:
    here = free_port()
    serve_metrics(Metrics().registry, here)
    watch = watch_of(f"127.0.0.1:{here}")
    watch.look()
    assert watch.tell()["kitchen"]["open"] is None
    assert watch.tell()["figures"]["kitchen_lag"] is watch.tell()["figures"]["unseen"] is None


def test_a_target_that_is_no_address_is_refused() -> None:
    for targets in ("orders-1", "orders-1:", "orders-1:9192,", "http://orders-1:9192"):
        with pytest.raises(ValueError, match="should match pattern"):
            Settings.model_validate({"monitor": {"targets": targets}})


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def port() -> int:
    number = free_port()
    serve_health(lambda: None, lambda: None, number, site.pages(lambda since: {"since": since}))
    return number


def get(port: int, path: str, method: str = "GET") -> tuple[int, Any, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


def test_the_page_loads_nothing_from_elsewhere_and_all_that_it_loads_is_there(port: int) -> None:
    status, headers, body = get(port, "/status")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    html = body.decode()
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', html)
    assert len(loaded) == 2
    assert all(get(port, path)[0] == 200 for path in loaded)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)|https?:", html)
    assert get(port, "/")[2] == body  # by a redirection
    ids = set(re.findall(r'getElementById\("(.+?)"\)', (STATIC / "status.js").read_text(encoding="utf-8")))
    assert ids <= set(re.findall(r'\bid="(.+?)"', html))


def test_the_figures_are_told_since_a_time(port: int) -> None:
    assert orjson.loads(get(port, "/status.json")[2]) == {"since": 0}
    assert orjson.loads(get(port, "/status.json?since=12.5")[2]) == {"since": 12.5}
    assert get(port, "/status.json?since=noon")[0] == 400
    assert get(port, "/status.json", "DELETE")[0] == 405
    assert get(port, "/static/../watch.py")[0] == 404
    assert get(port, "/health/ready")[0] == 200


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_aa_asks_for(dark: bool) -> None:
    css = (STATIC / "status.css").read_text(encoding="utf-8")
    colours = {name: pair[dark] for name, *pair in re.findall(r"--(\S+): light-dark\((\S+), (\S+)\)", css)}
    pairs = [(text, back) for text in ("text", "soft", "first", "good", "bad") for back in ("back", "card")]
    for text, back in [*pairs, ("second", "card"), ("bad", "bad-back")]:
        high, low = sorted((luminance(colours[text]), luminance(colours[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)


def test_the_monitor_takes_far_less_memory_than_a_worker() -> None:
    modules = "app.service.monitor_worker, app.stack.client"
    code = f"import {modules}, sys, psutil; print(psutil.Process().memory_info().rss); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    memory, loaded = done.stdout.splitlines()
    assert int(memory) < 60e6
    assert not {"faust", "aiokafka", "cassandra", "confluent_kafka", "aiohttp"} & set(loaded.split())


def test_a_look_is_told_with_its_time(watch_of: Callable[[str], Watch]) -> None:
    before, watch = time.time(), watch_of(f"127.0.0.1:{free_port()}")
    watch.look()
    assert before <= watch.tell()["at"] <= watch.tell()["now"] <= time.time()
