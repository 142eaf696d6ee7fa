"""Takes a dead worker out of its consumer group, so that the others get its partitions at once.

Workers are ordinary members, which leave their group by themselves when they stop. One that was killed cannot: the
group would wait for it until its session ends. Its member id is found by its client id, which is the worker's name.
Static membership would spare the look-up, but nobody could tell a dead process's member from that of the next one, and
a worker that stops in order would have to be taken out, too.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError, NoError, UnknownMemberIdError

from app.stack import plan, probe
from app.topics import KITCHEN_APP, LEDGER_APP, ORDERS_APP

GROUPS = (ORDERS_APP, LEDGER_APP, KITCHEN_APP)
SECONDS = 2.0  # for all of it; it takes 0.05, and a session time-out ends what could not be done


class GroupError(Exception):
    """The member could not be taken out; says why."""


async def take_out(bootstrap: str, name: str, say: Callable[[str], None]) -> None:
    """Take the worker `name`, whose process is gone, out of its group, and say so; a failure is only said."""
    group, begun = plan.service_of(name), time.monotonic()
    if group not in GROUPS:
        return
    try:
        if await remove(bootstrap, group, name):
            say(f"{name} was taken out of the group {group} in {time.monotonic() - begun:.2f} s")
    except GroupError as error:
        say(f"{name} stays in the group {group} until its session ends: {error}")


async def remove(bootstrap: str, group: str, client: str, seconds: float = SECONDS) -> int:
    """Take the members with this client id out of the group; how many there were.

    Call it while no process with that client id runs, and start none before it returns: it never takes out what joined
    after `seconds`.

    Raises:
        GroupError: Kafka did not answer in time, or refused.
    """
    deadline = time.monotonic() + seconds
    try:
        async with asyncio.timeout(seconds):
            broker = await _answering(bootstrap)
            return await _in_thread(lambda: _remove(broker, group, client, deadline))
    except TimeoutError as error:
        raise GroupError(f"Kafka does not answer within {seconds:g} s") from error
    except GroupError:
        raise
    except Exception as error:  # whatever it is: the session's end does the same, and a keeper must go on
        raise GroupError(repr(error)) from error


async def _answering(bootstrap: str) -> str:
    """The first broker that answers: the library leaves a thread and sockets behind when it finds none."""

    async def ask(address: str) -> str | None:
        host, _, port = address.rpartition(":")
        return address if await probe.ready("kafka", (host, int(port))) else None

    for answer in asyncio.as_completed([ask(address) for address in bootstrap.split(",")]):
        if address := await answer:
            return address
    raise GroupError("no broker answers")


async def _in_thread(work: Callable[[], int]) -> int:
    """What `work` returns. The thread may hang for longer than anybody waits: nothing else must wait for it, either."""
    result: Future[int] = Future()

    def run() -> None:
        result.set_running_or_notify_cancel()
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            result.set_exception(error)

    threading.Thread(target=run, name="groups", daemon=True).start()
    return await asyncio.wrap_future(result)


def _remove(broker: str, group: str, client: str, deadline: float) -> int:
    milliseconds = int(max(0.1, deadline - time.monotonic()) * 1000)
    # A client for each time: to connect takes 0.02 s, and a kept one would have to follow coordinators that move.
    admin = KafkaAdminClient(
        bootstrap_servers=[broker], request_timeout_ms=milliseconds, bootstrap_timeout_ms=milliseconds
    )
    try:
        found = admin.describe_groups([group])[group]
        dead = [MemberToRemove(member_id=m["member_id"]) for m in found["members"] if m["client_id"] == client]
        if not dead:
            return 0
        if time.monotonic() > deadline:
            raise KafkaError("too late: the next process may have joined")
        outcomes = admin.remove_group_members(group, dead)
        refused = [error for error in outcomes.values() if error not in (NoError, UnknownMemberIdError)]
        if refused:
            raise refused[0]()
        return len(dead)
    finally:
        admin.close()
