"""The end of a process that must not go on."""

import os
import sys
import threading
from typing import NoReturn

import structlog

EXIT_CODE = 70  # EX_SOFTWARE
LAST_WORDS_SECONDS = 2.0

log = structlog.get_logger(__name__)


def end_process(reason: str) -> NoReturn:
    """Log the reason and end the process at once, from any thread; what was not acknowledged is read again."""
    # A thread that hangs while it logs holds the lock: then there is no last word.
    last = threading.Timer(LAST_WORDS_SECONDS, os._exit, (EXIT_CODE,))
    last.daemon = True
    last.start()
    log.critical("the process ends", reason=reason)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
