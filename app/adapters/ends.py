"""Where a topic's partitions begin and end: two requests to each broker, however many partitions it leads."""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

LATE_SECONDS = 1.0  # past the time that the client was given, and has not kept


def ends_of(
    admin: AdminClient, topic: str, partitions: Collection[int], timeout: float
) -> Mapping[int, tuple[int, int]]:
    """The first offset of each partition that is left, and the one after its last record, within `timeout` s.

    Raises:
        KafkaException: Kafka does not answer, or does not know one of the partitions.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    if not places:
        return {}
    first = admin.list_offsets(dict.fromkeys(places, OffsetSpec.earliest()), request_timeout=timeout)
    end = admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest()), request_timeout=timeout)
    return {place.partition: (_offset(first[place], timeout), _offset(end[place], timeout)) for place in places}


def _offset(found: "Future[ListOffsetsResultInfo]", timeout: float) -> int:
    try:
        return int(found.result(timeout + LATE_SECONDS).offset)
    except LateError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no answer within {timeout:g} s")) from error
