"""Logs as every process of the project writes them."""

import logging
from typing import Any

import structlog

from app.settings import Settings

# Faust sets its loggers to DEBUG and builds every record: a tenth of a worker's time.
NOISY = ("faust", "mode", "aiokafka", "kafka", "cassandra")
REPEAT_SECONDS = 5.0


def set_up_logging(settings: Settings) -> None:
    """Logs as lines of key=value on standard error, by structlog; the libraries' from WARNING on."""
    level = logging.getLevelName(settings.log_level)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
            ],
        )
    )
    handler.addFilter(_is_no_chatter)
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class Seldom(logging.Filter):
    """Lets aiokafka say the same thing once per REPEAT_SECONDS: without a broker it says forty things a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if not record.name.startswith("aiokafka"):
            return True
        what = record.name, str(record.msg)
        if record.created - self._said.get(what, 0.0) < REPEAT_SECONDS:
            return False
        self._said[what] = record.created
        return True


def _is_no_chatter(record: logging.LogRecord) -> bool:
    """Faust's services tell each step under the name of whatever module they were subclassed in."""
    return record.levelno >= logging.WARNING or not str(record.msg).startswith("[^")
