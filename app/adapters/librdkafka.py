"""What every client on librdkafka is told about the link to Kafka."""

from typing import Any

from app.settings import Settings

# s without an answer until a connection counts as dead: by default 60, for which nothing would get through on a link
# that lost a connection without a word. Whatever was asked is asked again on a new one.
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 3.0  # until a new connection is given up; by default 30
RECONNECT_SECONDS = 1.0  # longest wait between two attempts; by default 10


def link_config(settings: Settings, client_id: str) -> dict[str, Any]:
    """Configuration that notices a dead link, and uses one that is whole again, within seconds."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": client_id,
        "socket.timeout.ms": int(ANSWER_SECONDS * 1000),
        "socket.connection.setup.timeout.ms": int(CONNECT_SECONDS * 1000),
        "reconnect.backoff.max.ms": int(RECONNECT_SECONDS * 1000),
        "socket.keepalive.enable": True,
        # Its own log repeats each failed connection up to twenty times a second: whoever waits for Kafka says so.
        "log_level": 2,
    }
