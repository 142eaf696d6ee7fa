"""Where the stack keeps its files, and the facts about its state that outlive a `down`."""

import json
import os
import tempfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.settings import Settings, UnixPathLimit

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
JARS = ROOT / ".jars"


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do."""


def write_atomically(path: Path, text: str) -> None:
    """Put `text` in place at once: a reader sees the old or the new file, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def size_on_disk(folder: Path) -> int:
    """Bytes that all files below a folder take: less than their lengths, as Kafka's indexes are long and hollow."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:  # it was deleted meanwhile
                continue
    return total


@dataclass(frozen=True)
class Layout:
    """The files under one data folder."""

    data_dir: Path

    @property
    def run(self) -> Path:
        """Records of what runs; gone after an orderly `down`."""
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        """One log per process, appended to."""
        return self.data_dir / "logs"

    @property
    def state(self) -> Path:
        """What the state was made with (`State`)."""
        return self.data_dir / "stack.json"

    @property
    def targets(self) -> Path:
        """The pages of metrics of all that should run, as Prometheus's file discovery reads them."""
        return self.run / "targets.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this data folder."""
        return self.run / "supervisor.lock"

    @property
    def socket(self) -> Path:
        """Where the supervisor takes requests; elsewhere if the kernel would cut so long a name."""
        path = self.run / "supervisor.sock"
        if len(str(path)) <= UnixPathLimit:
            return path
        return Path(tempfile.gettempdir()) / f"bistro92-{zlib.crc32(str(self.data_dir).encode())}.sock"

    def done(self, step: str) -> Path:
        """There once a step that is done only once was done."""
        return self.data_dir / "done" / step

    def log(self, name: str) -> Path:
        """The log of a process or step."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the folders.

        Raises:
            StackError: the data folder cannot be written to.
        """
        try:
            for folder in (self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.run / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StackError(
                f"the data folder {self.data_dir} cannot be written to ({error.strerror}); "
                "name another with BISTRO92_DATA_DIR"
            ) from error


@dataclass(frozen=True)
class State:
    """What the state on disk was made with, and how many workers were last asked for."""

    nodes: int
    cluster: str  # Kafka's cluster id: every node's log carries it
    orders: int
    ledger: int
    auditor: int = 1
    monitor: int = 1
    prometheus: int = 0
    kitchen: int = 2

    @property
    def workers(self) -> dict[str, int]:
        """Service -> number of worker processes."""
        return {
            "orders": self.orders,
            "ledger": self.ledger,
            "kitchen": self.kitchen,
            "auditor": self.auditor,
            "monitor": self.monitor,
            "prometheus": self.prometheus,
        }

    def scaled(self, counts: dict[str, int]) -> "State":
        """With other numbers of workers."""
        now = {**self.workers, **counts}
        return replace(
            self,
            orders=now["orders"],
            ledger=now["ledger"],
            kitchen=now["kitchen"],
            auditor=now["auditor"],
            monitor=now["monitor"],
            prometheus=now["prometheus"],
        )

    def save(self, layout: Layout) -> None:
        """Keep it beside the state it describes."""
        write_atomically(layout.state, json.dumps(asdict(self)))


def read_state(layout: Layout) -> State | None:
    """The state's facts, None where the stack was never up.

    Raises:
        StackError: the file is there but is not ours.
    """
    try:
        return State(**json.loads(layout.state.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StackError(f"{layout.state} cannot be read ({error}); `make clean` starts anew") from error


def as_made(settings: Settings, layout: Layout) -> Settings:
    """The settings with the number of nodes that the state was made with, unless another was asked for outright."""
    state = read_state(layout)
    if state is None or "nodes" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"nodes": state.nodes})


def settle_state(layout: Layout, settings: Settings, cluster: str) -> State:
    """The state to run with.

    The number of workers is the setting's where it was set outright, else what was last asked for (`scale`); a service
    that was scaled to nothing comes back with the setting's default.

    Raises:
        StackError: the state was made with another number of nodes.
    """
    state = read_state(layout)
    if state is None:
        numbers = settings.workers, settings.ledgers, settings.auditors, settings.monitors, int(settings.observe)
        return State(settings.nodes, cluster, *numbers, settings.kitchens)
    if state.nodes != settings.nodes:
        raise StackError(
            f"the state in {layout.data_dir} was made with NODES={state.nodes}, not {settings.nodes}: "
            f"start with NODES={state.nodes}, delete the state with `make clean`, "
            "or name another folder with BISTRO92_DATA_DIR"
        )
    asked = {
        "orders": ("workers", state.orders),
        "ledger": ("ledgers", state.ledger),
        "kitchen": ("kitchens", state.kitchen),
        "auditor": ("auditors", state.auditor),
        "monitor": ("monitors", state.monitor),
        "prometheus": ("observe", state.prometheus),
    }
    return state.scaled(
        {
            service: int(getattr(settings, setting)) if setting in settings.model_fields_set or last == 0 else last
            for service, (setting, last) in asked.items()
        }
    )
