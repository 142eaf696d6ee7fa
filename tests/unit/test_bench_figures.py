"""What a measurement is made into: percentiles, medians, tables, files, pictures."""

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from app.bench import chart, endurance, figures, machine, profile, report, runs, saved, scaling
from app.bench.endurance import Tenth
from app.bench.load import Process, Result
from app.bench.menu import Reads
from app.bench.mixed import Mixed
from app.bench.saved import Measured, SavedError
from app.bench.series import Histogram, Second, Series, percentile
from app.cli._bench_scale import Numbers


def result(rate: float = 100.0, p50: float = 2.0, pace: str = "closed loop", **more: Any) -> Result:
    fields: dict[str, Any] = {"answers": {"201": 100}, "kinds": {}, "unknown": 0, "violations": 0} | more
    return Result(8, pace, 10.0, 1000, rate, p50, 3.0, 4.0, 5.0, 6.0, **fields)


def reads(rate: float = 900.0) -> Reads:
    return Reads(4, "closed loop", 10.0, 9000, rate, 0.5, 0.8, 1.5, 2.5, 3.5, {"200": 9000}, 0)


# ── latencies ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_percentiles_of_any_number_of_latencies_in_buckets_are_within_one_percent() -> None:
    chance = random.Random(7)
    latencies = [chance.lognormvariate(-6, 1.5) for _ in range(20_000)]
    histogram = Histogram()
    for latency in latencies:
        histogram.add(latency)
    ordered = sorted(latencies)
    for share in (0.01, 0.5, 0.9, 0.99, 0.999):
        assert histogram.percentile(share) == pytest.approx(percentile(ordered, share), rel=0.0101, abs=0.006)
    assert histogram.percentile(1.0) == percentile(ordered, 1.0)
    assert len(histogram._buckets) < 900


def test_without_latencies_there_are_zeros() -> None:
    assert Histogram().percentile(0.5) == 0
    assert Series().percentiles(0.5, 1.0) == [0, 0]


@pytest.mark.parametrize("is_long", [False, True])
def test_each_whole_second_has_its_count_and_p99_also_where_nothing_came(is_long: bool) -> None:
    series = Series(is_long=is_long)
    series.begin(100.0)
    for now, latency in ((100.1, 0.002), (100.9, 0.004), (102.5, 0.010), (103.2, 0.020)):
        series.add(latency, now)
    series.end(103.5)
    assert series.seconds == [Second(0, 2, 4.0), Second(1, 0, 0.0), Second(2, 1, 10.0)]
    assert series.longest_gap == pytest.approx(1.6)
    assert series.count == 4
    assert series.percentiles(0.5) == [pytest.approx(4.0, rel=0.01)]
    assert len(series.latencies) == (0 if is_long else 4)


def test_a_new_measurement_forgets_the_one_before() -> None:
    series = Series()
    series.begin(0.0)
    series.add(5.0, 2.0)
    series.begin(10.0)
    series.add(0.001, 10.5)
    series.end(11.0)
    assert (series.count, series.percentiles(1.0), series.seconds) == (1, [1.0], [Second(0, 1, 1.0)])


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rates", "middle"), [([5.0], 5.0), ([1.0, 9.0, 4.0], 4.0), ([4.0, 1.0, 9.0, 5.0], 4.0), ([1.0, 2.0], 1.0)]
)
def test_the_run_in_the_middle_by_orders_per_second_is_the_result(rates: Sequence[float], middle: float) -> None:
    assert runs.of([result(rate) for rate in rates]).median.orders_per_second == middle


def test_at_a_rate_the_middle_is_that_of_the_p50() -> None:
    every = [result(100, p50, "100 orders/s wanted") for p50 in (3.0, 1.0, 2.0)]
    assert runs.of(every).median.p50 == 2.0
    assert runs.of([Mixed(one, reads()) for one in every]).median.orders.p50 == 2.0


