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

SECONDS = 2.0  # for all of it; it takes 0.05, and a session time-out ends what could not be done


class GroupError(Exception):
    """The member could not be taken out; says why."""


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
            return await _in_thread(lambda: _remove(bootstrap, group, client, deadline))
    except TimeoutError as error:
        raise GroupError(f"Kafka does not answer within {seconds:g} s") from error
    except KafkaError as error:
        raise GroupError(repr(error)) from error


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


def _remove(bootstrap: str, group: str, client: str, deadline: float) -> int:
    milliseconds = int(max(0.1, deadline - time.monotonic()) * 1000)
    # A client for each time: to connect takes 0.02 s, and a kept one would have to follow coordinators that move.
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","), request_timeout_ms=milliseconds, bootstrap_timeout_ms=milliseconds
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
