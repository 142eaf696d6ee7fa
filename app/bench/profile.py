"""Where a Python worker's CPU goes: samples of what holds the interpreter, folded into stages of an order."""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from app.bench.load import LoadError, Process

RATE = 200  # samples per second
STOP_SECONDS = 30.0
OTHER = "other"
HOW_TO_GET_IT = (
    "py-spy is not there: `pip install py-spy` into this environment, or put it on the PATH. It reads the memory of "
    "processes of its own user; where the kernel forbids that (kernel.yama.ptrace_scope), it needs root"
)

# A stack counts for the innermost of its frames, `Class.function (file:line)`, that one of these patterns knows.
# What is compiled (uvloop, msgspec, librdkafka) has no frame, and counts for who called it.
Stages = Sequence[tuple[str, "re.Pattern[str]"]]


def _stages(*stages: tuple[str, str]) -> Stages:
    return [(name, re.compile(pattern)) for name, pattern in stages]


def _of(file: str, *functions: str) -> str:
    """These functions of a file."""
    return rf"(^|\.)({'|'.join(functions)}) \({re.escape(file)}"


_CONSUMER = r"aiokafka/|faust/|mode/(?!worker)|app/adapters/(transport|heartbeat|follower)\.py"
_LOOP = r"uvloop|asyncio/|selectors\.py|threading\.py|concurrent/|mode/worker\.py"
_WRITER, _PARTITION = "app/adapters/log_writer.py", "app/agents/partition.py"
_REQUESTS = r"app/adapters/(appender|brokers|line|wire)\.py|aiokafka/(client|conn|record|protocol)"

STAGES: Mapping[str, Stages] = {
    "orders": _stages(
        (
            "HTTP parsing, routing and response",
            r"aiohttp/|multidict|yarl|app/web/(answers|bodies|middleware|server)\.py",
        ),
        ("token and shape", r"app/adapters/tokens\.py|jwt/|pydantic|app/web/(access|shapes)\.py"),
        (
            "command encode and append",
            "|".join(
                [
                    _of("app/adapters/edge.py", "ask", "new_request_id"),
                    _of("app/domain/ids.py", "fingerprint", "order_id"),
                    _of("app/web/orders.py", "_command", "judge"),
                    _of(_WRITER, "append"),
                    r"app/adapters/menu\.py",
                ]
            ),
        ),
        ("requests to Kafka", _REQUESTS),
        (
            "consumer and decode",
            rf"{_CONSUMER}|app/messages\.py|{_of('app/agents/orders.py', '_run', 'run', '_decode')}",
        ),
        (
            "acknowledgements and answers",
            "|".join(
                [
                    _of(_WRITER, "_delivered", "_on_delivered", "_take", "_report"),
                    _of(_PARTITION, "advance", "complete_later"),
                    r"_on_delivered \(app/agents|app/adapters/(edge|link)\.py",
                ]
            ),
        ),
        ("decision and rows", r"app/domain/|app/tables/|app/agents/|app/adapters/log_writer\.py"),
        ("order lines", r"app/adapters/journal\.py"),
        ("views, else", r"app/web/"),
        ("event loop", _LOOP),
    ),
    "ledger": _stages(
        ("consumer", _CONSUMER),
        ("decode", rf"app/messages\.py|{_of('app/agents/ledger.py', '_decode')}"),
        ("rows of events", r"app/adapters/order_writer\.py|app/domain/"),
        ("cassandra driver", r"cassandra/|app/adapters/cassandra\.py"),
        ("groups and acknowledgements", r"app/agents/ledger\.py|app/service/"),
        ("order lines", r"app/adapters/journal\.py"),
        ("event loop", _LOOP),
    ),
    "kitchen": _stages(
        ("tickets of an order worked out", r"app/domain/tickets\.py"),
        ("tickets encoded", r"app/ticket_messages\.py|app/domain/moments\.py"),
        ("streams to displays", r"app/web/(ticket_streams|board|sse|bell)\.py|aiohttp/(web_response|http_writer)"),
        ("what cooks send", r"app/web/|aiohttp/|pydantic|jwt/|app/adapters/(tokens|edge|link)\.py"),
        ("changelog followed", r"app/adapters/kitchen_log\.py"),
        ("requests to Kafka", _REQUESTS),
        ("consumer and decode", rf"{_CONSUMER}|app/messages\.py"),
        ("records", r"app/tables/|app/agents/kitchen_partition\.py"),
        ("appended and acknowledged", r"app/adapters/log_writer\.py"),
        ("decision, else", r"app/domain/|app/agents/"),
        ("event loop", _LOOP),
    ),
}


