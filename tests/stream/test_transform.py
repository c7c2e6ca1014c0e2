"""The loop on a real broker: no record is lost or processed twice, whatever happens to its processes."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from kafka import KafkaProducer
from kafka.errors import ProducerFencedError

from cli.supervisor import as_environment
from errors import Fatal, Retriable
from schemas.scans import ScanPublished
from schemas.topics import FACES, SCANS, Record, Tombstone
from settings import KafkaSettings, Settings
from stream.lag import lag_reader
from stream.member import Member
from stream.reading import read_to_end, read_until
from stream.records import Output, Positions, Publication, Received, RestoredStep
from stream.transform import seconds_until_next_snapshot
from tests.builders.clock import wait_until
from tests.builders.kafka import publish, publish_record
from tests.builders.transforms import dead_letters, running_transform, scan, times_analysed, wait_until_scans_are_read
from tests.stream import echo


@pytest.mark.process
def test_killed_members_lose_nothing_and_double_nothing(kafka: KafkaSettings) -> None:
    chance = random.Random(7)
    scans = [scan(f"kill-{number}") for number in range(600)]
    publish(kafka, scans)

    def start(member: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.stream.echo", str(member)]
        environment = os.environ | as_environment(Settings(kafka=kafka))
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    members = [start(number) for number in range(2)]
    try:
        for _ in range(6):
            time.sleep(chance.uniform(0.6, 1.6))
            victim = chance.randrange(2)
            members[victim].kill()
            members[victim].wait()
            members[victim] = start(victim)
        wait_until_scans_are_read(kafka, echo.GROUP, within_s=60)
    finally:
        for member in members:
            member.terminate()
        for member in members:
            member.wait(timeout=20)
    assert times_analysed(kafka, "kill-") == {one.scan_id: 1 for one in scans}


def test_a_bad_record_becomes_a_dead_letter_and_the_rest_goes_through(kafka: KafkaSettings) -> None:
    good = [scan(f"bad-{number}") for number in range(5)]
    garbage = Record(b"bad-x", b"\xff\xfenot json", (("ce_specversion", b"1.0"), ("ce_type", scan("x").type.encode())))
    publish(kafka, good[:2])
    publish_record(kafka, SCANS, garbage)
    publish(kafka, [scan("bad-y", "unusable"), *good[2:]])
    with running_transform(kafka, "bad", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "bad")
    assert times_analysed(kafka, "bad-") == {one.scan_id: 1 for one in good}
    by_key = {letter.original.key: letter for letter in dead_letters(kafka, "bad") if letter.original.key}
    assert by_key[b"bad-x"].original == garbage
    assert "Invalid JSON" in by_key[b"bad-x"].reason
    assert by_key[b"bad-y"].reason == "marked as unusable"
    assert by_key[b"bad-y"].topic == "scans"


def test_a_withdrawal_goes_through_in_order(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("gone"), Tombstone(SCANS, "gone")])
    with running_transform(kafka, "withdrawal", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "withdrawal")
    messages = [received.message for received in read_to_end(kafka, FACES) if received.record.key == b"gone"]
    assert isinstance(messages[-1], Tombstone)


def test_a_retriable_error_is_waited_out(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("retry-1")])
    tries = []

    def sometimes(batch: Sequence[Received]) -> list[Output]:
        tries.append(len(batch))
        if len(tries) < 3:
            raise Retriable("the store is away")
        return echo.echo(batch)

    with running_transform(kafka, "retry", lambda _: RestoredStep(sometimes), max_records=10_000):
        wait_until_scans_are_read(kafka, "retry")
    assert len(tries) >= 3
    assert times_analysed(kafka, "retry-") == {"retry-1": 1}


def test_a_retriable_error_does_not_hold_up_the_end(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("never-1")])
    tried = threading.Event()

    def never(_: Sequence[Received]) -> list[Output]:
        tried.set()
        raise Retriable("the store is away for good")

    with running_transform(kafka, "never", lambda _: RestoredStep(never)) as run:
        assert tried.wait(20)
    run.result(timeout=0)
    assert times_analysed(kafka, "never-") == {}


def test_a_step_that_fails_commits_nothing(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("fails-1")])

    def fails(_: Sequence[Received]) -> list[Output]:
        raise Fatal("the index is of another shard")

    with (
        running_transform(kafka, "fails", lambda _: RestoredStep(fails)) as run,
        pytest.raises(Fatal, match="another shard"),
    ):
        run.result(timeout=30)
    with lag_reader(kafka) as reader:
        assert reader.lags({"fails": [SCANS]})["fails"] > 0


def test_a_step_is_restored_at_the_committed_offsets(kafka: KafkaSettings) -> None:
    publish(kafka, [scan(f"state-{number}") for number in range(20)])
    restored: list[tuple[int, set[str]]] = []

    def restore_step(positions: Positions) -> RestoredStep:
        before = {
            received.message.key
            for received in read_until(kafka, positions)
            if isinstance(received.message, ScanPublished)
        }
        restored.append((sum(positions.values()), before))
        return RestoredStep(echo.echo)

    with running_transform(kafka, "state", restore_step):
        wait_until_scans_are_read(kafka, "state")
    publish(kafka, [scan("state-new")])
    with running_transform(kafka, "state", restore_step):
        wait_until_scans_are_read(kafka, "state")
    (first, nothing), (second, known) = restored[0], restored[-1]
    assert (first, nothing) == (0, set())
    assert second >= 20
    assert {f"state-{number}" for number in range(20)} <= known
    assert "state-new" not in known
    assert times_analysed(kafka, "state-new") == {"state-new": 1}


def test_the_outputs_of_a_restored_step_are_published(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("restored-1")])
    publication = Publication([Tombstone(FACES, "reconciled")])
    with running_transform(kafka, "restored", lambda _: RestoredStep(echo.echo, lambda _: [publication])):
        wait_until_scans_are_read(kafka, "restored")
    assert [received for received in read_to_end(kafka, FACES) if received.message == Tombstone(FACES, "reconciled")]


def test_a_second_member_of_one_name_ends_the_first_with_a_clear_line(kafka: KafkaSettings) -> None:
    with running_transform(kafka, "twins", lambda _: RestoredStep(echo.echo)) as first:
        wait_until_scans_are_read(kafka, "twins")
        with running_transform(kafka, "twins", lambda _: RestoredStep(echo.echo)) as second:
            time.sleep(2)
            publish(kafka, [scan(f"twins-{number}") for number in range(20)])
            with pytest.raises(Fatal, match="give each its own --member"):
                first.result(timeout=30)
            wait_until_scans_are_read(kafka, "twins")
            assert not second.done()
    assert set(times_analysed(kafka, "twins-").values()) == {1}


def test_a_member_whose_heartbeat_has_ended_stops_with_a_clear_line(kafka: KafkaSettings) -> None:
    member = Member(kafka, "silent", "0", [SCANS], threading.Event())
    try:
        member.poll(1)
        member._consumer._coordinator.heartbeat.last_send = time.monotonic() - 60
        member._consumer._coordinator.heartbeat.last_reset = time.monotonic() - 60
        with pytest.raises(Fatal, match="no longer a member of its group"):
            member._check_membership()
    finally:
        member.close()


def test_a_standby_takes_over(kafka: KafkaSettings) -> None:
    publish(kafka, [scan("standby-1")])
    with running_transform(kafka, "standby", lambda _: RestoredStep(echo.echo), "a"):
        wait_until_scans_are_read(kafka, "standby")
    publish(kafka, [scan("standby-2")])
    with running_transform(kafka, "standby", lambda _: RestoredStep(echo.echo), "b"):
        wait_until_scans_are_read(kafka, "standby")
    assert times_analysed(kafka, "standby-") == {"standby-1": 1, "standby-2": 1}


@pytest.mark.parametrize("seconds", [0.0, 1.0, 5.5, 60.0, 600.0])
def test_snapshots_take_a_twentieth_of_the_time_at_most_and_come_every_five_minutes_at_most(seconds: float) -> None:
    pause = seconds_until_next_snapshot(seconds)
    assert seconds / (seconds + pause) <= 0.05 + 1e-9
    assert pause >= 300
    assert seconds > 15 or pause == 300


def test_a_consumer_that_cannot_save_a_snapshot_goes_on(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.transform._SAVE_EVERY_S", 0.0)
    attempts: list[Positions] = []

    def save(positions: Positions) -> None:
        attempts.append(positions)
        raise OSError(errno.ENOSPC, "No space left on device")

    for number in range(2):
        publish(kafka, [scan(f"full-{number}")])
        with running_transform(kafka, "full", lambda _: RestoredStep(echo.echo, save=save)):
            wait_until_scans_are_read(kafka, "full")
            wait_until(lambda: attempts, "no attempt")
    assert times_analysed(kafka, "full-") == {"full-0": 1, "full-1": 1}


def test_a_commit_that_is_never_answered_ends_the_consumer_and_its_restart_goes_on(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: KafkaProducer) -> None:
        raise ProducerFencedError

    publish(kafka, [scan("silent")])
    with monkeypatch.context() as patch:
        patch.setattr("stream.transactions._COMMITTED_WITHIN_S", 0.5)
        patch.setattr(KafkaProducer, "commit_transaction", lambda _: threading.Event().wait(20))
        # As the broker answers once it has ended the transaction itself: which is not that another has taken over.
        patch.setattr(KafkaProducer, "abort_transaction", refused)
        with (
            running_transform(kafka, "silent", lambda _: RestoredStep(echo.echo)) as run,
            pytest.raises(Fatal, match=r"^silent lost the Kafka broker at .*no answer within 0 s"),
        ):
            run.result(timeout=60)
    with running_transform(kafka, "silent", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "silent", within_s=60)
    assert times_analysed(kafka, "silent") == {"silent": 1}
