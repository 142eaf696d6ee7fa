"""Waiting until the stack is ready, with what is missing shown meanwhile."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.settings import Settings
from app.stack import client, plan
from app.stack.client import Overseer, Status
from app.stack.layout import Layout, StackError

TIMEOUT = 240.0  # s; three nodes on a slow machine are up long before
GIVE_UP_AFTER = 4  # ends of one part, or they are no accident
POLL = 0.2  # s


@dataclass(frozen=True)
class Item:
    """A part or a step on its way."""

    name: str
    ready: bool
    note: str


def until_ready(
    settings: Settings,
    layout: Layout,
    show: Callable[[Sequence[Item]], None],
    services: Sequence[str] | None = None,
) -> None:
    """Return once everything, or the workers of `services`, is ready; `show` is told a few times a second.

    Raises:
        StackError: a part keeps ending or a step failing, the supervisor is gone, or time is up.
    """
    restarts = {status.name: status.restarts for status in client.statuses(settings, layout)}
    deadline = time.monotonic() + TIMEOUT
    while True:
        overseer = client.supervisor(layout)
        if overseer is None:
            raise StackError(f"the supervisor ended; the end of its log:\n{client.tail(layout, 'supervisor')}")
        found = client.statuses(settings, layout)
        items = [_part(status) for status in found if services is None or plan.service_of(status.name) in services]
        if services is None:
            items += [Item(f"step {name}", done, "" if done else "waiting") for name, done in overseer.steps.items()]
        show(items)
        if all(item.ready for item in items):
            return
        _check(layout, found, overseer, restarts)
        if time.monotonic() > deadline:
            missing = ", ".join(item.name for item in items if not item.ready)
            raise StackError(f"not ready after {TIMEOUT:.0f} s: {missing}; python -m app logs tells more")
        time.sleep(POLL)


def _part(status: Status) -> Item:
    if status.ready:
        return Item(status.name, True, "")
    if status.pid is not None:
        return Item(status.name, False, "starting")
    return Item(status.name, False, f"ended, {status.last_exit}" if status.last_exit else "waiting")


def _check(layout: Layout, found: Sequence[Status], overseer: Overseer, before: dict[str, int]) -> None:
    for name, failure in overseer.failures.items():
        if failure["times"] >= GIVE_UP_AFTER:
            log = client.tail(layout, name)
            raise StackError(f"{name} keeps failing ({failure['why']}); the end of its log:\n{log}")
    for status in found:
        if not status.ready and status.restarts - before.get(status.name, 0) >= GIVE_UP_AFTER:
            log = client.tail(layout, status.name)
            raise StackError(f"{status.name} keeps ending ({status.last_exit}); the end of its log:\n{log}")
