"""What is ready and what is not yet: a live list on a terminal, a line for each as it comes elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from app.stack.wait import Item


class Progress:
    """Shown between `with` and its end."""

    def __init__(self, console: Console) -> None:
        """Nothing is shown yet."""
        self._console = console
        self._begun = time.monotonic()
        self._ready_after: dict[str, float] = {}
        self._spinner = Spinner("dots")
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None

    def __enter__(self) -> "Progress":
        """Begin."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the last list stays on the screen."""
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, markup=False)

    def show(self, items: Sequence[Item]) -> None:
        """What is ready by now."""
        for item in items:
            if item.ready and item.name not in self._ready_after:
                self._ready_after[item.name] = time.monotonic() - self._begun
                if not self._live:
                    self.say(f"{self._ready_after[item.name]:6.1f} s  {item.name}")
        if self._live:
            self._live.update(self._table(items))

    def _table(self, items: Sequence[Item]) -> Table:
        table = Table.grid(padding=(0, 2))
        for item in items:
            if item.ready:
                table.add_row("✓", item.name, f"{self._ready_after[item.name]:.1f} s", style="green")
            else:
                table.add_row(self._spinner, item.name, item.note)
        return table
