"""Where a topic's partitions begin and end: two requests to each broker, however many partitions it leads."""

from collections.abc import Collection, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

# In the place of a time. The library's admin client could be asked as well, but once a broker was away it is refused
# for ever (FENCED_LEADER_EPOCH, 2.16).
FIRST, END = -2, -1


def ends_of(
    consumer: Consumer, topic: str, partitions: Collection[int], timeout: float
) -> Mapping[int, tuple[int, int]]:
    """The first offset of each partition that is left, and the one after its last record, within twice `timeout` s.

    Raises:
        KafkaException: Kafka does not answer, or does not know one of the partitions.
    """
    if not partitions:
        return {}
    first, end = (_offsets(consumer, topic, partitions, at, timeout) for at in (FIRST, END))
    return {partition: (first[partition], end[partition]) for partition in partitions}


def _offsets(consumer: Consumer, topic: str, partitions: Collection[int], at: int, timeout: float) -> Mapping[int, int]:
    found = consumer.offsets_for_times(
        [TopicPartition(topic, partition, at) for partition in partitions], timeout=timeout
    )
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return {place.partition: place.offset for place in found}
