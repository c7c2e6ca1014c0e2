"""`facestream erase` where the broker and the database are somebody else's: with shards, generations, and kills.

An archive with an index of two shards, and a generation with an index of its own that is live; the first one was
retired. The search for what is left shares no code with the proof.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from psycopg import Connection

from catalogue.connection import connect
from cli.generation_consumers import run_catalogue, run_clusterer, run_index
from consumers import catalogue, index
from consumers.generations import parameters_of
from consumers.references import event_of
from producers.generations import definition
from schemas.clusters import Change, ClusterChanged, FaceAssigned
from schemas.codec import encode
from schemas.decisions import FaceNamed
from schemas.generations import GenerationPromoted, State
from schemas.references import ReferenceDrawn
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    NEIGHBOURS,
    REFERENCES,
    Record,
    of_generation,
    topic_of,
)
from settings import DatabaseSettings, KafkaSettings, Settings
from stream import clients
from stream.dead_letters import dead_letter_record
from stream.generations import read_generations
from stream.reading import latest_events, undecoded_until
from stream.records import Cause, Consumed, Rejected
from stream.stages import stages_with
from stream.topics import ensure_topics
from tests.builders.analyses import one_face_scans, people
from tests.builders.clock import NOON
from tests.builders.commands import Facestream, facestream_json
from tests.builders.decisions import named
from tests.builders.generations import archive_settings, places_of
from tests.builders.kafka import Run, publish, publish_record, running, wait_until_done
from tests.builders.killed import kill_at
from tests.builders.references import reference

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(1200)]

SHARDS = 2
VECTORS = people(60, a_person=12, seed=5)
# Clusters are called after their oldest face: this one's id is in what happened to clusters too.
GONE, OTHER = "face-0000", "face-0030"
GREEN = "green"

CLUSTERER: Run = partial(run_clusterer, generation=GREEN, max_rate=None)
OTHERS: Sequence[Run] = [
    *(partial(index.run, shard=number, shards=SHARDS) for number in range(SHARDS)),
    catalogue.run,
    partial(run_index, generation=GREEN, max_rate=None),
    partial(run_catalogue, generation=GREEN),
]


def wait_for_all(settings: Settings) -> None:
    stages = stages_with(read_generations(settings.kafka), SHARDS)
    wait_until_done(settings.kafka, {name: topics for name, topics in stages.items() if name != "detect"})


@pytest.fixture
def archive(
    tmp_path: Path, empty_kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """It has ended: nobody runs."""
    settings = archive_settings(tmp_path / "data", empty_kafka, database, monkeypatch)
    neighbours = of_generation(NEIGHBOURS, GREEN)
    green = definition(GREEN, parameters_of(settings.clustering), State.BUILT, NOON, neighbours=neighbours)
    ensure_topics(settings.kafka, [of_generation(one, GREEN) for one in (NEIGHBOURS, ASSIGNMENTS, CLUSTERS)])
    promoted = GenerationPromoted(
        generation=GREEN,
        former="blue",
        assignments=green.assignments,
        clusters=green.clusters,
        promoted_at=NOON,
        author="Ann",
    )
    blue = definition("blue", parameters_of(settings.clustering), State.RETIRED, NOON)
    banks = [VECTORS[30:50], VECTORS[:20]]
    messages = [
        blue,
        green,
        promoted,
        ClusterChanged(cluster_id=OTHER, change=Change.MERGED, size=0, successor=GONE),
        *one_face_scans(VECTORS),
        event_of(reference(*banks), NOON),
        named(1, GONE, "anna"),
        named(2, OTHER, "bert"),
    ]
    publish(settings.kafka, messages)
    record = encode(named(3, GONE, "carl"), event_id="1", time=NOON)
    rejected = Rejected(Consumed(topic_of(messages[-1]).name, 0, 0, record), "somebody's own", Cause.INVALID)
    publish_record(settings.kafka, DEAD_LETTERS, dead_letter_record(rejected, "cluster", NOON))
    # A change that nobody can read; and a topic of somebody else's, which is called as one of a generation would be.
    publish_record(settings.kafka, CLUSTERS, Record(b"elsewhere", f'{{"parts": ["{GONE}"]}}'.encode()))
    foreign = replace(ASSIGNMENTS, name="assignments-copy", partitions=1)
    ensure_topics(settings.kafka, [foreign])
    publish_record(settings.kafka, foreign, Record(GONE.encode(), b"theirs"))
    with running(settings, CLUSTERER, *OTHERS):
        wait_for_all(settings)
    yield settings


def left_on_the_broker(settings: Settings) -> list[str]:
    """The topics that hold the face, other than as the key of a tombstone; and those of nobody's generation."""
    needles = needles_of()
    reader = clients.consumer(settings.kafka)
    names = [name for name in reader.topics() if not name.startswith("__")]
    ends = {name: {(name, one): 0 for one in reader.partitions_for_topic(name) or ()} for name in names}
    reader.close()
    found = []
    for name, partitions in ends.items():
        with_ends = end_offsets(settings, partitions)
        records = list(undecoded_until(settings.kafka, with_ends))
        if any(needle in (one.value or b"") for one in records for needle in needles):
            found.append(name)
    return sorted(found)


