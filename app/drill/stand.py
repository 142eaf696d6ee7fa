"""What a drill needs beneath it: a stack of so many nodes, and what must be put around it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from app.bench import stack as stacks
from app.bench.stack import Around, Stack


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Stand:
    """A kind of stack; drills with an equal stand share one, unless one of them leaves it unhealed.

    `around` is entered before the stack starts (a mounted disk, proxies, a clock) and gives more of its environment;
    `missing` tells what this machine lacks for it, empty where nothing.
    """

    nodes: int = 1
    workers: int = 2
    settings: tuple[tuple[str, str], ...] = ()  # environment variables without their prefix
    around: Around | None = None
    missing: Callable[[], str] = _nothing

    def open(self, offset: int) -> AbstractContextManager[Stack]:
        """Such a stack, its ports moved by `offset`; gone afterwards."""
        more = {f"BISTRO92_{name}": value for name, value in self.settings}
        return stacks.own(offset=offset, workers=self.workers, nodes=self.nodes, more=more, around=self.around)


PLAIN = Stand()
THREE = Stand(nodes=3)
