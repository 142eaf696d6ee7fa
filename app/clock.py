"""The time of day, for views and commands: what the owners decide goes by the log's time, never by this."""

import time


def wall_clock() -> int:
    """Now, in ms since 1970, UTC."""
    return time.time_ns() // 1_000_000
