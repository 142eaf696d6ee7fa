"""Schedules for the model of the log: made by chance, run, cut down and told."""

import random
from collections.abc import Callable
from typing import Any

from tests.property.dice import Dice
from tests.property.log_model import World
from tests.property.promises import BrokenError
from tests.property.restaurant import chunks_of, open_session
from tests.property.rules import ALL, Rules
from tests.property.worker import Worker

Schedule = list[tuple[str, int]]
SECOND = 1_000

WEIGHTS = {
    "order": 16,
    "retry": 6,
    "repeat": 2,
    "open": 3,
    "close": 2,
    "cancel": 3,
    "wait": 2,
    "compact": 1,
    "start": 12,
    "recover": 5,
    "decide": 16,
    "deliver": 16,
    "acknowledge": 14,
    "settle": 2,
    "work": 8,
    "wake": 2,
    "commit": 4,
    "crash": 2,
    "stall": 3,
    "return": 2,
    "check": 2,
    "forget": 2,
}
NUMBERS = 1 << 24


# What goes wrong seldom, goes wrong in sequences like these; most of their steps are taken.
EPISODES = (
    "order order decide stall start work order work wake check crash start",  # a zombie's records arrive late
    "order stall start work recover wake work wake work recover",  # a zombie is awake beside its successor
    "order order decide deliver deliver crash start decide",  # records are cut off in flight
    "order work close decide crash start open work",  # a party changes while a worker dies
    "order decide stall close start work wake crash start",  # a party has left, and a zombie says it has not
    "order decide close decide stall return work crash",  # a zombie gets its table back
    "settle wait compact compact start",  # the log is compacted
    "order order work cancel decide deliver deliver crash start decide",  # an order is cancelled while a worker dies
    "order work cancel close open decide stall start work wake crash start",  # after its party has left
    "close open order wait decide acknowledge work forget deliver deliver crash start",  # days pass over old ids
)


def schedule_of(seed: int, length: int = 150, favour: str = "") -> Schedule:
    """A schedule by chance, the same for the same seed: each has its own temper, some actions rare and some frequent.

    `favour` is a sequence to be had more often; `action=number` in it leaves nothing to chance.
    """
    chance = random.Random(seed)
    weights = [weight * chance.choice((0.1, 0.5, 1, 1, 2, 4)) for weight in WEIGHTS.values()]
    schedule: Schedule = []
    while len(schedule) < length:
        if favour and chance.random() < 0.08:
            episode = favour
        elif chance.random() < 0.04:
            episode = chance.choice(EPISODES)
        else:
            episode = chance.choices(list(WEIGHTS), weights)[0]
        for step in episode.split():
            action, _, number = step.partition("=")
            if chance.random() < 0.95:
                schedule.append((action, int(number) if number else chance.randrange(NUMBERS)))
    return schedule


def run(
    schedule: Schedule,
    rules: Rules = ALL,
    *,
    chunk_ids: int = 2,
    tell: Callable[[str], None] | None = None,
    new_worker: Any = Worker,
) -> World:
    """Let it all happen.

    Raises:
        BrokenError: a promise did not hold.
    """
    with chunks_of(chunk_ids):
        world = World(rules, tell=tell, new_worker=new_worker)
        world.append(open_session(1, "T1"))
        world.append(open_session(1, "T2"))
        for action, number in schedule:
            getattr(world, f"do_{action}")(Dice(number))
            world.pass_time(SECOND)
        world.finish(Dice(len(schedule)))
        return world


def breaks(schedule: Schedule, rules: Rules = ALL) -> str:
    """Which promise a schedule breaks; empty: none."""
    try:
        run(schedule, rules)
    except BrokenError as error:
        return str(error)
    return ""


def shortest(schedule: Schedule, rules: Rules = ALL) -> Schedule:
    """What is left of a schedule that breaks a promise when every step is gone without which it still does."""
    size = len(schedule) // 2
    while size:
        start = 0
        while start < len(schedule):
            shorter = schedule[:start] + schedule[start + size :]
            if breaks(shorter, rules):
                schedule = shorter
            else:
                start += size
        size //= 2
    return schedule


def story(schedule: Schedule, rules: Rules = ALL) -> str:
    """What happens in a schedule, line by line."""
    lines: list[str] = []
    try:
        run(schedule, rules, tell=lines.append)
    except BrokenError:
        lines.append(f"in {schedule}")
    return "\n".join(lines)