async def test_two_servers_are_measured_in_turns_and_warmed_up_once() -> None:
    turns: list[tuple[str, float]] = []

    async def other(warmup: float) -> Result:
        turns.append(("other", warmup))
        return result(50)

    async def ours(warmup: float) -> Result:
        turns.append(("ours", warmup))
        return result(100)

    theirs, own = await runs.take_turns(other, ours, 20.0, 3)
    assert turns == [("other", 20), ("ours", 20), ("other", 3), ("ours", 3), ("other", 3), ("ours", 3)]
    assert (theirs.median.orders_per_second, own.median.orders_per_second) == (50, 100)
    assert (len(theirs.every), len(own.every)) == (3, 3)


# ── figures, saved and compared ───────────────────────────────────────────────────────────────────────────────────────


def measured(per_second: float = 100.0, **options: Any) -> Measured:
    found = figures.figures(result(per_second, processes=[Process("orders-1", 12, 0.4, 90, 80)]))
    return Measured("orders", {"tables": 32, **options}, found, [found], {"all": 1})


def test_figures_name_each_process_and_the_servers_together() -> None:
    processes = [Process("orders-1", 12, 0.25, 90, 80), Process("kafka-1", 13, 0.5, 400, 300)]
    found = figures.figures(result(processes=processes, generator_cpu=0.03))
    assert found["CPU ms per order, servers"] == 0.75
    assert found["CPU ms per order, orders-1"] == 0.25
    assert found["memory MB, kafka-1"] == 300
    both = figures.figures(Mixed(result(), reads()))
    assert (both["orders/s"], both["menu reads/s"], both["menu p99 ms"]) == (100, 900, 1.5)


def test_a_measurement_is_saved_and_compared_with_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "then.json"
    measured(100).save(path)
    then = saved.read(path)
    assert (then.schema, then.command, then.options, then.results) == (1, "orders", {"tables": 32}, {"all": 1})
    lines = list(measured(150).against(then))
    [rate] = [line.split() for line in lines if line.startswith("orders/s")]
    assert rate == ["orders/s", "100", "150", "1.50"]
    assert not [line for line in lines if "warning" in line]


def test_what_makes_two_measurements_hard_to_compare_is_said(tmp_path: Path) -> None:
    path = tmp_path / "then.json"
    measured(100).save(path)
    changed = json.loads(path.read_text())
    changed["machine"]["cpu"] = "an abacus"
    changed["command"] = "menu"
    path.write_text(json.dumps(changed))
    warnings = [line for line in measured(100, rate=167.0).against(saved.read(path)) if line.startswith("warning")]
    assert "then it was `bench menu`" in warnings[0]
    assert "cpu was an abacus" in warnings[1]
    assert warnings[2] == "warning: another option: rate was None, is 167.0"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("nothing", "no file that"),
        ("{}", "no file that"),
        ('{"schema": "one"}', "no file that"),
        (b"\xff\xfe", "no file that"),
    ],
)
def test_a_bad_file_is_told_with_its_name(tmp_path: Path, content: str | bytes | None, says: str) -> None:
    path = tmp_path / "then.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SavedError, match=says) as told:
        saved.read(path)
    assert "then.json" in str(told.value)


