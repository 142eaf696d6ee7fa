"""Rules, alerts and dashboards: they agree with what is served, and each alert fires and is silent when it ought to."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from app import metrics
from app.stack import prometheus
from tests.observe import (
    DASHBOARDS,
    FOLDER,
    alerts,
    anchors,
    expressions,
    install,
    panels,
    promtool,
    rules,
    served_names,
)
from tests.stack import ROOT

CASES = sorted((FOLDER / "tests").glob("*.yml"))


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    install()


def test_prometheus_takes_the_rules_and_its_configuration(tmp_path: Path) -> None:
    promtool("check", "rules", *sorted((FOLDER / "rules").glob("*.yml")))
    (tmp_path / "targets.json").write_text("[]")
    (tmp_path / "prometheus.yml").write_text(prometheus.render(tmp_path / "targets.json"), encoding="utf-8")
    assert f"{len(list((FOLDER / 'rules').glob('*.yml')))} rule files found" in promtool(
        "check", "config", tmp_path / "prometheus.yml"
    )


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_each_alert_fires_when_it_ought_to_and_is_silent_else(cases: Path) -> None:
    promtool("test", "rules", cases)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    fires: dict[str, set[str]] = defaultdict(set)  # what fires in some case, by alert
    silent = set()
    for file in CASES:
        for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            checks = case["promql_expr_test"]
            names = {re.search('alertname="(.+?)"', check["expr"])[1] for check in checks}  # type: ignore[index]
            assert len(names) == 1, case["name"]
            name, found = names.pop(), [sample["labels"] for check in checks for sample in check["exp_samples"]]
            assert case["name"].startswith(f"{name} {'fires' if found else 'is silent'}: ")
            fires[name] |= {re.search('severity="(.+?)"', labels)[1] for labels in found}  # type: ignore[index]
            if not found:
                silent.add(name)
    declared: dict[str, set[str]] = defaultdict(set)
    for alert in alerts():
        declared[alert["alert"]].add(alert["labels"]["severity"])
    assert fires == declared
    assert silent == set(declared)


def test_each_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on() -> None:
    sections = anchors(ROOT / "docs" / "operations.md")
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket"), alert
        assert set(alert["annotations"]) == {"summary", "description", "runbook"}, alert
        assert re.fullmatch("[0-9]+[smh]", alert["for"]), alert
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (page, anchor) == ("docs/operations.md", alert["alert"].lower())
        assert anchor in sections, f"docs/operations.md has no section {alert['alert']}"


def test_rules_and_dashboards_ask_for_what_is_served_or_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    served = served_names()
    for expression in expressions():
        assert set(re.findall(r"\bbistro92_\w+", expression)) <= served, expression
        assert set(re.findall(r"\bbistro92:[\w:]+", expression)) <= recorded, expression


def test_a_bound_that_is_asked_for_is_one_of_the_buckets() -> None:
    buckets = {f"{metric.full_name}_bucket": {str(bound) for bound in metric.buckets} for metric in metrics.ALL}
    asked = [pair for text in expressions() for pair in re.findall(r'(bistro92_\w+)\{[^}]*\ble="(.+?)"', text)]
    assert len(asked) > 5
    for name, bound in asked:
        assert bound in buckets[name], (name, bound)


def test_everything_that_is_measured_is_shown_or_watched() -> None:
    everything = " ".join(expressions())
    for metric in metrics.ALL:
        assert re.search(rf"\b{metric.full_name}(_total|_bucket|_sum|_count)?\b", everything), metric.full_name


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_imported_and_says_what_each_panel_shows(dashboard: Path) -> None:
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    assert content["uid"] == f"bistro92-{dashboard.stem}"
    ids = [panel["id"] for panel in content["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(dashboard):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
        assert panel["type"] == "heatmap" or panel["fieldConfig"]["defaults"]["unit"]
    places = [tuple(panel["gridPos"].values()) for panel in content["panels"]]
    assert all(x + w <= 24 for x, _, w, _ in places)
    assert not [(a, b) for a in places for b in places if a < b and _overlap(a, b)]


def _overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_grafana_is_given_the_stacks_prometheus_and_the_dashboards() -> None:
    folder = ROOT / "config" / "grafana" / "provisioning"
    source = yaml.safe_load((folder / "datasources" / "bistro92.yml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"].endswith(":19090")
    provider = yaml.safe_load((folder / "dashboards" / "bistro92.yml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["type"] == "file"
    assert len(DASHBOARDS) == 4
