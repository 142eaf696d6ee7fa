"""A kitchen display of another maker, in a screenful: it reads the topic `kitchen-tickets`, and nothing else.

    python ticket_consumer.py [--bootstrap 127.0.0.1:19092] [--hours 12] [--idle SECONDS]

It belongs to no consumer group and commits nothing: started again, it reads the last hours again. It needs
`pip install confluent-kafka` only. With --idle it ends once nothing has come for so long, and tells what it counted.
"""

import argparse
import json
import time
from collections import Counter

from confluent_kafka import Consumer, TopicPartition

TOPIC = "kitchen-tickets"
SCHEMA = 1  # the newest format that this display knows


def places(consumer: Consumer, hours: float) -> list[TopicPartition]:
    """Where the messages of the last hours begin, in each partition; its end where there are none."""
    since = int(1000 * (time.time() - 3600 * hours))
    numbers = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    found = consumer.offsets_for_times([TopicPartition(TOPIC, number, since) for number in numbers], timeout=10)
    for place in found:
        if place.offset < 0:
            _, place.offset = consumer.get_watermark_offsets(place, timeout=10)
    return found


def is_shown(ticket: dict) -> bool:
    """Whether a display still has to show it."""
    return ticket["state"] != "served" and not ticket["acknowledged"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--bootstrap", default="127.0.0.1:19092")
    options.add_argument("--hours", type=float, default=12.0)
    options.add_argument("--idle", type=float, default=float("inf"))
    chosen = options.parse_args()
    consumer = Consumer({"bootstrap.servers": chosen.bootstrap, "group.id": "of-no-group", "enable.auto.commit": False})
    consumer.assign(places(consumer, chosen.hours))
    print("following", flush=True)

    tickets: dict[str, dict] = {}
    told, last = "", time.monotonic()
    while time.monotonic() - last < chosen.idle:
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                print(message.error(), flush=True)
                continue
            last, ticket = time.monotonic(), json.loads(message.value())
            if ticket["schema"] > SCHEMA:
                raise SystemExit(f"a ticket of schema {ticket['schema']}: this display knows {SCHEMA} only")
            known = tickets.get(ticket["ticket_id"])
            if known is None or ticket["version"] > known["version"]:  # messages may come again, and late
                tickets[ticket["ticket_id"]] = ticket
        shown = Counter(ticket["station"] for ticket in tickets.values() if is_shown(ticket))
        if (now := " ".join(f"{station}={count}" for station, count in sorted(shown.items())) or "nothing") != told:
            told = now
            print("open:", told, flush=True)

    consumer.close()
    states = Counter(ticket["state"] for ticket in tickets.values())
    print(f"tickets={len(tickets)}", *(f"{state}={count}" for state, count in sorted(states.items())))


if __name__ == "__main__":
    main()
