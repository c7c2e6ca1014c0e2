"""With three brokers one may be killed: nothing is lost, nothing is published twice, and it goes on by itself.

Three brokers and two consumers are much for a machine with two cores that runs other tests meanwhile, so it is run by
itself: THREE_BROKERS=1 pytest tests/consumers/test_three_brokers.py.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from errors import Fatal
from schemas.topics import TOPICS
from settings import KafkaSettings
from stream import clients
from stream.lag import lag_reader
from tests.builders.brokers import three_brokers
from tests.builders.clock import wait_until
from tests.builders.kafka import publish, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, wait_for_audit
from tests.builders.processes import (
    Consumers,
    archive_with_a_poor_index,
    assert_ended_as,
    consumers,
    random_history,
    undisturbed_run,
)

pytestmark = [
    pytest.mark.broker,
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif("THREE_BROKERS" not in os.environ, reason="it is run by itself: THREE_BROKERS=1"),
]


@pytest.mark.timeout(900)
def test_one_of_three_brokers_is_killed_under_load(tmp_path: Path, running_broker: KafkaSettings) -> None:
    messages = random_history(600, seed=11)
    undisturbed = undisturbed_run(tmp_path / "undisturbed", running_broker, messages)
    with three_brokers(tmp_path / "brokers") as brokers:
        settings = archive_with_a_poor_index(tmp_path / "killed", brokers.kafka)
        replicas = leaders_and_replicas(brokers.kafka)
        assert {len(others) for _, others in replicas.values()} == {3}
        with consumers(settings) as started:
            for name in ("index", "cluster"):
                started.start(name)
            publish(settings.kafka, messages[:300])
            # The one that takes what is published next.
            brokers.kill(replicas["faces"][0])
            publish(settings.kafka, messages[300:])
            wait_until(lambda: is_done(started), "it does not go on", within_s=300, every_s=0.5)
            wait_for_audit(settings)
            wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert_ended_as(settings, undisturbed)


def is_done(started: Consumers) -> bool:
    """Whether they have read everything. One that has lost its broker ends with a line, and is started again."""
    started.keep()
    try:
        with lag_reader(started.settings.kafka) as reader:
            return not any(reader.lags(INDEX_AND_CLUSTER).values())
    except (KafkaError, Fatal):
        return False


def leaders_and_replicas(kafka: KafkaSettings) -> dict[str, tuple[int, list[int]]]:
    """Of the first partition of each topic."""
    with closing(clients.admin(kafka)) as admin:
        described = admin.describe_topics([topic.name for topic in TOPICS])
    first = {one["name"]: one["partitions"][0] for one in described}
    return {name: (one["leader_id"], list(one["replica_nodes"])) for name, one in first.items()}
