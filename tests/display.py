"""A display of the kitchen, as another maker could build one: it shows what comes, and its cook works all of it off."""

import json
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.stack import Stack

OPEN = ("new", "seen", "cooking", "ready")
SEEN_AT_ONCE = 200
SILENT = 6.0  # s after which a stream is stale
HANDS = 8  # commands at a time: earlier tests of the same stack may have left thousands of tickets open


class Display:
    """Follows all stations until it is closed; whoever follows it learns what it was told."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.settings.kitchen_url
        self._headers = {"Authorization": f"Bearer {stack.command('token', '--role', 'kitchen').strip()}"}
        self._over = threading.Event()
        self._told: dict[str, dict[str, Any]] = {}  # the newest version of each ticket
        self._telling = threading.Lock()  # its thread tells what another one reads
        self.go_on()

    def told_of(self, table: str) -> list[dict[str, Any]]:
        """The tickets of a table that it was told of, each as it was told last."""
        with self._telling:
            return [ticket for ticket in self._told.values() if ticket["table_number"] == table]

    def close(self) -> None:
        """Follow no more."""
        self._over.set()
        self._thread.join()

    def pause(self) -> None:
        """Be away for a while."""
        self.close()

    def go_on(self) -> None:
        """Be back."""
        self._over.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._follow()
            except OSError:  # its worker went, or is not there yet
                self._over.wait(0.2)

    def _follow(self) -> None:
        request = urllib.request.Request(f"{self._url}/kitchen/stations/all/stream", headers=self._headers)
        with urllib.request.urlopen(request, timeout=SILENT) as answer:
            for event, data in _events(answer):
                if self._over.is_set():
                    return
                if event == "snapshot":
                    self._work_off(data["tickets"])
                    if data["more"]:
                        return  # what was left out comes with the next one
                elif event == "ticket":
                    self._work_off([data])

    def _work_off(self, tickets: list[dict[str, Any]]) -> None:
        """Show them, and do what a cook does next with each."""
        new = [ticket["ticket_id"] for ticket in tickets if ticket["state"] == "new"]
        for start in range(0, len(new), SEEN_AT_ONCE):
            self._post("/kitchen/seen", {"ticket_ids": new[start : start + SEEN_AT_ONCE]})
        with self._telling:
            self._told |= {ticket["ticket_id"]: ticket for ticket in tickets}
        with ThreadPoolExecutor(HANDS) as hands:
            list(hands.map(self._work_on, tickets))

    def _work_on(self, ticket: dict[str, Any]) -> None:
        """What comes next for one of them, if anything does."""
        action = "bump" if ticket["state"] in OPEN[1:] else "acknowledge_void"
        if action == "bump" or (ticket["state"] == "voided" and not ticket["acknowledged"]):
            body = {"action": action, "version": ticket["version"], "command_id": uuid.uuid4().hex}
            self._post(f"/kitchen/tickets/{ticket['ticket_id']}", body)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self._url}{path}", json.dumps(body).encode(), self._headers)
        try:
            with urllib.request.urlopen(request, timeout=SILENT) as answer:
                answer.read()
        except urllib.error.HTTPError as refusal:
            refusal.close()  # somebody was first: the stream tells how it stands
            if refusal.code >= 500:
                raise  # not decided: the snapshot of the next connection asks for it again


def _events(stream: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a stream."""
    event, data = "", ""
    for line in stream:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            data = value
        elif not name and data:
            yield event, json.loads(data)
            event, data = "", ""


@contextmanager
def display(stack: Stack) -> Iterator[Display]:
    """A display that is connected meanwhile."""
    shown = Display(stack)
    try:
        yield shown
    finally:
        shown.close()
