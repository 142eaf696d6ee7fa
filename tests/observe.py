"""Prometheus's programs, rules and dashboards, as the tests need them."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import metrics
from app.stack import prometheus
from app.stack.layout import StackError
from tests.stack import ROOT

FOLDER = prometheus.FOLDER
DASHBOARDS = sorted((ROOT / "config" / "grafana" / "dashboards").glob("*.json"))
EMPTY_WITHOUT_FAULT = "Empty without a fault."  # ends the description of a panel that may be so
_SERVED = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def install() -> None:
    """Have prometheus and promtool on this machine; a machine that cannot have them fails the test."""
    try:
        prometheus.fetch(print)
    except StackError as error:
        pytest.fail(str(error))


def promtool(*arguments: str | Path) -> str:
    """What promtool says; it must agree."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    """Every recording rule and alert."""
    files = sorted((FOLDER / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every alert; two may have the same name."""
    return [rule for rule in rules() if "alert" in rule]


def served_names() -> set[str]:
    """The names under which the project's metrics are served."""
    return {metric.full_name + suffix for metric in metrics.ALL for suffix in _SERVED[metric.kind]}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """A dashboard's panels, without its rows."""
    found: list[dict[str, Any]] = json.loads(dashboard.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, bool]]:
    """Dashboard and panel, query, and whether it may be empty, of all dashboards."""
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for target in panel["targets"]:
                may_be_empty = panel["description"].endswith(EMPTY_WITHOUT_FAULT)
                yield f"{dashboard.stem}: {panel['title']}", target["expr"], may_be_empty


def expressions() -> list[str]:
    """All that rules and dashboards ask for."""
    return [rule["expr"] for rule in rules()] + [query for _, query, _ in queries()]


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings."""
    lines = page.read_text(encoding="utf-8").splitlines()
    heads = [line.lstrip("#").strip().lower() for line in lines if re.match("#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}
