"""A part of the stack: what is started, where it answers, and how long it may take to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

Kind = Literal["kafka", "cassandra", "redis", "worker", "prometheus"]
Address = tuple[str, int]


def _nothing() -> None:
    """Most parts need no preparation."""


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    kind: Kind
    command: list[str]
    address: Address  # host and port at which it is asked whether it is ready
    other_ports: tuple[Address, ...] = ()
    needs: tuple[str, ...] = ()  # steps that come first
    prepare: Callable[[], None] = _nothing  # folders and rendered files; called before each start, outside the loop
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A command that runs to its end between the servers and the workers; it may run again and again."""

    name: str
    command: list[str]
    needs_ready: tuple[str, ...]  # names of parts
    needs_done: tuple[str, ...] = ()  # names of steps
    once: bool = False  # done for as long as the state lives


class Failure(TypedDict):
    """How often a part could not be started or a step ended badly, and why the last time."""

    times: int
    why: str
