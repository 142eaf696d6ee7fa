"""The topics' settings follow from the project's."""

import pytest

from app.settings import Kafka, Settings
from app.topics import ORDER_COMMANDS, ORDER_IDS_CHANGELOG, TABLES_CHANGELOG, all_topics

REPAIR_MS = 3000  # as often do owners look for a stranger's rows


def config(topic: str, lag: float) -> dict[str, str]:
    settings = Settings(kafka=Kafka(compaction_lag=lag))
    return next(each.config for each in all_topics(settings) if each.name == topic)


@pytest.mark.parametrize("lag", [1.0, 60.0, 86_400.0])
@pytest.mark.parametrize("topic", [TABLES_CHANGELOG, ORDER_IDS_CHANGELOG])
def test_a_changelog_is_compacted_after_the_lag_and_never_cut(topic: str, lag: float) -> None:
    found = config(topic, lag)
    assert found["cleanup.policy"] == "compact"
    assert "retention.ms" not in found
    assert int(found["min.compaction.lag.ms"]) == 1000 * lag <= int(found["max.compaction.lag.ms"])
    assert found["message.timestamp.type"] == "LogAppendTime"


def test_the_rows_segments_are_closed_before_the_lag_ends_or_nothing_would_be_compacted() -> None:
    assert int(config(TABLES_CHANGELOG, 60)["segment.ms"]) < 60_000


def test_the_default_lag_leaves_owners_many_tries_to_repair() -> None:
    assert Settings().kafka.compaction_lag * 1000 >= 10 * REPAIR_MS


def test_commands_are_no_changelog() -> None:
    assert config(ORDER_COMMANDS, 60)["cleanup.policy"] == "delete"
    assert "min.compaction.lag.ms" not in config(ORDER_COMMANDS, 60)
