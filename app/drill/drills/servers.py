"""Kafka, Cassandra and Redis die, freeze and stay away while orders flow."""

import asyncio
import signal

import redis

from app.drill.drill import Drill, fault, short
from app.drill.scene import Fault, Scene
from app.drill.stand import THREE

AWAY = 90.0  # s that the only broker stays away
FROZEN = 20.0  # s


async def _killed(scene: Scene, *names: str) -> None:
    """Kill -9; the orders wait for what they need until it is back."""
    mark, pids = scene.kill(*names)
    await scene.served(mark)
    await scene.back(pids)
    for name in names:
        scene.noticed(mark, rf"\b{name} ended")


async def _broker_killed(scene: Scene) -> None:
    await _killed(scene, "kafka-1")


async def _cassandra_killed(scene: Scene) -> None:
    await _killed(scene, "cassandra-1")


async def _redis_killed(scene: Scene) -> None:
    await _killed(scene, "redis-1")


async def _each_killed(scene: Scene, kind: str) -> None:
    """Each of three nodes in turn."""
    for node in (1, 2, 3):
        await _killed(scene, f"{kind}-{node}")
        await scene.settle()


async def _away(scene: Scene, name: str, seconds: float, *, is_needed: bool) -> None:
    """It ends and is not started again for a while: the supervisor is told to leave it alone."""
    mark = scene.fault(f"{name} away for {seconds:.0f} s")
    await scene.command("hold", name)
    scene.noticed(mark, rf"\b{name} (stopped|ended)")
    if not is_needed:
        await scene.served(mark)
    await asyncio.sleep(seconds)
    if is_needed:
        scene.healed(f"{name} may start")
    await scene.command("hold", "--release", name)
    await scene.ready()


async def _frozen(scene: Scene, *names: str, seconds: float = FROZEN, is_needed: bool) -> None:
    """It is there and does not answer."""
    mark = scene.fault(f"{', '.join(names)} frozen for {seconds:.0f} s")
    scene.send(signal.SIGSTOP, *names)
    try:
        if not is_needed:
            await scene.served(mark)
        await asyncio.sleep(seconds)
    finally:
        if is_needed:
            scene.healed("thawed")
        scene.send(signal.SIGCONT, *names)
    await scene.ready()


async def _flushed(scene: Scene) -> None:
    mark = scene.fault("FLUSHALL")
    with redis.Redis.from_url(scene.stack.settings.redis_url) as cache:
        cache.flushall()
    await scene.served(mark)


BROKER_KILLED = "kill -9 of the only Kafka broker"
CASSANDRA_KILLED = "kill -9 of all of Cassandra"
REDIS_KILLED = "kill -9 of Redis"
ON_ONE_NODE = (
    fault("broker-killed", BROKER_KILLED, _broker_killed),
    fault(
        "broker-away",
        f"the only Kafka broker is away for {AWAY:.0f} s",
        lambda scene: _away(scene, "kafka-1", AWAY, is_needed=True),
    ),
    fault("broker-frozen", "the only Kafka broker freezes", lambda scene: _frozen(scene, "kafka-1", is_needed=True)),
    fault("cassandra-killed", CASSANDRA_KILLED, _cassandra_killed),
    fault(
        "cassandra-away",
        "all of Cassandra is away for 30 s, orders go on",
        lambda scene: _away(scene, "cassandra-1", 30, is_needed=False),
    ),
    fault("cassandra-frozen", "all of Cassandra freezes", lambda scene: _frozen(scene, "cassandra-1", is_needed=False)),
    fault("redis-killed", REDIS_KILLED, _redis_killed),
    fault(
        "redis-away",
        "Redis is away for 20 s, orders go on",
        lambda scene: _away(scene, "redis-1", 20, is_needed=False),
    ),
    fault("redis-frozen", "Redis freezes", lambda scene: _frozen(scene, "redis-1", is_needed=False)),
    fault("redis-flushed", "Redis is emptied", _flushed),
)
# Six servers share a laptop's cores: more orders than these only queue, and a cold server takes the fewest.
FEW, WARM = 25.0, 10.0


def _of_three(name: str, title: str, happens: Fault) -> Drill:
    return fault(name, title, happens, THREE, rate=FEW, before=WARM)


ON_THREE_NODES = (
    _of_three("brokers-killed", "kill -9 of each of three brokers", lambda scene: _each_killed(scene, "kafka")),
    _of_three(
        "one-broker-frozen",
        "one of three Kafka brokers freezes",
        lambda scene: _frozen(scene, "kafka-2", is_needed=False),
    ),
    _of_three(
        "nodes-killed", "kill -9 of each of three Cassandra nodes", lambda scene: _each_killed(scene, "cassandra")
    ),
    _of_three(
        "one-node-frozen",
        "one of three Cassandra nodes freezes",
        lambda scene: _frozen(scene, "cassandra-2", is_needed=False),
    ),
)
SHORT = (
    short("broker-killed", BROKER_KILLED, _broker_killed),
    short("cassandra-killed", CASSANDRA_KILLED, _cassandra_killed),
    short("redis-killed", REDIS_KILLED, _redis_killed),
)