def find() -> str | None:
    """The sampler, beside this Python or on the PATH."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def service_of(name: str) -> str:
    """`orders` of `orders-1`."""
    return name.rpartition("-")[0]


def fold(raw: Iterable[str], stages: Stages) -> Counter[str]:
    """Samples per stage, of lines `frame;frame;frame COUNT` with the outermost frame first."""
    found: Counter[str] = Counter()
    for line in raw:
        stack, _, count = line.rstrip().rpartition(" ")
        if count.isdecimal():
            found[_stage(stack.split(";"), stages)] += int(count)
    return found


def _stage(frames: Sequence[str], stages: Stages) -> str:
    for frame in reversed(frames):
        for name, pattern in stages:
            if pattern.search(frame):
                return name
    return OTHER


def table(samples: Mapping[str, Counter[str]], processes: Sequence[Process]) -> Iterator[str]:
    """ms of CPU per order and stage: each process's CPU per order, shared out by its samples; a service's summed up.

    What librdkafka's threads use is shared out with the rest: they hold no interpreter, so no sample tells of them.
    """
    cost = {process.name: process.cpu_ms_per_order for process in processes}
    for service, stages in STAGES.items():
        mine = {name: counts for name, counts in samples.items() if service_of(name) == service and counts.total()}
        if not mine:
            continue
        spent = dict.fromkeys([*(name for name, _ in stages), OTHER], 0.0)
        for name, counts in mine.items():
            for stage, count in counts.items():
                spent[stage] += cost.get(name, 0.0) * count / counts.total()
        total = sum(spent.values())
        taken = sum(counts.total() for counts in mine.values())
        yield f"{service} ({', '.join(sorted(mine))}): {taken} samples"
        yield f"  {'stage':<36} {'CPU ms per order':>16} {'share':>6}"
        for stage, used in spent.items():
            yield f"  {stage:<36} {used:>16.4f} {used / total if total else 0.0:>6.0%}"
        yield f"  {'all':<36} {total:>16.4f} {1:>6.0%}"


class Sampler:
    """Samples some processes until it is read."""

    def __init__(self, program: str, processes: Sequence[tuple[str, int]]) -> None:
        """`processes` are names and ids; those of other services than `STAGES` knows are left out."""
        self._folder = tempfile.TemporaryDirectory(prefix="bistro92-profile-")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for name, pid in processes:
            if service_of(name) in STAGES:
                options = ["--gil", "--format", "raw", "--rate", str(RATE), "--output", str(self._file(name))]
                self._running[name] = subprocess.Popen(
                    [program, "record", *options, "--duration", "unlimited", "--pid", str(pid)],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )

    def read(self) -> dict[str, Counter[str]]:
        """Stop; samples per stage of each process.

        Raises:
            LoadError: the sampler failed.
        """
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        found = {}
        with self._folder:
            for name, process in self._running.items():
                _, said = process.communicate(timeout=STOP_SECONDS)
                if not self._file(name).exists():
                    raise LoadError(f"py-spy could not sample {name}: {said.decode(errors='replace').strip()[-500:]}")
                with self._file(name).open(encoding="utf-8", errors="replace") as raw:
                    found[name] = fold(raw, STAGES[service_of(name)])
        return found

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.raw"


async def sampled(program: str, processes: Sequence[tuple[str, int]], seconds: float) -> dict[str, Counter[str]]:
    """Samples of these processes over so many seconds; LoadError where that fails."""
    sampler = await asyncio.to_thread(Sampler, program, processes)
    await asyncio.sleep(seconds)
    return await asyncio.to_thread(sampler.read)
