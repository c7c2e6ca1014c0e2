"""A topic that does not continue where it was read up to is noticed and reported; on a broker of the module's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import SCANS, Checkpoint
from settings import KafkaSettings
from stream import clients
from stream.continuity import Break, Kind, Present, beside, breaks, continued, parted
from stream.lag import lag_reader
from stream.records import Positions, RestoredStep
from tests.builders.clock import wait_until
from tests.builders.kafka import broker, commit, lose_records_after, publish, recreate
from tests.builders.transforms import running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream.echo import echo

PRESENT = Present({"scans": "new"}, {("scans", 0): 10, ("scans", 1): 0}, {("scans", 0): 50, ("scans", 1): 5})


def lag(kafka: KafkaSettings, group: str) -> int:
    with lag_reader(kafka) as reader:
        return reader.lags({group: [SCANS]})[group]


def lines(kafka: KafkaSettings, group: str) -> list[str]:
    with lag_reader(kafka) as reader:
        return [one.line for one in reader.progress({group: [SCANS]})[group].breaks]


def restore(_: Positions) -> RestoredStep:
    return RestoredStep(echo)


@pytest.mark.parametrize(
    ("had", "kind", "position"),
    [
        (Checkpoint(20, "new"), None, 20),
        (Checkpoint(20), None, 20),
        (Checkpoint(50, "new"), None, 50),
        (Checkpoint(20, "old"), Kind.RECREATED, 10),
        (Checkpoint(51, "new"), Kind.SHORTENED, 50),
        (Checkpoint(9, "new"), Kind.DELETED, 10),
    ],
)
def test_a_checkpoint_continues_in_the_same_topic_between_its_beginning_and_its_end(
    had: Checkpoint, kind: Kind | None, position: int
) -> None:
    found = breaks({("scans", 0): had, ("scans", 7): Checkpoint(3)}, PRESENT)
    assert found == ([] if kind is None else [Break("scans", kind, {0: (had.offset, position)})])
    both = [("scans", 0), ("scans", 1)]
    assert continued(both, {("scans", 0): had}, PRESENT) == {("scans", 0): position, ("scans", 1): 0}


@pytest.mark.parametrize("metadata", ["", "5", '{"unfinished": 1}', "two\nlines"])
def test_checkpoint_metadata_is_the_same_beside_a_topics_id_and_without_one(metadata: str) -> None:
    topic_id = "6ce5161b-2f34-47f8-b6e0-69469b882a2d"
    assert parted(beside(topic_id, metadata)) == (topic_id, metadata)
    assert parted(metadata) == ("", metadata)
    assert parted(None) == ("", "")


def test_an_offset_beyond_the_end_is_reported_and_what_is_published_next_is_read(
    kafka: KafkaSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    commit(kafka, "beyond", {("scans", number): 1_000 for number in range(SCANS.partitions)})
    assert lag(kafka, "beyond") == 1
    assert (
        "the topic scans has lost records that were read (partition 0 ends at 0, read up to 1000"
        in (lines(kafka, "beyond")[0])
    )
    with running_transform(kafka, "beyond", restore):
        wait_until(lambda: not lines(kafka, "beyond"), "it is not noticed")
        publish(kafka, [scan(f"beyond-{number}") for number in range(20)])
        wait_until_scans_are_read(kafka, "beyond")
    assert len(times_analysed(kafka, "beyond-")) == 20
    assert capfd.readouterr().out.count("has lost records that were read") == 1


def test_records_that_are_deleted_before_they_are_read_are_reported(
    kafka: KafkaSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_transform(kafka, "retention", restore):
        wait_until_scans_are_read(kafka, "retention")
    publish(kafka, [scan(f"deleted-{number}") for number in range(100)])
    admin, reader = clients.admin(kafka), clients.consumer(kafka)
    policy = ConfigResource(ConfigResourceType.TOPIC, SCANS.name, configs={"cleanup.policy": "delete"})
    admin.alter_configs([policy])
    partitions = [TopicPartition(SCANS.name, number) for number in range(SCANS.partitions)]
    ends = reader.end_offsets(partitions)
    admin.delete_records({partition: end - 1 for partition, end in ends.items()})
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, SCANS.name, configs=SCANS.config)])
    admin.close()
    reader.close()
    assert lag(kafka, "retention") == SCANS.partitions
    assert "the topic scans has lost records before they were read" in lines(kafka, "retention")[0]
    with running_transform(kafka, "retention", restore):
        wait_until_scans_are_read(kafka, "retention")
    assert len(times_analysed(kafka, "deleted-")) == SCANS.partitions
    assert "has lost records before they were read" in capfd.readouterr().out


@pytest.mark.parametrize("while_it_runs", [True, False])
def test_a_topic_that_is_recreated_is_read_from_its_beginning(kafka: KafkaSettings, *, while_it_runs: bool) -> None:
    group = f"recreated-{while_it_runs}"
    publish(kafka, [scan(f"before-{number}") for number in range(40)])
    with running_transform(kafka, group, restore):
        wait_until_scans_are_read(kafka, group)
        if while_it_runs:
            recreate(kafka, SCANS)
            publish(kafka, [scan(f"{group}-{number}") for number in range(20)])
            wait_until(lambda: len(times_analysed(kafka, f"{group}-")) == 20, "scans do not arrive", 60)
    if not while_it_runs:
        recreate(kafka, SCANS)
        publish(kafka, [scan(f"{group}-{number}") for number in range(20)])
        assert lag(kafka, group) == 20
        with running_transform(kafka, group, restore):
            wait_until_scans_are_read(kafka, group)
    assert times_analysed(kafka, f"{group}-") == {f"{group}-{number}": 1 for number in range(20)}


def test_records_that_took_the_place_of_lost_ones_are_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A broker that loses its last records gives their offsets to others. Its leader epoch distinguishes them."""
    log = tmp_path / "kafka" / "log"
    with broker(tmp_path) as kafka, running_transform(kafka, "epochs", restore):
        publish(kafka, [scan("kept", "one")])
        wait_until_scans_are_read(kafka, "epochs")
        (segment,) = (path for path in log.glob("scans-*/*.log") if path.stat().st_size)
        kept = segment.stat().st_size
        publish(kafka, [*(scan("kept", f"lost-{number}") for number in range(3)), scan("another")])
        wait_until_scans_are_read(kafka, "epochs")
    lose_records_after(segment, kept)
    with broker(tmp_path) as kafka:
        publish(kafka, [scan("kept", f"in-its-place-{number}") for number in range(5)])
        before = times_analysed(kafka, "kept")["kept"]
        with running_transform(kafka, "epochs", restore):
            wait_until_scans_are_read(kafka, "epochs")
            assert times_analysed(kafka, "kept")["kept"] - before == 5
            # Of this partition nothing is read in the new epoch but the end of a transaction.
            producer = clients.producer(kafka, transactional_id="aborts")
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(SCANS.name, key=b"another", value=b"aborted").get(timeout=30)
            producer.abort_transaction()
            producer.close()
            wait_until_scans_are_read(kafka, "epochs")
        with running_transform(kafka, "epochs", restore):
            publish(kafka, [scan("another")])
            wait_until_scans_are_read(kafka, "epochs")
        assert times_analysed(kafka, "another")["another"] == 2
    assert capfd.readouterr().out.count("has lost records") == 1
