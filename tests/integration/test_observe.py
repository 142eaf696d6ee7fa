"""What the monitor and a real Prometheus tell of the running stack."""

import itertools
import json
import math
import signal
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.stack import plan, prometheus
from app.stack.layout import Layout
from app.stack.ports import taken
from tests.display import Display, display
from tests.observe import install, queries, rules
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.long]

WITHIN = 90.0  # s; the longest windows are evaluated every 15


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def until(condition: Callable[[], Any], why: Callable[[], object] = lambda: "") -> Any:
    deadline = time.monotonic() + WITHIN
    while not (found := condition()):
        assert time.monotonic() < deadline, why()
        time.sleep(0.2)
    return found


class Prometheus:
    """A server's interface."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=20) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, path: str, **given: str) -> Any:
        answer = get(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(given)}")
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """The numbers that a query gives now."""
        values = [float(series["value"][1]) for series in self.ask("query", query=query)["result"]]
        return [value for value in values if not math.isnan(value)]

    def firing(self) -> list[dict[str, str]]:
        """The labels of each alert that fires."""
        return [alert["labels"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus set up as `make up OBSERVE=1` does, with nothing from before the test."""
    install()
    layout, port = Layout(stack.settings.data_dir), stack.settings.ports.of("prometheus")
    assert not taken(("127.0.0.1", port))
    own = prometheus.part(stack.settings, Layout(tmp_path_factory.mktemp("prometheus")))
    own.prepare()
    config = next(word for word in own.command if word.startswith("--config.file=")).partition("=")[2]
    with open(config, "w", encoding="utf-8") as file:
        file.write(prometheus.render(layout.targets))
    with subprocess.Popen(own.command, stderr=subprocess.PIPE, text=True) as process:
        found = Prometheus(f"http://127.0.0.1:{port}")
        try:
            until(lambda: found.is_ready() or process.poll() is not None)
            assert process.poll() is None, process.communicate()[1]
            yield found
        finally:
            process.terminate()
            process.communicate()


class Table:
    """A table at which somebody orders."""

    def __init__(self, stack: Stack) -> None:
        self._name = f"O-{uuid.uuid4().hex[:8]}"
        self._url, self._token, self._version = stack.url, stack.token(self._name), 0

    def order(self) -> None:
        """Place one order."""
        body = {
            "table_number": self._name,
            "items": [{"menu_item_id": "m1", "quantity": 1}],
            "version": self._version,
            "order_id": f"id-{self._version}",
        }
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{self._url}/orders", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
        get_row = urllib.request.Request(f"{self._url}/tables/{self._name}", headers=headers)
        with urllib.request.urlopen(get_row, timeout=30) as answer:
            self._version = json.load(answer)["version"]


@pytest.fixture(scope="module", autouse=True)
def cook(stack: Stack) -> Iterator[Display]:
    """A cook who works off all that is ordered, whoever ordered it."""
    with display(stack) as found:
        yield found


@pytest.fixture(scope="module")
def table(stack: Stack) -> Table:
    return Table(stack)


def test_prometheus_comes_and_goes_with_the_stack(stack: Stack) -> None:
    install()
    try:
        stack.command("scale", "prometheus=1")
        assert stack.status()["prometheus-1"]["ready"]
        server = Prometheus(f"http://127.0.0.1:{stack.settings.ports.of('prometheus')}")
        until(lambda: server.values('up{instance="orders-1"} == 1'))
        assert f"{stack.settings.ports.of('prometheus')}/alerts" in stack.up()
    finally:
        stack.command("scale", "prometheus=0")
    assert "prometheus-1" not in stack.status()


def test_prometheus_reads_every_process_of_the_stack(server: Prometheus, stack: Stack) -> None:
    measured = {name for name in stack.status() if plan.service_of(name) in plan.MEASURED}
    assert measured >= {"orders-1", "ledger-1", "kitchen-1", "auditor-1", "monitor-1"}
    until(lambda: len(server.values("up == 1")) == len(measured), lambda: server.ask("targets"))
    found = {series["metric"]["instance"] for series in server.ask("query", query="up")["result"]}
    assert found == measured


