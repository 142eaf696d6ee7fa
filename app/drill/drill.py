"""A drill: what happens, on what, and how it is run."""

from collections.abc import Callable
from dataclasses import dataclass

from app.bench.stack import Stack
from app.drill.outcome import Outcome
from app.drill.scene import CALM, Fault, play
from app.drill.stand import PLAIN, Stand

BRIEF = 0.5  # s of undisturbed orders

Run = Callable[[Stack, int], Outcome]


@dataclass(frozen=True)
class Drill:
    """One line of `python -m app drill --list`; `run` is given a running stack and a seed."""

    name: str
    title: str
    run: Run
    stand: Stand = PLAIN


def fault(
    name: str,
    title: str,
    happens: Fault,
    stand: Stand = PLAIN,
    *,
    rate: float = 100.0,
    before: float = CALM,
    after: float = CALM,
) -> Drill:
    """A drill in which something breaks while `rate` orders/s flow, undisturbed for some s before it and after."""

    def run(stack: Stack, seed: int) -> Outcome:
        return play(stack, name, happens, seed=seed, rate=rate, before=before, after=after)

    return Drill(name, title, run, stand)


def short(name: str, title: str, happens: Fault) -> Drill:
    """A drill as the gate plays it, which has little time: no more calm around the fault than tells that there was."""
    return fault(name, title, happens, before=BRIEF, after=BRIEF)