def test_a_file_of_another_schema_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "then.json"
    measured().save(path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(SavedError, match="schema 2"):
        saved.read(path)


def test_the_machine_is_described_without_names_of_host_user_or_folders(tmp_path: Path) -> None:
    import getpass
    import platform

    described = machine.describe()
    assert {"cpu", "cpus", "memory", "kernel", "python", "java", "kafka", "cassandra", "aiohttp"} <= described.keys()
    assert described["python"] == platform.python_version()
    text = json.dumps(described)
    assert "/" not in text.replace("\\/", "")
    assert platform.node() not in described.values()
    assert getpass.getuser() not in described.values()


def test_a_figure_that_only_one_has_is_shown_without_a_ratio() -> None:
    lines = list(figures.compared({"a": 1.0, "old": 2.0}, {"a": 0.5, "new": 0.0}, ("then", "now")))
    assert [line.split() for line in lines[1:]] == [
        ["a", "1", "0.5", "0.50"],
        ["new", "-", "0", "-"],
        ["old", "2", "-", "-"],
    ]


# ── reports and pictures ──────────────────────────────────────────────────────────────────────────────────────────────


def test_orders_reads_and_both_have_a_report() -> None:
    orders = "\n".join(report.lines(result(processes=[Process("orders-1", 12, 0.4, 90, 80)])))
    assert "8 tables, closed loop" in orders
    assert "orders-1" in orders
    menu = "\n".join(report.lines(reads()))
    assert "menu on 4 connections" in menu
    assert "CPU ms per read" in menu
    both = "\n".join(report.lines(Mixed(result(), reads())))
    assert "reads/s" in both
    assert "orders/s" in both


def test_every_run_is_a_line_with_its_key_figures() -> None:
    lines = list(report.every_run([figures.figures(result(rate)) for rate in (100.0, 200.0)]))
    assert lines[0].split()[:2] == ["run", "orders/s"]
    assert [line.split()[:2] for line in lines[1:]] == [["1", "100.00"], ["2", "200.00"]]


def test_the_chart_is_well_formed_and_has_a_curve_for_each_of_both() -> None:
    timeline = [Second(at, 100 + at, 4.0 + at) for at in range(5)]
    drawing = ElementTree.fromstring(chart.draw("bench <orders>", "closed & warm", "orders", timeline))
    curves = list(drawing.iter("{http://www.w3.org/2000/svg}polyline"))
    assert [len(curve.attrib["points"].split()) for curve in curves] == [5, 5]
    assert ElementTree.fromstring(chart.draw("nothing", "", "orders", [])) is not None


def test_tenths_are_shown_with_what_grew() -> None:
    tenths = [
        Tenth(100, 1.0, 100.0, 2.0, 5.0, {"orders-1": 80.0}, {"kafka": 10.0, "cassandra": 5.0}),
        Tenth(100, 2.0, 50.0, 3.0, 6.0, {"orders-1": 90.0}, {"kafka": 20.0, "cassandra": 9.0}),
    ]
    title, *lines = endurance.lines(tenths)
    assert "orders-1 MB" in title
    assert [line.split() for line in lines] == [
        ["100", "100", "2.00", "5.00", "80", "5", "10"],
        ["200", "50", "3.00", "6.00", "90", "9", "20"],
    ]


def test_the_size_of_a_servers_nodes_is_what_they_take_on_disk(tmp_path: Path) -> None:
    for node in ("kafka-1", "kafka-2"):
        (tmp_path / node / "data").mkdir(parents=True)
        (tmp_path / node / "data" / "log").write_bytes(b"x" * 1_000_000)
    with (tmp_path / "kafka-1" / "hollow.index").open("wb") as index:
        index.truncate(10_000_000)
    assert endurance.folders(tmp_path) == {"kafka": pytest.approx(2.0, abs=0.2), "cassandra": 0}


def test_cases_of_scale_are_lines_with_cpu_by_service() -> None:
    processes = [Process("orders-1", 1, 0.2, 90), Process("orders-2", 2, 0.3, 90), Process("kafka-1", 3, 0.1, 400)]
    case = scaling.Case(2, 32, result(processes=processes))
    assert case.cpu == {"orders": 0.5, "kafka": 0.1}
    title, line = scaling.lines([case])
    assert "orders CPU" in title
    assert line.split() == ["2", "32", "100", "2.00", "4.00", "0.100", "0.500", "0.600"]


@pytest.mark.parametrize("text", ["0", "1,x", "17", "-1"])
def test_a_list_of_numbers_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="from 1 to 16"):
        Numbers(16).convert(text, None, None)
    assert Numbers(16).convert("1, 2,4", None, None) == [1, 2, 4]
    assert Numbers(16).convert("", None, None) == []


