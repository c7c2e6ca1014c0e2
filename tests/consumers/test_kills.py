"""Index and cluster are killed many times under load: the result is that of an undisturbed run.

The index has so few connections that it misses many pairs, so its audit is killed too; its corrections make the graph
exact.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from settings import KafkaSettings
from tests.builders.kafka import publish, wait_until_done
from tests.builders.pipeline import INDEX_AND_CLUSTER, wait_for_audit
from tests.builders.processes import (
    archive_with_a_poor_index,
    assert_ended_as,
    consumers,
    random_history,
    undisturbed_run,
)

pytestmark = pytest.mark.process

A_ROUND = 80  # messages published for each two kills


@pytest.mark.parametrize(("distance", "kills"), [("calibrated", 50), ("euclidean", 16)])
@pytest.mark.timeout(900)  # a minute or two, but for a machine that others use
def test_killed_at_many_points_under_load_the_assignments_are_those_of_an_undisturbed_run(
    tmp_path: Path, running_broker: KafkaSettings, distance: str, kills: int
) -> None:
    chance = random.Random(5)
    messages = random_history(kills // 2 * A_ROUND, seed=5)
    undisturbed = undisturbed_run(tmp_path / "undisturbed", running_broker, messages, distance)
    settings = archive_with_a_poor_index(tmp_path / "killed", running_broker, distance)
    with consumers(settings) as started:
        started.start("index")
        started.start("cluster")
        for round_ in range(kills // 2):
            for name in ("index", "cluster"):
                started.wait_until_taking_part(name)
            publish(settings.kafka, messages[round_ * A_ROUND : (round_ + 1) * A_ROUND])
            for victim in chance.sample(["index", "cluster"], 2):
                time.sleep(chance.uniform(0.0, 0.4))
                started.kill(victim)
                started.start(victim)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        wait_for_audit(settings)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        assert_ended_as(settings, undisturbed)


def test_standbys_of_index_and_cluster_take_over_when_the_owners_are_killed(
    tmp_path: Path, running_broker: KafkaSettings
) -> None:
    messages = random_history(1_200, seed=6)
    undisturbed = undisturbed_run(tmp_path / "undisturbed", running_broker, messages)
    settings = archive_with_a_poor_index(tmp_path / "killed", running_broker)
    with consumers(settings) as started:
        for name in ("index", "cluster"):
            for member in "ab":
                started.start(name, member)
        for start in range(0, 600, 100):
            publish(settings.kafka, messages[start : start + 100])
            time.sleep(0.3)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        owners = {name: started.owner(name) for name in ("index", "cluster")}
        publish(settings.kafka, messages[600:900])
        for name, member in owners.items():
            started.kill(name, member)
        publish(settings.kafka, messages[900:])
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER, within_s=120)
        wait_for_audit(settings)
        wait_until_done(settings.kafka, INDEX_AND_CLUSTER)
        for name, member in owners.items():
            assert started.owner(name) != member
        assert_ended_as(settings, undisturbed)
