"""Topics as they are, compared with what is declared; on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from cli.supervisor import as_environment
from errors import Fatal
from producers.publisher import Publisher
from schemas.topics import CLUSTERS, LABELS, SCANS, TOPICS, Topic
from settings import KafkaSettings, Settings
from stream import clients, topic_configs
from stream.records import RestoredStep
from stream.topic_states import TopicState, apply, compacts, topic_states, wanted_config
from stream.topics import ensure_topics
from tests.builders.clock import now
from tests.builders.commands import facestream, facestream_json, facestream_output
from tests.builders.kafka import publish, recreate
from tests.builders.transforms import running_transform, scan
from tests.stream.echo import echo


@pytest.fixture
def admin(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
    client = clients.admin(kafka)
    yield client
    client.close()


def state(admin: KafkaAdminClient, topic: Topic) -> TopicState:
    (found,) = topic_states(admin, [topic])
    return found


def configure(admin: KafkaAdminClient, topic: Topic, **config: str) -> None:
    named = {name.replace("_", "."): value for name, value in config.items()}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=named)])


def test_a_new_topic_has_the_brokers_replicas_and_is_configured_as_declared(
    kafka: KafkaSettings, admin: KafkaAdminClient
) -> None:
    assert kafka.replication_factor is None
    assert [one.topic for one in topic_states(admin, TOPICS)] == list(TOPICS)
    assert all(one.differing == {} and one.replicas == 1 for one in topic_states(admin, TOPICS))


def test_a_decision_that_is_confirmed_is_on_the_disk_or_on_two_brokers(admin: KafkaAdminClient) -> None:
    assert state(admin, LABELS).config["flush.messages"] == "1"
    assert wanted_config(LABELS, replicas=3)["min.insync.replicas"] == "2"
    assert "flush.messages" not in wanted_config(LABELS, replicas=3)
    assert "flush.messages" not in wanted_config(SCANS, replicas=1)


def test_a_retention_that_changed_in_the_code_is_reported_and_applied(
    kafka: KafkaSettings, admin: KafkaAdminClient
) -> None:
    longer = replace(CLUSTERS, retention=timedelta(days=730))
    assert ensure_topics(kafka, [longer, SCANS]) == [
        "topic clusters has retention.ms=31536000000, this program's is 63072000000: "
        "facestream topics --apply changes it"
    ]
    configure(admin, CLUSTERS, segment_ms="100000")
    apply(admin, [state(admin, longer)])
    assert state(admin, longer).differing == {}
    has = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, CLUSTERS.name, configs=None)])
    assert has["topic"][CLUSTERS.name]["segment.ms"]["value"] == "100000", "what is not declared stays as it is"
    apply(admin, [state(admin, CLUSTERS)])


def test_a_configuration_that_the_broker_refuses_or_does_not_show_is_an_error(admin: KafkaAdminClient) -> None:
    impossible = replace(CLUSTERS, retention=timedelta(days=-1))
    with pytest.raises(Fatal, match=r"refuses to configure topic clusters \(.*retention\.ms"):
        apply(admin, [state(admin, impossible)])
    with pytest.raises(Fatal, match="refuses to configure topic clusters"):
        topic_configs.alter(admin, {CLUSTERS.name: {"cleanup.policy": "none of these"}})
    # As where a user may not read it: kafka-python leaves out the broker's error.
    line = (
        "does not show how topic nowhere is configured: its user needs the right DescribeConfigs on the topic nowhere"
    )
    with pytest.raises(Fatal, match=line):
        topic_configs.topic_configs(admin, [CLUSTERS.name, "nowhere"])
    assert state(admin, CLUSTERS).differing == {}


@pytest.mark.process
def test_the_command_shows_what_differs_and_applies_it_also_where_nothing_else_starts(
    kafka: KafkaSettings, admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_environment(Settings(kafka=kafka)).items():
        monkeypatch.setenv(name, value)
    configure(admin, SCANS, cleanup_policy="delete")
    refused = facestream("reanalyse", "--all")
    assert refused.returncode == 1
    assert "cleanup.policy=delete, it must be compact: facestream topics --apply changes it" in refused.stderr
    rows = {row["topic"]: row for row in facestream_json("topics")}
    assert list(rows) == [topic.name for topic in TOPICS]
    assert rows["scans"]["differing"] == {"cleanup.policy": {"has": "delete", "wanted": "compact"}}
    assert (rows["scans"]["partitions"], rows["scans"]["replicas"]) == (8, 1)
    assert "1 would be changed: facestream topics --apply" in facestream_output("topics")
    failed = facestream("topics", "--check")
    assert (failed.returncode, "not as promised: scans; facestream topics --apply" in failed.stderr) == (1, True)
    assert "1 was changed" in facestream_output("topics", "--apply")
    assert state(admin, SCANS).differing == {}
    assert facestream("topics", "--check").returncode == 0


def test_what_is_deleted_from_a_compacted_topic_is_gone_within_the_hours_that_are_set(admin: KafkaAdminClient) -> None:
    config = wanted_config(SCANS, replicas=1, erased_within_h=8)
    assert (config["segment.ms"], config["max.compaction.lag.ms"]) == ("7200000", "7200000")
    assert state(admin, SCANS).config["max.compaction.lag.ms"] == str(6 * 3600 * 1000), "a day by default"
    assert "segment.ms" not in wanted_config(CLUSTERS, replicas=1), "a log is kept for its time"
    assert compacts(admin)


def test_more_partitions_are_refused_once_there_are_records_and_accepted_before(
    kafka: KafkaSettings, admin: KafkaAdminClient
) -> None:
    recreate(kafka, SCANS)
    admin.create_partitions({SCANS.name: 11})
    ensure_topics(kafka)
    publish(kafka, [scan(f"s{number}") for number in range(40)])
    ensure_topics(kafka)
    admin.create_partitions({SCANS.name: 16})
    line = (
        r"topic scans was given more partitions after it had records \(16 now\): what is deleted or replaced in one "
        r"partition stays in another; delete the topic, and publish the folders again \(facestream ingest\)"
    )
    with pytest.raises(Fatal, match=line):
        ensure_topics(kafka)
    recreate(kafka, SCANS)
    ensure_topics(kafka)


def test_consumers_and_publishers_that_run_refuse_partitions_that_are_added_meanwhile(
    kafka: KafkaSettings, admin: KafkaAdminClient
) -> None:
    recreate(kafka, SCANS)
    with Publisher(kafka, now, "scans", "again") as publisher:
        publisher.send(scan("one"))
        publisher.flush()
        publish(kafka, [scan(f"s{number}") for number in range(40)])
        with (
            pytest.raises(Fatal, match="topic scans was given more partitions"),
            running_transform(kafka, uuid4().hex, lambda _: RestoredStep(echo)) as run,
        ):
            admin.create_partitions({SCANS.name: 12})
            run.result(timeout=90)
        # It asks the broker every five minutes.
        publisher._producer._metadata.request_update()
        with pytest.raises(Fatal, match="topic scans was given more partitions"):
            for number in range(600):
                publisher.send(scan(f"t{number}"))
                time.sleep(0.05)
    recreate(kafka, SCANS)
