"""The end of a process that must not go on."""

import os
import sys
from typing import NoReturn

import structlog

EXIT_CODE = 70  # EX_SOFTWARE

log = structlog.get_logger(__name__)


def end_process(reason: str) -> NoReturn:
    """Log the reason and end the process at once, from any thread; what was not acknowledged is read again."""
    log.critical("the process ends", reason=reason)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