def test_every_panel_of_every_dashboard_shows_something_while_orders_flow(
    server: Prometheus, stack: Stack, table: Table
) -> None:
    asked = list(queries())
    for _, query, _ in asked:
        server.values(query)  # at least it is one
    missing = [(panel, query) for panel, query, may_be_empty in asked if not may_be_empty]

    prices = itertools.count(9)

    def all_shown() -> bool:
        for _ in range(8):
            table.order()
        get(f"{stack.url}/menu_items")
        stack.command("menu", "set", "m60", f"price={next(prices)}.50")
        missing[:] = [(panel, query) for panel, query in missing if not server.values(query)]
        return not missing

    until(all_shown, lambda: missing)


def test_every_rule_is_evaluated_and_nothing_fires_while_all_is_well(server: Prometheus, table: Table) -> None:
    table.order()

    def evaluated() -> list[Any]:
        groups: list[Any] = server.ask("rules")["groups"]
        return groups if all(not group["lastEvaluation"].startswith("0001") for group in groups) else []

    found = [rule for group in until(evaluated) for rule in group["rules"]]
    assert len(found) == len(rules())
    assert [rule for rule in found if rule["health"] != "ok"] == []
    # What other tests ordered while nobody cooked may have waited when this Prometheus began.
    until(lambda: not server.firing(), server.firing)


def test_the_monitor_shows_the_stack_and_the_orders_that_flow(stack: Stack, table: Table) -> None:
    url = f"http://127.0.0.1:{stack.settings.ports.of('monitor')}"
    with urllib.request.urlopen(f"{url}/status", timeout=20) as answer:
        assert b"<h1" in answer.read()

    def shown() -> Any:
        table.order()
        told.update(get(f"{url}/status.json"))
        return (
            told["figures"]["orders_per_minute"]
            and told["figures"]["p99"]
            and told["figures"]["lag"] is not None
            and {entry["name"] for entry in told["processes"]} == processes
            and all(entry["ready"] and entry["memory"] for entry in told["processes"])
            and told["partitions"] == {"owned": 4, "all": 4}
            and (told["kitchen"]["owned"], told["kitchen"]["displays"], told["kitchen"]["unseen"]) == (4, 1, 0)
            and told["problems"] == []
        )

    told: dict[str, Any] = {}
    processes = set(stack.status())
    until(shown, lambda: told)
    assert told["audit"]["lost"] == told["audit"]["duplicated"] == 0
    assert told["audit"]["ticketed"] > 0
    monitor = next(entry for entry in told["processes"] if entry["name"] == "monitor-1")
    assert monitor["memory"] < 60e6


def test_tickets_that_no_display_shows_are_told_by_the_page_and_by_alerts_until_one_does(
    server: Prometheus, stack: Stack, table: Table, cook: Display
) -> None:
    url = f"http://127.0.0.1:{stack.settings.ports.of('monitor')}/status.json"
    cook.pause()
    try:
        table.order()
        expected = {"TicketsUnseen", "DisplaysMissing"}
        until(lambda: expected <= {alert["alertname"] for alert in server.firing()}, server.firing)

        def told() -> bool:
            page = get(url)
            kitchen = page["kitchen"]["displays"], page["kitchen"]["unseen"]
            return kitchen == (0, 1) and any("1 ticket is on no display" in problem for problem in page["problems"])

        until(told, lambda: get(url))
    finally:
        cook.go_on()
    until(lambda: not expected & {alert["alertname"] for alert in server.firing()}, server.firing)


def test_a_process_that_is_killed_is_told_by_the_page_and_by_an_alert(server: Prometheus, stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.settings.ports.of('monitor')}/status.json"
    until(lambda: server.values('bistro92_process_restarts_total{process="redis-1"}'))
    killed = stack.kill("redis-1", signal.SIGKILL)
    [alert] = until(lambda: [alert for alert in server.firing() if alert["alertname"] == "ProcessRestarted"])
    assert (alert["process"], alert["severity"]) == ("redis-1", "ticket")
    stack.wait_ready("redis-1", other_than=killed)
    faults = until(
        lambda: [fault for fault in get(url)["faults"] if fault["process"] == "redis-1" and "SIGKILL" in fault["what"]]
    )
    assert faults[0]["what"] == "ended (signal SIGKILL) and was started again"


def test_the_list_of_targets_follows_the_number_of_workers(server: Prometheus, stack: Stack) -> None:
    def instances() -> set[str]:
        return {series["metric"]["instance"] for series in server.ask("query", query='up{job="orders"}')["result"]}

    try:
        stack.command("scale", "orders=3")
        until(lambda: instances() == {"orders-1", "orders-2", "orders-3"})
    finally:
        stack.command("scale", "orders=2")
    until(lambda: instances() == {"orders-1", "orders-2"})
