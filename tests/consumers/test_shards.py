"""Four shards as processes yield what one yields, and another number of shards is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.supervisor import as_environment
from consumers import cluster
from schemas.topics import FACES
from settings import KafkaSettings
from stream.shards import group_of
from tests.builders.commands import facestream
from tests.builders.kafka import publish, wait_until_done
from tests.builders.pipeline import wait_for_audit
from tests.builders.processes import (
    archive_with_a_poor_index,
    assert_ended_as,
    consumers,
    random_history,
    undisturbed_run,
)

pytestmark = pytest.mark.process

SHARDS = 4
STAGES = {group_of(shard, SHARDS): [FACES] for shard in range(SHARDS)} | {cluster.GROUP: cluster.TOPICS}


@pytest.mark.parametrize("distance", ["euclidean", "calibrated"])
def test_four_shards_yield_the_assignments_of_one_and_refuse_another_count(
    tmp_path: Path, running_broker: KafkaSettings, monkeypatch: pytest.MonkeyPatch, distance: str
) -> None:
    messages = random_history(1_000, seed=8)
    by_one = undisturbed_run(tmp_path / "one", running_broker, messages, distance)
    settings = archive_with_a_poor_index(tmp_path / "four", running_broker, distance)
    with consumers(settings) as started:
        started.start("cluster")
        for shard in range(SHARDS):
            started.start("index", f"of-{shard}", "--shard", f"{shard}/{SHARDS}")
        for start in range(0, 1_000, 250):
            publish(settings.kafka, messages[start : start + 250])
            wait_until_done(settings.kafka, STAGES, within_s=120)
        wait_for_audit(settings, SHARDS)
        wait_until_done(settings.kafka, STAGES)
        assert_ended_as(settings, by_one)

        for name, value in as_environment(settings).items():
            monkeypatch.setenv(name, value)
        for asked in ("0/1", "1/2"):
            refused = facestream("index", "--shard", asked, "--member", "another")
            assert refused.returncode == 1
            assert refused.stderr.strip().splitlines()[-1] == (
                f"facestream: these topics were indexed with a shard count of 4, not {asked[-1]}: "
                "go on with that, or start on topics of their own"
            )
