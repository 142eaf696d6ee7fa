"""Records of Kafka that were looked for."""

from typing import NamedTuple


class Found(NamedTuple):
    """A record that was looked for; `time` is its log time in ms since 1970, UTC."""

    partition: int
    offset: int
    time: int
    value: bytes
