"""Poison between good orders on the real stack, and what an operator does about it."""

import json
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from app.adapters.owners import partition_of
from app.audit import log
from app.cli import dead_letters
from app.messages import OpenSession, encode
from app.topics import ORDER_COMMANDS, ORDER_EVENTS
from tests import poison
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.own_stack]

WITHIN = 60.0  # s


@pytest.fixture(scope="module")
def stack(spoiled: Stack) -> Stack:
    """A stack whose topics these tests spoil."""
    return spoiled


@pytest.fixture
def table() -> str:
    """A table of the test alone."""
    return f"P-{uuid.uuid4().hex[:8]}"


class Guest:
    """A table's pad: one salmon after the other."""

    def __init__(self, stack: Stack, table: str) -> None:
        self._stack, self._table, self._token = stack, table, stack.token(table)
        self.version = 0

    def order(self) -> None:
        """Order until it is accepted, the same id again after a 503."""
        body = {
            "table_number": self._table,
            "items": [{"menu_item_id": "m1", "quantity": 1}],
            "version": self.version,
            "order_id": f"id-{self.version}",
        }
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"{self._stack.url}/orders", json.dumps(body).encode(), headers)

        def placed() -> bool:
            try:
                with urllib.request.urlopen(request, timeout=15) as answer:
                    return bool(answer.status == 201)
            except urllib.error.HTTPError as refusal:
                with refusal:
                    if refusal.code != 503:
                        raise AssertionError(refusal.read()) from refusal
                return False

        eventually(placed)
        self.version += 1


