"""`python -m app up`: start or complete the stack, and wait until every part answers."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from typing import Any

import click
from rich.console import Console

from app.settings import Settings, SettingsError, load
from app.stack import client, jars, kafka, plan, prometheus
from app.stack.layout import ROOT, Layout, StackError, as_made, settle_state
from app.stack.progress import Progress
from app.stack.wait import until_ready

TABLE = "T1"  # of the order that is shown
COUNTED = (
    "workers",
    "ledgers",
    "kitchens",
    "auditors",
    "monitors",
    "observe",
)  # settings that take effect while the stack runs


@click.command()
@click.option("--servers", is_flag=True, help="Kafka, Cassandra and Redis with topics, schema and menu; no workers")
@click.option("--with-process", type=int, metavar="PID", help="stop everything again once that process is gone")
def command(servers: bool, with_process: int | None) -> None:
    """Start what does not run yet, and wait until every part answers.

    Numbers of workers that were set by `scale` are kept, unless BISTRO92_WORKERS or BISTRO92_LEDGERS name one.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        given = load()
        layout = Layout(given.data_dir)
        settings = as_made(given, layout)
        up(settings, layout, console, servers, with_process)
        if not servers:
            show_addresses(settings, layout, console)
    except (SettingsError, StackError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("it goes on starting: python -m app status shows it, down stops it") from None


def up(settings: Settings, layout: Layout, console: Console, servers: bool, companion: int | None) -> None:
    """Start or complete the stack.

    Raises:
        StackError: it cannot be started, or a part of it keeps ending.
    """
    layout.make()
    state = settle_state(layout, settings, kafka.new_cluster())
    if servers:
        state = state.scaled(dict.fromkeys(plan.SERVICES, 0))
    with Progress(console) as progress:
        jars.fetch(progress.say)
        if state.prometheus:
            prometheus.fetch(progress.say)
        begun = time.monotonic()
        overseer = client.supervisor(layout)
        if overseer:
            for line in _changes(overseer.settings, settings.model_dump(mode="json")):
                progress.say(line)
            client.scale(settings, layout, state.workers)
        else:
            parts = [*plan.servers(settings, layout, state), *plan.workers(settings, state.workers)]
            client.check_ports(settings, layout, parts)
            state.save(layout)
            client.start_supervisor(layout, plan.environment(settings), companion)
        try:
            until_ready(settings, layout, progress.show)
        except StackError as error:
            raise StackError(f"{error}\n\nWhat did start runs on: python -m app down stops it") from error
    console.print(f"ready {time.monotonic() - begun:.1f} s after the end of downloads")


def _changes(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """One line for each setting that what runs already was not started with."""
    lines = []
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            lines += _changes(old[name], value, f"{path}{name}__")
        elif old.get(name) != value and name not in COUNTED:
            setting = f"BISTRO92_{path}{name}".upper()
            lines.append(f"{setting}={value} takes effect after down and up; what runs has {old.get(name)}")
    return lines


def show_addresses(settings: Settings, layout: Layout, console: Console) -> None:
    """Say where everything answers, and print an order that works.

    Raises:
        StackError: no token is to be had, or the views do not answer.
    """
    found = {status.name: status.port for status in client.statuses(settings, layout)}
    own = [str(port) for name, port in found.items() if plan.service_of(name) == "orders"]
    nodes = ", ".join(f"{host}:{settings.cassandra_client_port}" for host in settings.node_addresses)
    places = [
        ("orders", f"{settings.orders_url} (the workers' own: {', '.join(own)})"),
        ("kitchen", settings.kitchen_url if "kitchen-1" in found else "KITCHENS=0"),
        ("docs", f"{settings.orders_url}/docs"),
        ("Kafka", settings.kafka_bootstrap),
        ("Cassandra", nodes),
        ("Redis", settings.redis_shown),
        ("status", f"http://127.0.0.1:{found['monitor-1']}/status" if "monitor-1" in found else "MONITORS=0"),
        ("metrics", f"http://127.0.0.1:{settings.ports.metrics_of('auditor')}/metrics (the auditor's)"),
        ("logs", str(layout.logs)),
    ]
    if "prometheus-1" in found:
        places.append(("Prometheus", f"http://127.0.0.1:{found['prometheus-1']}/alerts"))
    for name, place in places:
        console.print(f"  {name:<10} {place}", markup=False)
    console.print("\nThe links that open a table's pad and a kitchen display are told by\n", markup=False)
    python = os.path.relpath(sys.executable)
    console.print(f"{python} -m app token {TABLE} --link\n{python} -m app token --role kitchen --link", markup=False)
    console.print(f"\nAn order of table {TABLE}:\n\n{example_order(settings)}\n", markup=False)


def example_order(settings: Settings) -> str:
    """A curl that places an order.

    Raises:
        StackError: no token is to be had, or the views do not answer.
    """
    made = subprocess.run(
        [sys.executable, "-m", "app", "token", TABLE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=plan.environment(settings),
    )
    if made.returncode != 0:
        raise StackError(f"no token for table {TABLE}:\n{made.stderr.strip()}")
    token = made.stdout.split()[1]
    url = settings.orders_url
    order = {
        "table_number": TABLE,
        "items": [{"menu_item_id": _get(f"{url}/menu_items")[0]["id"], "quantity": 2}],
        "version": _get(f"{url}/tables/{TABLE}", token)["version"],
        "order_id": f"order-{secrets.token_hex(4)}",
    }
    return f"curl -i {url}/orders -H 'Authorization: Bearer {token}' -d '{json.dumps(order, separators=(',', ':'))}'"


def _get(url: str, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise StackError(f"{url}: {error}") from error
