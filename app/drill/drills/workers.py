"""Order workers and their supervisor die, stop and change in number."""

import os
import signal

from app.drill.drill import fault, short
from app.drill.scene import Scene

WORKERS = ("orders-1", "orders-2")


async def _killed(scene: Scene, times: int = 10) -> None:
    for _ in range(times):
        await scene.pause(1.0, 3.0)
        victim = scene.random.choice(WORKERS)
        mark, pids = scene.kill(victim)
        await scene.served(mark)
        await scene.back(pids)
        scene.noticed(mark, rf"\b{victim} ended")


async def _killed_once(scene: Scene) -> None:
    await _killed(scene, times=1)


async def _two_killed(scene: Scene) -> None:
    mark, pids = scene.kill(*WORKERS)
    await scene.back(pids)
    scene.noticed(mark, r"\borders-1 ended")


async def _supervisor_killed(scene: Scene) -> None:
    scene.kill("supervisor")
    await scene.pause()
    victim = scene.random.choice(WORKERS)
    mark, pids = scene.kill(victim)
    await scene.served(mark)
    scene.outcome.facts["without a supervisor"] = f"{victim}'s tables served by the other worker"
    await scene.pause()
    await scene.command("up", "--with-process", str(os.getpid()))
    scene.healed("a new supervisor")
    await scene.back(pids)


async def _terminated(scene: Scene) -> None:
    """Each of the workers in turn; what it had pending it answers before it ends."""
    for victim in WORKERS:
        mark = scene.fault(f"SIGTERM {victim}")
        pids = scene.send(signal.SIGTERM, victim)
        await scene.back(pids)
        scene.noticed(mark, rf"\b{victim} ended")
        drained = scene.said(victim, r"\bdrained\b", mark)
        if drained is None or "unanswered=0" not in drained[1] or "undecided=0" not in drained[1]:
            scene.outcome.problems.append(f"{victim} left orders unanswered: {drained}")
        await scene.pause()
    scene.outcome.facts["seconds to exit"] = " ".join(f"{seconds:.2f}" for seconds in scene.outcome.noticed)


async def _scaled(scene: Scene) -> None:
    for count in (3, 4, 1, 2):
        mark = scene.fault(f"scale to {count}")
        await scene.command("scale", f"orders={count}")
        await scene.ready()
        await scene.served(mark)
        await scene.pause()


DRILLS = (
    fault("worker-killed", "kill -9 of an order worker, ten times at random moments", _killed),
    fault("workers-killed", "kill -9 of both order workers at once", _two_killed),
    fault("supervisor-killed", "kill -9 of the supervisor, then of a worker nobody watches", _supervisor_killed),
    fault("worker-terminated", "SIGTERM of each order worker with orders pending", _terminated),
    fault("scaled", "from two order workers to 3, 4, 1 and 2", _scaled),
)
SHORT = (short("worker-killed-once", "kill -9 of an order worker", _killed_once),)
