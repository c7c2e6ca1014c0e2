"""Writes records into the tables, with their offsets, in one transaction.

Each topic has its own tables, so topics may be read in any order. Within a partition records are written in order, each
once: a record before the stored offset was written already, by a transaction whose commit the caller did not learn of,
or by another process. A newer analysis is never replaced by an older one, also where offsets were reset to replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import psycopg
import structlog
from psycopg import Connection

from catalogue import counts, dead_letters, generations, known_labels, limits, own_vectors, rows, tables
from catalogue.embedder import embedder_of
from catalogue.reader import checkpoints as checkpoints_of
from catalogue.reader import offsets
from catalogue.rows import Received
from schemas.base import Event
from schemas.claims import refused_claims
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.codec import made_at
from schemas.decisions import Decision
from schemas.faces import ScanAnalysed
from schemas.generations import FIRST
from schemas.scans import ScanPublished
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    FACES,
    GENERATIONS,
    LABELS,
    SCANS,
    Checkpoint,
    Tombstone,
    generation_of,
)
from telemetry.tracing import in_log

log = structlog.get_logger()

CONSUMER = "catalogue"

# What PostgreSQL says of values, and not of itself: classes 22, 23 and 54 of its error codes.
_OF_A_RECORD = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)

Checkpoints = Mapping[tuple[str, int], Checkpoint]
Refused = list[tuple[Received, str]]
"""Records that no row can hold, with the reasons."""

# What is written from each topic.
_TABLES_OF = {
    SCANS.name: ("scans", "kept_faces"),
    FACES.name: ("analyses", "faces"),
    ASSIGNMENTS.name: ("all_assignments",),
    CLUSTERS.name: ("all_cluster_changes",),
    GENERATIONS.name: ("generations",),
    LABELS.name: ("decisions", "known_labels"),
    DEAD_LETTERS.name: ("dead_letters",),
}

# For the transaction of a batch. A crash of the machine may lose the latest commits; their offsets are lost with them,
# so they are read again. A batch is about few rows, which have keys: without statistics, or with a plan from when
# tables were small, PostgreSQL would read whole tables for them. To compile a plan takes longer than to run one.
_FOR_A_BATCH = """
    SELECT set_config('synchronous_commit', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('jit', 'off', true)
"""

# An advisory lock's key that nothing else uses. The lock is held during a transaction, so that two writers take turns.
_LOCK = 4_051_998_002


def write(
    connection: Connection,
    records: Sequence[Received],
    positions: Mapping[tuple[str, int], int],
    consumer: str = CONSUMER,
) -> Refused:
    """Write records and `positions`, the offsets to read next by topic and partition: see `write_since`.

    Returns the records that no row can hold, with the reasons.
    """
    checkpoints = {one: Checkpoint(offset) for one, offset in positions.items()}
    refused: Refused = []
    write_since(connection, records, {}, checkpoints, consumer, lambda *one: refused.append(one))
    return refused


def write_since(
    connection: Connection,
    records: Sequence[Received],
    since: Mapping[tuple[str, int], int],
    checkpoints: Checkpoints,
    consumer: str,
    refused: Callable[[Received, str], None],
) -> bool:
    """Write records and the offsets to read next by topic and partition, with what is kept beside them.

    Records of a partition are given in order. Those before the stored offset of `consumer` are skipped; the stored
    offset is never lowered. A record that no row can hold gets a row in `dead_letters` with the reason instead, and
    `refused` is called with both once that is committed. Where only the database shows that, the records are written
    in halves, in transactions of their own, until it stands alone. False where a stored offset is before that of
    `since`: the records, or the later half of them, are not written then.

    Raises psycopg.OperationalError when the database is unavailable; the same call can then be made again. Any other
    psycopg.Error does not go away by itself.
    """

    def write(refusal: str | None = None) -> bool:
        those = _write(connection, records, since, checkpoints, consumer, refusal)
        for one in those or ():
            refused(*one)
        return those is not None

    try:
        return write()
    except psycopg.Error as error:
        if not records or not isinstance(error, _OF_A_RECORD):
            raise
        reason = f"PostgreSQL refuses it: {str(error).strip().partition(chr(10))[0]}"
    except Exception as error:
        if not records:
            raise
        reason = f"it cannot be written ({type(error).__name__}: {error})"
    if len(records) == 1:
        one = records[0]
        trace = in_log(one.record.headers)
        log.warning("refused", topic=one.topic, partition=one.partition, offset=one.offset, **trace)
        return write(reason[:500])
    first, second = records[: len(records) // 2], records[len(records) // 2 :]
    half = {
        partition: replace(checkpoints[partition], offset=offset)
        for partition, offset in {(it.topic, it.partition): it.offset + 1 for it in first}.items()
    }
    return write_since(connection, first, since, half, consumer, refused) and write_since(
        connection, second, since, checkpoints, consumer, refused
    )


def _write(
    connection: Connection,
    records: Sequence[Received],
    since: Mapping[tuple[str, int], int],
    checkpoints: Checkpoints,
    consumer: str,
    refusal: str | None = None,
) -> Refused | None:
    """Write in one transaction; the refused records, or None. refusal: why none of the records can be written."""
    with connection.transaction():
        connection.execute(_FOR_A_BATCH)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        stored = offsets(connection, consumer)
        if any(stored[partition] < offset for partition, offset in since.items() if partition in stored):
            return None
        accepted: dict[str, list[Received]] = {}
        refused: Refused = []
        for record in records:
            if record.offset < stored.get((record.topic, record.partition), 0):
                continue
            reason = refusal or limits.violation(record.message)
            if reason is None:
                accepted.setdefault(record.topic, []).append(record)
            else:
                refused.append((record, reason))
        refused += _take_refused_claims(connection, accepted)
        letters, settled = dead_letters.changes(connection, accepted.get(DEAD_LETTERS.name, ()), refused, consumer)
        touched = [it.with_clusters_of_faces(connection) for it in _touched(accepted, [*letters, *settled])]
        before = [counts.counted(connection, it) for it in touched]
        _write_scans(connection, accepted.get(SCANS.name, ()))
        _write_faces(connection, accepted.get(FACES.name, ()))
        for generation, records in _by_generation(accepted, FACES.name).items():
            if generation != FIRST:
                own_vectors.write(connection, _latest(records), generation)
        for generation, records in _by_generation(accepted, ASSIGNMENTS.name).items():
            _write_assignments(connection, records, generation)
        _write_decisions(connection, accepted.get(LABELS.name, ()))
        for generation, records in _by_generation(accepted, CLUSTERS.name).items():
            _write_changes(connection, records, generation)
        generations.write(connection, accepted.get(GENERATIONS.name, ()))
        dead_letters.write(connection, letters, settled)
        for it, earlier in zip(touched, before, strict=True):
            counts.add(connection, earlier, counts.counted(connection, it), it.generation)
        _store_offsets(connection, consumer, checkpoints)
    return refused


def _take_refused_claims(connection: Connection, accepted: Mapping[str, list[Received]]) -> Refused:
    """Take analyses with a face that another scan has from the accepted records; they with the reasons."""
    records = accepted.get(FACES.name, [])
    claims = [(rows.text(_key_of(record)), _face_ids(record)) for record in records]
    wanted = sorted({face_id for _, face_ids in claims for face_id in face_ids})
    if not wanted:
        return []
    owners: dict[str, str] = dict(
        connection.execute("SELECT face_id, scan_id FROM faces WHERE face_id = ANY(%s)", (wanted,)).fetchall()
    )
    refusals = refused_claims(claims, owners)
    refused = [(record, refusal) for record, refusal in zip(records, refusals, strict=True) if refusal]
    records[:] = [record for record, refusal in zip(records, refusals, strict=True) if refusal is None]
    return refused


def _key_of(record: Received) -> str:
    assert isinstance(record.message, Event | Tombstone)
    return record.message.key


def _face_ids(record: Received) -> list[str]:
    message = record.message
    return [rows.text(face.face_id) for face in message.faces] if isinstance(message, ScanAnalysed) else []


def drop(
    connection: Connection, topic: str, had: Checkpoints, beginning: Checkpoints, consumer: str = CONSUMER
) -> None:
    """Delete all rows that came from a topic, and store that it is read from `beginning` on, which has all partitions.

    Nothing happens where the stored offsets of the topic are not those of `had`: somebody else was here. Raises
    psycopg.Error.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        stored = checkpoints_of(connection, consumer)
        if {partition: one for partition, one in stored.items() if partition[0] == topic} != had:
            return
        base, generation = generation_of(topic)
        own = (own_vectors.table_of(generation),) if base == FACES.name and generation != FIRST else ()
        for table in own or _TABLES_OF[base]:
            tables.empty(connection, table, generation if table.startswith("all_") else None)
        if base == GENERATIONS.name:
            generations.forget_promotions(connection)
        counts.count_again(connection)
        connection.execute("DELETE FROM offsets WHERE consumer = %s AND topic = %s", (consumer, topic))
        _store_offsets(connection, consumer, beginning)


def _write_scans(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    scans = [record.message for record in latest.values() if isinstance(record.message, ScanPublished)]
    tables.replace(connection, tables.SCANS, list(latest), [rows.scan(scan) for scan in scans])
    kept_faces = [row for scan in scans for row in rows.kept_faces(scan)]
    tables.replace(connection, tables.KEPT_FACES, list(latest), kept_faces)


def _write_faces(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    stored = tables.analyses(connection, tables.ANALYSES, list(latest))
    newer = {scan_id: record for scan_id, record in latest.items() if record.offset >= stored.get(scan_id, 0)}
    analyses = [
        (record.offset, record.message, made_at(record.record))
        for record in newer.values()
        if isinstance(record.message, ScanAnalysed)
    ]
    held = embedder_of(connection) if analyses else ""
    faces = [row for number, event, _ in analyses for row in rows.faces(number, event, held)]
    tables.replace(connection, tables.ANALYSES, list(newer), [rows.analysis(*analysis) for analysis in analyses])
    tables.replace(connection, tables.FACES, list(newer), faces)


def _by_generation(accepted: Mapping[str, list[Received]], base: str) -> dict[str, list[Received]]:
    """The accepted records of the topics that stand beside `base`, itself included, by generation."""
    places = {topic: generation_of(topic) for topic in accepted}
    return {generation: accepted[topic] for topic, (name, generation) in places.items() if name == base}


def _write_assignments(connection: Connection, records: Sequence[Received], generation: str) -> None:
    latest = _latest(records)
    table = tables.assignments(generation)
    stored = tables.analyses(connection, table, list(latest))
    newer: list[str] = []
    assignments: list[rows.Row] = []
    for face_id, record in latest.items():
        if isinstance(record.message, FaceAssigned):
            if record.message.analysis < stored.get(face_id, 0):
                continue
            assignments.append(rows.assignment(record.message, generation))
        newer.append(face_id)
    tables.replace(connection, table, newer, assignments)


def _write_decisions(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    decisions = [rows.decision(record.message) for record in latest.values() if isinstance(record.message, Decision)]
    # Of those that are replaced or deleted, and then of the new ones.
    touched = known_labels.touched_by(connection, list(latest))
    tables.replace(connection, tables.DECISIONS, list(latest), decisions)
    known_labels.update(connection, touched | known_labels.touched_by(connection, list(latest)))


def _write_changes(connection: Connection, records: Sequence[Received], generation: str) -> None:
    changes = [
        rows.cluster_change(record.partition, record.offset, record.message, generation)
        for record in records
        if isinstance(record.message, ClusterChanged)
    ]
    tables.insert(connection, "all_cluster_changes", changes, on_conflict="ON CONFLICT DO NOTHING")


def _touched(accepted: Mapping[str, list[Received]], letters: Sequence[rows.Row]) -> list[counts.Touched]:
    """What the batch may change the counts of, for each generation: one at least."""
    scans = [key for topic in (SCANS, FACES) for key in _latest(accepted.get(topic.name, ()))]
    scans += [letter["key"] for letter in letters if letter["topic"] == SCANS.name and letter["key"]]
    of_generations = [
        counts.Touched((), list(latest), _cluster_ids(latest.values()), (), generation)
        for generation, records in _by_generation(accepted, ASSIGNMENTS.name).items()
        for latest in (_latest(records),)
    ]
    first, *others = of_generations or [counts.Touched((), (), (), ())]
    return [replace(first, scans=scans, letters=letters), *others]


def _cluster_ids(records: Iterable[Received]) -> list[str]:
    places = [record.message for record in records if isinstance(record.message, FaceAssigned)]
    return [rows.text(place.cluster_id) for place in places if place.cluster_id]


def _store_offsets(connection: Connection, consumer: str, checkpoints: Checkpoints) -> None:
    tables.insert(
        connection,
        "offsets",
        [
            {
                "consumer": consumer,
                "topic": topic,
                "partition": partition,
                "next_offset": one.offset,
                "topic_id": one.topic_id or None,
                "leader_epoch": one.leader_epoch if one.leader_epoch >= 0 else None,
            }
            for (topic, partition), one in checkpoints.items()
        ],
        on_conflict="""
            ON CONFLICT (consumer, topic, partition)
            DO UPDATE SET next_offset = greatest(offsets.next_offset, EXCLUDED.next_offset),
                topic_id = coalesce(EXCLUDED.topic_id, offsets.topic_id),
                leader_epoch = coalesce(EXCLUDED.leader_epoch, offsets.leader_epoch)
        """,
    )


def _latest(records: Iterable[Received]) -> dict[str, Received]:
    """The latest record of each key. Records of one key are in one partition, so the last one here is the latest."""
    return {
        rows.text(record.message.key): record for record in records if isinstance(record.message, Event | Tombstone)
    }
