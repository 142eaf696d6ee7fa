"""Metrics are named as Prometheus asks for, and a process serves those that it keeps and no others."""

import socket
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from app import metrics
from app.__main__ import main
from app.adapters.exposition import Answer, serve_health, serve_metrics
from app.metrics import Metric, Metrics
from app.settings import Settings
from tests.stack import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def test_every_metric_has_a_name_of_its_own_a_unit_and_a_meaning() -> None:
    names = [metric.full_name for metric in metrics.ALL]
    assert len(set(names)) == len(names) > 0
    declared = [value for value in vars(metrics).values() if isinstance(value, Metric)]
    assert set(declared) == set(metrics.ALL)
    for metric in metrics.ALL:
        assert metric.full_name.endswith(f"_{metric.unit}")
        assert metric.meaning
        assert bool(metric.buckets) == (metric.kind == "histogram")


def test_every_metric_is_served_by_some_process() -> None:
    assert {metric for served in metrics.SERVED.values() for metric in served} == set(metrics.ALL)


def test_the_page_of_metrics_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["metrics"])
    assert printed.exit_code == 0
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == printed.output, "python -m app metrics > docs/metrics.md"
    for metric in metrics.ALL:
        assert f"| `{metric.full_name}{'_total' * (metric.kind == 'counter')}` | {metric.kind} |" in page


def test_what_is_computed_is_looked_up_with_each_scrape() -> None:
    kept, owned = Metrics(), {1: 1.0, 3: 1.0}
    kept.computed(metrics.OWNED, lambda: [((str(number),), value) for number, value in owned.items()])
    kept.computed(metrics.RECOVERED, lambda: [((), 70)])
    assert 'bistro92_owned_partitions{partition="3"} 1.0' in generate_latest(kept.registry).decode()
    del owned[3]
    page = generate_latest(kept.registry).decode()
    assert 'partition="1"' in page
    assert 'partition="3"' not in page
    assert "\n# TYPE bistro92_recovered_records_total counter\nbistro92_recovered_records_total 70.0\n" in page
    with pytest.raises(AssertionError, match="is a histogram"):
        kept.computed(metrics.RECOVERY, list)


def test_a_process_serves_its_metrics_and_no_others() -> None:
    kept, port = Metrics(), free_port()
    kept.gauge(metrics.AUDIT_LOST).set(2)
    kept.counter(metrics.REBALANCES)
    serve_metrics(kept.registry, port)
    status, page = get(port, "/metrics")
    assert status == 200
    assert "\nbistro92_audit_lost_orders 2.0\n" in page
    assert "audit_events" not in page
    assert "_created" not in page
    assert "process_resident_memory_bytes" in page


def test_a_metric_is_kept_as_what_it_is_declared() -> None:
    with pytest.raises(AssertionError, match="is a gauge"):
        Metrics().counter(metrics.AUDIT_LOST)
    kept = Metrics()
    kept.counter(Metric("counter", "test", "orders", "Orders")).inc()
    kept.histogram(Metric("histogram", "test", "seconds", "Time", buckets=(0.1, 1))).observe(0.5)
    page = generate_latest(kept.registry).decode()
    assert "bistro92_test_orders_total 1.0" in page
    assert 'bistro92_test_seconds_bucket{le="1.0"} 1.0' in page


def test_health_says_why_not() -> None:
    reasons: list[str | None] = ["not yet", None]
    port = free_port()
    serve_health(lambda: reasons[0], lambda: reasons[1], port)
    assert get(port, "/health/ready") == (503, '{"error":"Service unavailable","detail":"not yet"}')
    assert get(port, "/health/live") == (200, '{"status":"alive"}')
    assert get(port, "/") == (404, '{"error":"Not found"}')
    reasons[:] = [None, "hangs"]
    assert get(port, "/health/ready") == (200, '{"status":"ready"}')
    assert get(port, "/health/live")[0] == 503


def test_health_pages_say_what_a_browser_may_do_and_tell_no_releases() -> None:
    port = free_port()
    serve_health(lambda: None, lambda: None, port, {"/page": lambda _: Answer(200, "text/html", b"", PAGE)})
    heads = [head_of(port, b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path) for path in (b"/health/live", b"/page", b"/x")]
    for head in (*heads, head_of(port, b"GET /" + b"x" * 70_000)):
        assert head.count("\r\nServer: bistro92\r\n") == 1
        assert "Python" not in head
    for head in heads:
        for header in ("X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cache-Control: no-store"):
            assert head.count(header) == 1
        assert head.count("Content-Security-Policy") == 1
    assert "default-src 'self'" in heads[1]


PAGE = (("Content-Security-Policy", "default-src 'self'"),)


def head_of(port: int, sent: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received.decode()


def test_each_process_has_a_port_for_its_metrics_beside_its_own() -> None:
    ports = Settings().ports
    assert ports.metrics_of("orders") == 9192
    assert ports.metrics_of("orders", 3) == 9194
    assert ports.metrics_of("auditor") == ports.of("auditor") + 1100
    moved = ports.model_copy(update={"offset": 700})
    assert moved.metrics_of("ledger", 2) == ports.metrics_of("ledger", 2) + 700
    services = [("orders", 64), ("ledger", 16), ("auditor", 1), ("monitor", 1)]
    own = {ports.of(name, index) for name, most in services for index in range(1, most + 1)}
    beside = {ports.metrics_of(name, index) for name, most in services for index in range(1, most + 1)}
    assert len(own) == len(beside) == 82
    assert not own & beside