# ── profiles ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_LOOP = "<module> (app/__main__.py:33);Worker.execute_from_commandline (mode/worker.py:281)"
_PLACE = f"{_LOOP};ContractHandler.start (aiohttp/web_protocol.py:600);PlacingOrders.place (app/web/orders.py:40)"
_AGENT = f"{_LOOP};Agent._run (faust/agents/agent.py:5);OrdersAgent._run (app/agents/orders.py:90)"
_TAKE = f"{_AGENT};OrdersAgent._take (app/agents/orders.py:110)"
RAW = f"""
{_PLACE};TypeAdapter.validate_json (pydantic/type_adapter.py:468) 30
{_LOOP};ContractHandler.start (aiohttp/web_protocol.py:600);write_headers (aiohttp/http_writer.py:200) 20
{_PLACE};KafkaEdge.ask (app/adapters/edge.py:60) 6
{_PLACE};PlacingOrders._command (app/web/orders.py:60);fingerprint (app/domain/ids.py:50) 4
{_TAKE};decide (app/domain/decide.py:120);Row.find (app/domain/row.py:60) 8
{_TAKE};Partition.write_row (app/agents/partition.py:80);KafkaLane.send (app/adapters/log_writer.py:90) 7
{_TAKE};OrdersAgent._decode (app/agents/orders.py:130);decode_command (app/messages.py:200) 10
{_LOOP};Appender._send (app/adapters/appender.py:240);AIOKafkaConnection.send (aiokafka/conn.py:410) 3
{_LOOP};KafkaLogWriter._on_delivered (app/adapters/log_writer.py:120);Partition.advance (app/agents/partition.py:120) 2
{_TAKE};LogJournal.decided (app/adapters/journal.py:40);LogJournal._add (app/adapters/journal.py:60) 4
{_LOOP} 5
<module> (somewhere/else.py:1) 1
no samples here
"""


def test_samples_are_folded_into_the_stage_of_their_innermost_known_frame() -> None:
    found = profile.fold(RAW.splitlines(), profile.STAGES["orders"])
    assert found == {
        "token and shape": 30,
        "HTTP parsing, routing and response": 20,
        "command encode and append": 10,
        "decision and rows": 15,
        "consumer and decode": 10,
        "acknowledgements and answers": 2,
        "requests to Kafka": 3,
        "order lines": 4,
        "event loop": 5,
        profile.OTHER: 1,
    }


def test_a_profile_shares_the_cpu_per_order_out_to_the_stages() -> None:
    folded = profile.fold(RAW.splitlines(), profile.STAGES["orders"])
    processes = [Process("orders-1", 1, 0.2, 90), Process("orders-2", 2, 0.1, 90), Process("kafka-1", 3, 9.0, 400)]
    lines = list(profile.table({"orders-1": folded, "orders-2": folded}, processes))
    told = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in lines[2:]}
    assert told["token and shape"] == ["0.0900", "30%"]
    assert told["all"] == ["0.3000", "100%"]
    assert lines[0] == "orders (orders-1, orders-2): 200 samples"


def test_a_ledgers_samples_are_of_decoding_the_driver_and_the_loop() -> None:
    raw = [
        "LedgerAgent._write (app/agents/ledger.py:80);_decode (app/agents/ledger.py:190) 3",
        "Thread.run (threading.py:900);Connection.process_io_buffer (cassandra/connection.py:1000) 2",
        "Worker.execute_from_commandline (mode/worker.py:281) 1",
    ]
    found = profile.fold(raw, profile.STAGES["ledger"])
    assert found == {"decode": 3, "cassandra driver": 2, "event loop": 1}


def test_a_kitchens_samples_are_of_its_tickets_its_streams_and_its_cooks() -> None:
    raw = [
        "TicketStreams._tell (app/web/ticket_streams.py:170);Cursor.take (app/web/board.py:190) 3",
        "TicketStreams._tell (app/web/ticket_streams.py:170);encode_ticket (app/ticket_messages.py:60) 2",
        "KitchenAgent._place (app/agents/kitchen.py:270);decide_placed (app/domain/kitchen.py:200) 1",
        "KitchenPartition.write_order (app/agents/kitchen_partition.py:100);tickets_of (app/domain/tickets.py:160) 4",
    ]
    assert profile.fold(raw, profile.STAGES["kitchen"]) == {
        "streams to displays": 3,
        "tickets encoded": 2,
        "decision, else": 1,
        "tickets of an order worked out": 4,
    }


def test_the_sampler_is_found_beside_python_or_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert profile.find() is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "py-spy").touch()
    assert profile.find() == str(tmp_path / "bin" / "py-spy")
