"""`python -m app up`: start or complete the stack, and wait until every part answers."""

import time
from collections.abc import Callable

import click

from app.settings import Settings, SettingsError, load
from app.stack import client, jars, kafka, plan
from app.stack.layout import Layout, StackError, settle_state

TIMEOUT = 180.0  # s; even three nodes on a slow machine are up long before
GIVE_UP_AFTER = 4  # starts of one part, or its end is no accident


@click.command()
@click.option("--servers", is_flag=True, help="Kafka, Cassandra and Redis with topics, schema and menu; no workers")
def command(servers: bool) -> None:
    """Start what does not run yet, and wait until every part answers."""
    try:
        settings = load()
        up(settings, click.echo, servers)
    except (SettingsError, StackError) as error:
        raise click.ClickException(str(error)) from error


def up(settings: Settings, say: Callable[[str], None], servers: bool = False) -> None:
    """Start or complete the stack.

    Raises:
        StackError: it cannot be started, or a part of it keeps ending.
    """
    layout = Layout(settings.data_dir)
    layout.make()
    state = settle_state(layout, settings, kafka.new_cluster())
    jars.fetch(say)
    begun = time.monotonic()
    if servers:
        state = state.scaled(dict.fromkeys(plan.SERVICES, 0))
    if client.supervisor(layout) is None:
        client.check_ports(settings, layout, state)
        state.save(layout)
        client.start_supervisor(layout, plan.environment(settings))
    else:
        client.scale(layout, state.workers)
    wait(settings, layout, say)
    say(f"ready {time.monotonic() - begun:.1f} s after the end of downloads")


def wait(settings: Settings, layout: Layout, say: Callable[[str], None]) -> None:
    """Wait until all is ready, saying what became so.

    Raises:
        StackError: a part keeps ending, or time is up.
    """
    before = {status.name: status.restarts for status in client.statuses(settings, layout)}
    begun, told = time.monotonic(), set[str]()
    while True:
        found = client.statuses(settings, layout)
        overseer = client.supervisor(layout)
        if overseer is None:
            raise StackError(f"the supervisor ended:\n{client.tail(layout, 'supervisor')}")
        waiting = [status.name for status in found if not status.ready]
        waiting += [f"step {name}" for name, done in overseer.steps.items() if not done]
        names = [status.name for status in found if status.ready]
        names += [f"step {name}" for name, done in overseer.steps.items() if done]
        for name in names:
            if name not in told:
                say(f"{time.monotonic() - begun:5.1f} s  {name}")
                told.add(name)
        if not waiting:
            return
        for name, failure in overseer.failures.items():
            if failure["times"] >= GIVE_UP_AFTER:
                log = client.tail(layout, name)
                raise StackError(f"{name} keeps failing: {failure['why']}; the end of its log:\n{log}")
        for status in found:
            if not status.ready and status.restarts - before.get(status.name, 0) >= GIVE_UP_AFTER:
                log = client.tail(layout, status.name)
                raise StackError(f"{status.name} keeps ending ({status.last_exit}); the end of its log:\n{log}")
        if time.monotonic() - begun > TIMEOUT:
            raise StackError(f"not ready after {TIMEOUT:.0f} s: {', '.join(waiting)}; see python -m app logs")
        time.sleep(0.2)