def end_offsets(settings: Settings, partitions: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    from kafka import TopicPartition

    reader = clients.consumer(settings.kafka)
    ends = reader.end_offsets([TopicPartition(*one) for one in partitions])
    reader.close()
    return {(one.topic, one.partition): end for one, end in ends.items()}


def needles_of() -> list[bytes]:
    """The id and parts of the embedding, as bytes and in base64 behind none, one or two other bytes."""
    embedding = VECTORS[0].astype("<f4").tobytes()
    texts = [base64.b64encode(b"\0" * phase + embedding)[8:-8] for phase in range(3)]
    parts = [embedding[at : at + 16] for at in range(0, 480, 32)]
    return [GONE.encode(), *parts, *(text[at : at + 24] for text in texts for at in range(0, 600, 60))]


def left_in_files(settings: Settings) -> list[str]:
    files = [path for path in settings.data.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(needle in path.read_bytes() for needle in needles_of())]


def left_in_tables(tables: Connection) -> list[str]:
    names = tables.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    numbers = str(float(VECTORS[0][0]))[:9]
    return [
        name
        for (name,) in names
        if tables.execute(
            f"SELECT 1 FROM {name} one WHERE strpos(one::text, %s) > 0 OR strpos(one::text, %s) > 0".encode(),
            (GONE, numbers),
        ).fetchall()
    ]


def clusters_of(settings: Settings) -> dict[str, str]:
    """The cluster of each face in the live generation."""
    topic = of_generation(ASSIGNMENTS, GREEN)
    return latest_events(settings.kafka, topic, FaceAssigned, lambda one: one.cluster_id or "none")


def kill_each(*steps: tuple[str, str, int]) -> None:
    """Go on with the erasure, to each of these steps."""
    for step, when, calls in steps:
        kill_at(step, ("erase",), when, calls)


def test_killed_at_every_step_and_with_its_consumers_an_erasure_goes_on_and_leaves_nothing(
    archive: Settings, facestream: Facestream
) -> None:
    before = clusters_of(archive)
    oldest = min(one for one, cluster in before.items() if cluster == GONE != one)
    with connect(archive.database) as tables:
        assert {"faces", "all_assignments", "decisions"} <= set(left_in_tables(tables))
    assert {"faces", "neighbours", "neighbours-green", "clusters", "clusters-green"} <= set(left_on_the_broker(archive))
    assert left_in_files(archive)
    shown = facestream("erase", "--face", GONE, "--dry-run", "--json").json_lines()
    assert [one["face_id"] for one in shown[0]["faces"]] == [GONE]

    # Nobody reads what it publishes yet. What it sends first is sent once only.
    kill_at("cli.erase_files:begin", ("erase", "--face", GONE, "--yes"), "after")
    kill_each(
        ("producers.erasing:send", "after", 1),
        ("cli.erase_steps:copy", "after", 1),
        ("producers.erasing:send", "after", 2),
        ("producers.erasing:send", "after", 3),
        ("producers.erasing:change_generations", "after", 1),
        ("producers.erasing:send", "after", 4),
        ("cli.erase_waits:Waiting.wait", "before", 1),
    )
    # What consumers do when they see it.
    kill_at("consumers.erased:IndexErasure._save", ("index", "--shard", "0/2", "--member", "0"), "before")
    kill_at("index.snapshot:delete_all_but", ("index", "--shard", "0/2", "--member", "0"), "before")
    kill_at("consumers.erased:_Due.mark", ("index", "--generation", GREEN, "--member", "0"), "before")
    kill_at("consumers.catalogue:CatalogueSink.write", ("catalogue", "--member", "0"), "after")
    with ThreadPoolExecutor(1) as pool, running(archive, *OTHERS):
        cluster = ("cluster", "--generation", GREEN, "--member", "0")
        clusterer = pool.submit(kill_at, "clustering.snapshot:delete_all_but", cluster, "before")
        kill_each(
            ("cli.erase_waits:Waiting.wait", "after", 1),
            ("producers.erasing_logs:send", "after", 1),
            ("stream.log_copies:_copy", "after", 1),
            ("stream.log_copies:_delete_before", "after", 2),
            ("cli.erase_waits:Waiting.wait", "before", 2),
        )
        clusterer.result()
        with running(archive, CLUSTERER):
            kill_each(
                ("catalogue.erasing:delete_rows", "after", 1),
                ("catalogue.erasing:vacuum", "after", 1),
                ("stream.rolling:roll", "after", 1),
                ("cli.erase_files:end", "before", 1),
            )
            # In a process of its own: what consumers log here is none of its output.
            (report,) = facestream_json("erase")
            wait_for_all(archive)

    assert report["is_erased"]
    assert report["erased"] == {"scans": 0, "faces": 1, "embeddings": 1, "decisions": 1}
    assert report["searched"]["topics"] == 13
    assert report["searched"]["tables"] > 10
    assert any("disks and backups of the brokers" in one for one in report["elsewhere"])
    assert any("write-ahead log, replicas and backups of the database" in one for one in report["elsewhere"])
    assert GONE not in json.dumps(report)
    assert left_on_the_broker(archive) == []
    assert left_in_files(archive) == []
    with connect(archive.database) as tables:
        assert left_in_tables(tables) == []
    names = latest_events(archive.kafka, topic_of(named(1, "a", "b")), FaceNamed, lambda one: one.face_id)
    assert list(names.values()) == [OTHER]
    (drawn,) = latest_events(archive.kafka, REFERENCES, ReferenceDrawn, lambda one: one).values()
    assert VECTORS[0].astype("<f4").tobytes() not in b"".join(drawn.banks)
    after = clusters_of(archive)
    assert after == places_of(archive, GREEN)
    assert after.keys() == before.keys() - {GONE}
    assert {one: it for one, it in after.items() if it == before[one]} == {
        one: it for one, it in before.items() if it != GONE
    }
    assert {it for one, it in after.items() if before[one] == GONE} == {oldest}
    changes = latest_events(archive.kafka, of_generation(CLUSTERS, GREEN), ClusterChanged, lambda one: one.change)
    assert changes[oldest] is not Change.RETIRED