def eventually(check: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + WITHIN
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def spoil(stack: Stack, topic: str, partition: int, records: list[tuple[bytes | None, bytes | None]]) -> list[int]:
    """Append records to a partition, whatever they are; their offsets."""
    producer = ck.Producer({"bootstrap.servers": stack.settings.kafka_bootstrap})
    offsets: list[int] = []
    for key, value in records:
        producer.produce(
            topic,
            value,
            key,
            partition,
            headers=[("trace", b"\xff1")],
            on_delivery=lambda _, sent: offsets.append(sent.offset()),
        )
    assert producer.flush(30) == 0
    return offsets


def record_at(stack: Stack, topic: str, partition: int, offset: int) -> Any:
    """The record that stands there."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "nobody"})
    try:
        consumer.assign([ck.TopicPartition(topic, partition, offset)])
        [record] = consumer.consume(1, timeout=20)
        assert (record.error(), record.offset()) == (None, offset)
        return record
    finally:
        consumer.close()


def last_of(stack: Stack, topic: str, partition: int) -> Any:
    """A partition's last record."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "nobody"})
    try:
        _, end = consumer.get_watermark_offsets(ck.TopicPartition(topic, partition), timeout=10)
    finally:
        consumer.close()
    return record_at(stack, topic, partition, end - 1)


def letters(stack: Stack, topic: str, *more: str) -> list[dict[str, Any]]:
    """The topic's letters."""
    printed = stack.command("dead-letters", "--topic", topic, "--limit", "1000", *more, "--json")
    found: list[dict[str, Any]] = json.loads(printed)["dead_letters"]
    return found


def letters_at(stack: Stack, topic: str, partition: int, offsets: list[int]) -> list[dict[str, Any]]:
    """The letters of these records, once all are there; each has one."""

    def found() -> list[dict[str, Any]]:
        return [one for one in letters(stack, topic) if one["partition"] == partition and one["offset"] in offsets]

    eventually(lambda: len(found()) >= len(offsets))
    assert [one["offset"] for one in found()] == offsets
    return found()


def restarts(stack: Stack) -> dict[str, int]:
    return {name: status["restarts"] for name, status in stack.status().items()}


def audited(stack: Stack) -> dict[str, int]:
    """What an audit finds now that should not be; tests before this one may have left some of it."""
    found = json.loads(stack.run("audit", "--wait", "0", "--json").stdout)
    return {name: found[name] for name in ("lost", "duplicated", "differing", "undecodable")}


def test_orders_go_on_between_poison_and_all_of_it_is_listed(stack: Stack, table: str) -> None:
    home = partition_of(table, stack.settings.kafka.partitions)
    elsewhere = (home + 1) % stack.settings.kafka.partitions
    key, guest = table.encode(), Guest(stack, table)
    before, started = audited(stack), restarts(stack)
    guest.order()
    commands = list(poison.bad_commands(table).values())
    misplaced = [(None, poison.command(table)), (b"\xff", poison.command(table)), (b"T", poison.command(table))]
    set_aside = spoil(stack, ORDER_COMMANDS, home, [*((key, value) for value in commands), *misplaced])
    guest.order()
    elsewhere_aside = spoil(stack, ORDER_COMMANDS, elsewhere, [(key, poison.command(table, version=2))])
    events = list(poison.bad_events(table).values())
    events_aside = spoil(stack, ORDER_EVENTS, home, [*((key, value) for value in events), (b"T", poison.event(table))])
    guest.order()
    assert guest.version == 3
    found = letters_at(stack, ORDER_COMMANDS, home, set_aside)
    assert [one["size"] for one in found[: len(commands)]] == [len(value or b"") for value in commands]
    assert all("not a command" in one["reason"] or "schema" in one["reason"] for one in found[: len(commands)])
    assert all("its key is" in one["reason"] for one in found[-3:])
    [forked] = letters_at(stack, ORDER_COMMANDS, elsewhere, elsewhere_aside)
    assert forked["reason"] == f"table {table} belongs to partition {home}, not to {elsewhere}"
    letters_at(stack, ORDER_EVENTS, home, events_aside)
    expected = {**before, "undecodable": before["undecodable"] + len(events_aside)}
    eventually(lambda: audited(stack) == expected)
    assert restarts(stack) == started


def test_a_letter_is_shown_whole(stack: Stack, table: str) -> None:
    partition = 0
    offsets = spoil(
        stack, ORDER_EVENTS, partition, [(b"\xffT", b"salmon\x1b[2J"), (table.encode(), b"\xff\x00A"), (None, None)]
    )
    text, binary, null = letters_at(stack, ORDER_EVENTS, partition, offsets)
    shown = stack.command("dead-letters", "show", str(text["number"]))
    assert "key        0xff54" in shown
    assert "salmon\\x1b[2J" in shown
    assert "header     trace: 0xff31" in shown
    assert "00000000  ff 00 41" in stack.command("dead-letters", "show", str(binary["number"]))
    as_json = json.loads(stack.command("dead-letters", "show", str(binary["number"]), "--json"))
    assert b64decode(as_json["value"]) == b"\xff\x00A"
    assert "(null)" in stack.command("dead-letters", "show", str(null["number"]))
    listed = stack.command("dead-letters", "--limit", "1", "--since", "1h")
    assert f"{ORDER_EVENTS}/0@{offsets[-1]}" in listed
    assert letters(stack, ORDER_EVENTS, "--since", "2999-01-01") == []
    missing = stack.run("dead-letters", "show", "999999")
    assert (missing.returncode, "no dead letter 999999" in missing.stderr) == (1, True)


def test_a_mended_event_goes_back_to_its_place_under_its_key(stack: Stack, table: str, tmp_path: Path) -> None:
    home = partition_of(table, stack.settings.kafka.partitions)
    before = audited(stack)
    Guest(stack, table).order()
    placed = last_of(stack, ORDER_EVENTS, home)
    [letter] = letters_at(
        stack, ORDER_EVENTS, home, spoil(stack, ORDER_EVENTS, home, [(table.encode(), placed.value()[:-5])])
    )
    number, mended = str(letter["number"]), tmp_path / "event.json"
    mended.write_bytes(placed.value())
    told = stack.command("dead-letters", "resend", number, "--value", str(mended))
    assert "can be decoded by this release" in told
    again = last_of(stack, ORDER_EVENTS, home)
    assert f"{number} -> {ORDER_EVENTS}/{home}@{again.offset()}," in told
    assert (again.key(), again.value(), again.headers()) == (table.encode(), placed.value(), [("trace", b"\xff1")])
    [listed] = [one for one in letters(stack, ORDER_EVENTS) if one["number"] == letter["number"]]
    assert listed["resent"] == [{"partition": home, "offset": again.offset(), "mended": True}]
    before["undecodable"] += 1
    eventually(lambda: audited(stack) == before)
    refused = stack.run("dead-letters", "resend", number)
    assert (refused.returncode, "--again" in refused.stderr) == (1, True)
    assert last_of(stack, ORDER_EVENTS, home).offset() == again.offset()
    assert "will come back as a new letter" in stack.command("dead-letters", "resend", number, "--again")
    eventually(lambda: any(one["offset"] == again.offset() + 1 for one in letters(stack, ORDER_EVENTS)))


def test_a_command_is_sent_again_only_by_one_who_says_yes(stack: Stack, table: str, tmp_path: Path) -> None:
    home = partition_of(table, stack.settings.kafka.partitions)
    [letter] = letters_at(
        stack, ORDER_COMMANDS, home, spoil(stack, ORDER_COMMANDS, home, [(table.encode(), b'{"type":"OpenSess')])
    )
    mended = tmp_path / "command.json"
    mended.write_bytes(encode(OpenSession("r", "unix:nobody", table, 1)))
    resend = ["dead-letters", "resend", str(letter["number"]), "--value", str(mended)]
    end = last_of(stack, ORDER_COMMANDS, home).offset()
    refused = stack.run(*resend)
    assert (refused.returncode, "--yes" in refused.stderr) == (1, True)
    assert last_of(stack, ORDER_COMMANDS, home).offset() == end
    stack.command(*resend, "--yes")

    def opened() -> bool:
        record = last_of(stack, ORDER_EVENTS, home)
        return bool(record.key() == table.encode() and b"SessionOpened" in record.value())

    eventually(opened)


def test_what_a_letter_could_not_hold_is_read_where_it_stands_while_it_does(stack: Stack, table: str) -> None:
    home = partition_of(table, stack.settings.kafka.partitions)
    long = table.encode() + b"\xff" * 700_000
    offsets = spoil(stack, ORDER_EVENTS, home, [(table.encode(), long), (table.encode(), b"{"), (table.encode(), b"[")])
    first, second, third = letters_at(stack, ORDER_EVENTS, home, offsets)
    assert first["size"] == len(long)
    stack.command("dead-letters", "resend", str(first["number"]))
    again = last_of(stack, ORDER_EVENTS, home)
    assert (again.key(), again.value()) == (table.encode(), long)
    letters_at(stack, ORDER_EVENTS, home, [again.offset()])
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka_bootstrap})
    for future in admin.delete_records([ck.TopicPartition(ORDER_EVENTS, home, again.offset() + 1)]).values():
        future.result(30)
    gone = stack.run("dead-letters", "resend", str(first["number"]), "--again")
    assert gone.returncode == 1
    assert f"{ORDER_EVENTS}/{home} offset {offsets[0]} has it no more" in gone.stderr
    number = str(second["number"])  # small ones stand in their letters
    assert f"{number} -> " in stack.command("dead-letters", "resend", number, str(third["number"]))


def test_all_that_was_not_sent_again_is(stack: Stack, table: str) -> None:
    [offset] = spoil(stack, ORDER_EVENTS, 0, [(table.encode(), b"rubbish")])
    [letter] = letters_at(stack, ORDER_EVENTS, 0, [offset])
    refused = stack.run("dead-letters", "resend", "--all")  # there are commands among them
    assert (refused.returncode, "--yes" in refused.stderr) == (1, True)
    since = ["--topic", ORDER_EVENTS, "--since", letter["at"]]
    before = {one["number"] for one in letters(stack, ORDER_EVENTS, "--since", letter["at"]) if not one["resent"]}
    assert letter["number"] in before
    stack.command("dead-letters", "resend", "--all", *since)
    after = {one["number"]: one["resent"] for one in letters(stack, ORDER_EVENTS)}
    assert all(len(after[number]) == 1 for number in before)
    assert json.loads(stack.command("dead-letters", "--json", "--topic", "none")) == {"dead_letters": []}


def test_without_kafka_it_says_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "REQUEST", 0.5)
    done = CliRunner().invoke(dead_letters.command, env={**stack.environment, "BISTRO92_PORTS__KAFKA": "1999"})
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert "Kafka" in done.stderr
