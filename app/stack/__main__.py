"""`python -m app.stack [PID]`: the supervisor itself; `python -m app up` starts it in the background.

With a process id it stops everything once that process is gone.
"""

import asyncio
import sys

import psutil

from app.settings import SettingsError, load
from app.stack.layout import Layout, StackError, read_state
from app.stack.process import describe, hold_lock
from app.stack.supervisor import Supervisor


def main() -> int:
    """Supervise until told to stop; 1 if that cannot begin."""
    try:
        settings = load()
        layout = Layout(settings.data_dir)
        layout.make()
        lock = hold_lock(layout)
        if lock is None:
            print("another supervisor runs already", flush=True)
            return 0
        state = read_state(layout)
        supervisor = Supervisor(settings, layout, state) if state else None
    except (SettingsError, StackError) as error:
        print(error, flush=True)
        return 1
    if supervisor is None:
        print("there is nothing to supervise: python -m app up", flush=True)
        return 1
    try:
        companion = describe("companion", int(sys.argv[1])) if len(sys.argv) > 1 else None
    except psutil.NoSuchProcess as error:
        print(error, flush=True)
        return 1
    asyncio.run(supervisor.run(companion))
    lock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
