"""`facestream dead-letters` on a real broker and a real PostgreSQL: what is listed, sent again and dropped."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import pytest
from psycopg import Connection

from catalogue.writer import write
from cli import printing
from cli.logs import log_to_stderr
from schemas.codec import encode
from schemas.dead_letters import DeadLetter, encode_dead_letter
from schemas.topics import DEAD_LETTERS, FACES, SCANS, NotUtf8, Record, Tombstone
from settings import KafkaSettings
from stream import clients
from stream.reading import undecoded_until
from stream.records import Output, Received, Rejected, RestoredStep
from stream.topic_configs import alter, reset
from tests.builders.catalogue import WriteMessages, analysed, dead
from tests.builders.clock import NOON
from tests.builders.commands import Facestream
from tests.builders.kafka import all_of, name_broker, no_transaction_is_open, publish, publish_foreign
from tests.builders.transforms import running_transform, scan, wait_until_scans_are_read
from tests.stream import echo


@pytest.fixture
def configured(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """The commands of the test use this broker."""
    name_broker(kafka, monkeypatch)
    monkeypatch.setattr(printing.console, "_width", 250)
    # What the consumers of the test log is not what a command prints.
    log_to_stderr()
    return kafka


def read_into_the_catalogue(kafka: KafkaSettings, connection: Connection) -> None:
    """As the catalogue consumer does."""
    for topic in (SCANS, FACES, DEAD_LETTERS):
        received = all_of(kafka, topic)
        write(connection, received, {(one.topic, one.partition): one.offset + 1 for one in received})


def records_of(kafka: KafkaSettings, key: bytes) -> list[Record]:
    """The records of a key in `scans`, in their order."""
    ends = {(one.topic, one.partition): one.offset + 1 for one in all_of(kafka, SCANS)}
    consumed = undecoded_until(kafka, ends)
    return [Record(one.key, one.value, tuple(one.headers)) for one in consumed if one.key == key]


def test_what_can_be_used_now_is_sent_again_as_it_was(
    configured: KafkaSettings, connection: Connection, facestream: Facestream
) -> None:
    kafka = configured
    is_mended = [False]

    def sometimes(batch: Sequence[Received]) -> list[Output]:
        return echo.echo(batch) if is_mended[0] else [Rejected(one, "the networks are gone") for one in batch]

    whole = encode(scan("again"), event_id="42", time=NOON)
    foreign = Record(whole.key, whole.value, (*whole.headers, ("x", b"\xff"), ("x", b"")))
    publish_foreign(kafka, SCANS, [foreign])
    publish(kafka, [scan("superseded"), scan("withdrawn"), scan("dropped")])
    with running_transform(kafka, "stage", lambda _: RestoredStep(sometimes)):
        wait_until_scans_are_read(kafka, "stage")
    is_mended[0] = True
    publish(kafka, [scan("superseded", "newer"), Tombstone(SCANS, "withdrawn")])
    read_into_the_catalogue(kafka, connection)
    listed = {one["key"]: one["id"] for one in facestream("dead-letters", "--json", "--stage", "stage").json_lines()}
    assert listed.keys() == {"again", "superseded", "withdrawn", "dropped"}

    dropped = facestream("dead-letters", "drop", listed["dropped"], "--json").json_lines()
    assert dropped == [{"id": listed["dropped"], "result": "dropped", "reason": None}]
    read_into_the_catalogue(kafka, connection)
    retried = facestream("dead-letters", "retry", "--reason", "NETWORKS", "--json").json_lines()
    results = {one["id"]: (one["result"], (one["reason"] or "")[:28]) for one in retried}
    assert results == {
        listed["again"]: ("retried", ""),
        listed["superseded"]: ("left", "a later record of its key fo"),
        listed["withdrawn"]: ("left", "a later record of its key fo"),
    }
    first, second = records_of(kafka, b"again")
    assert first == foreign
    assert second == Record(foreign.key, foreign.value, (*foreign.headers, ("retry_attempts", b"1")))
    assert len(records_of(kafka, b"dropped")) == 1

    with running_transform(kafka, "stage", lambda _: RestoredStep(sometimes)):
        wait_until_scans_are_read(kafka, "stage")
    read_into_the_catalogue(kafka, connection)
    left = facestream("dead-letters", "list", "--json", "--stage", "stage").json_lines()
    # Of the one that was superseded, a later record was analysed.
    assert {one["key"]: one["resolved"] for one in left} == {"superseded": True, "withdrawn": False}
    assert facestream("dead-letters", "retry", listed["superseded"]).out.startswith(
        f"{listed['superseded']}: left, its scan was analysed since"
    )
    assert "resolved: its scan was analysed since" in facestream("dead-letters").out


def test_a_retried_record_that_fails_again_counts_its_attempts(
    configured: KafkaSettings, connection: Connection, facestream: Facestream
) -> None:
    kafka = configured
    publish_foreign(kafka, SCANS, [Record(b"hopeless", b"{", ((NotUtf8(b"\xff"), b"1"),))])
    for attempts in range(3):
        with running_transform(kafka, "count", lambda _: RestoredStep(echo.echo)):
            wait_until_scans_are_read(kafka, "count")
        read_into_the_catalogue(kafka, connection)
        hopeless = facestream("dead-letters", "--stage", "count", "--json").json_lines()
        (letter_id,) = [one["id"] for one in hopeless if one["key"] == "hopeless"]
        (shown,) = facestream("dead-letters", "show", letter_id, "--json").json_lines()
        assert (shown["attempts"], base64.b64decode(shown["original"]["value"])) == (attempts, b"{")
        assert facestream("dead-letters", "retry", letter_id).code == 0
    assert "header \\xff" in facestream("dead-letters", "show", letter_id).out


def test_an_original_that_its_topic_no_longer_takes_is_left_and_the_others_are_sent(
    configured: KafkaSettings, connection: Connection, facestream: Facestream
) -> None:
    kafka = configured
    bad = {b"small-1": b"{", b"large": os.urandom(300_000), b"small-2": b"{"}
    publish_foreign(kafka, SCANS, [Record(key, value, ()) for key, value in bad.items()])
    with running_transform(kafka, "shrunk", lambda _: RestoredStep(echo.echo)):
        wait_until_scans_are_read(kafka, "shrunk")
    read_into_the_catalogue(kafka, connection)

    def listed() -> dict[str, str]:
        """Those on the list, by the keys of their originals."""
        lines = facestream("dead-letters", "--stage", "shrunk", "--json").json_lines()
        return {one["key"]: one["id"] for one in lines if one["key"].encode() in bad}

    with closing(clients.admin(kafka)) as admin:
        alter(admin, {SCANS.name: {"max.message.bytes": "100000"}})
        try:
            retried = facestream("dead-letters", "retry", *listed().values(), "--json").json_lines()
            assert facestream("dead-letters", "retry", listed()["large"]).code == 0
            for topic in (SCANS, DEAD_LETTERS):
                assert no_transaction_is_open(kafka, topic), "consumers would wait for its end, a minute"
        finally:
            reset(admin, {SCANS.name: ["max.message.bytes"]})
    assert Counter((one["result"], one["reason"]) for one in retried) == {
        ("retried", None): 2,
        ("left", "its original is larger than the topic takes"): 1,
    }
    read_into_the_catalogue(kafka, connection)
    assert listed().keys() == {"large"}


def test_a_forged_dead_letter_is_left(
    configured: KafkaSettings, connection: Connection, facestream: Facestream
) -> None:
    for number, topic in enumerate(("scans", "nowhere", "dead-letters")):
        forged = DeadLetter(Record(b"k", b"v"), topic, 99, number, "nobody", "forged", NOON)
        publish_foreign(configured, DEAD_LETTERS, [encode_dead_letter(forged, 1_000)])
    read_into_the_catalogue(configured, connection)
    retried = facestream("dead-letters", "retry", "--stage", "nobody", "--json").json_lines()
    assert {(one["result"], one["reason"]) for one in retried} == {
        ("left", "nothing is sent to that topic and partition")
    }
    assert len(facestream("dead-letters", "drop", "--stage", "nobody", "--json").json_lines()) == 3
    read_into_the_catalogue(configured, connection)
    assert facestream("dead-letters", "--stage", "nobody", "--json").json_lines() == []


def test_dead_letters_are_found_by_stage_reason_and_time(facestream: Facestream, write: WriteMessages) -> None:
    write("dead-letters", dead(b"1", "not a picture"), dead(b"2", "the file is empty", offset=1))
    for options, keys in (
        ([], {"1", "2"}),
        (["--stage", "detect"], {"1", "2"}),
        (["--stage", "index"], set()),
        (["--reason", "Empty"], {"2"}),
        (["--since", "1918-02-24", "--until", "1918-02-26"], {"1", "2"}),
        (["--since", "1919-01-01"], set()),
        (["--limit", "1"], {"2"}),
    ):
        for command in (["dead-letters"], ["dead-letters", "list"]):
            listed = facestream(*command, *options, "--json").json_lines()
            assert {one["key"] for one in listed} == keys, options
    write("faces", analysed("1"))
    assert not any(one["resolved"] for one in facestream("dead-letters", "--json").json_lines())


def test_what_is_asked_for_wrongly_is_one_line(configured: KafkaSettings, facestream: Facestream) -> None:
    assert configured
    for arguments, line in (
        (["retry"], "say which dead letters: their ids, --stage, --reason, --since, --until, or --all"),
        (["drop"], "say which dead letters"),
        (["show", "scans/0/999/detect"], "there is no dead letter scans/0/999/detect"),
        (["--json", "show", "x"], "give the options after the command"),
        # In any zone there is no day before the first one.
        (["--since", "0001-01-01"], "--since 0001-01-01 00:00:00: no moment of any time zone"),
        (["drop", "--until", "0001-01-01"], "--until 0001-01-01 00:00:00: no moment of any time zone"),
    ):
        ended = facestream("dead-letters", *arguments)
        assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
        assert line in ended.err
