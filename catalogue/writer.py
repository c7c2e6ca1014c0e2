"""Writes records into the tables, with their offsets, in one transaction.

Each topic has its own tables, so topics may be read in any order. Within a partition records are written in order, each
once: a record before the stored offset was written already, by a transaction whose commit the caller did not learn of,
or by another process. A newer analysis is never replaced by an older one, also where offsets were reset to replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection

from catalogue import counts, known_labels, limits, rows, tables
from catalogue.reader import offsets
from catalogue.rows import Received
from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter
from schemas.decisions import Decision
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, CLUSTERS, DEAD_LETTERS, FACES, LABELS, SCANS, Tombstone

CONSUMER = "catalogue"

# An advisory lock's key that nothing else uses. The lock is held during a transaction, so that two writers take turns.
_LOCK = 4_051_998_002


def write(
    connection: Connection,
    records: Sequence[Received],
    positions: Mapping[tuple[str, int], int],
    consumer: str = CONSUMER,
) -> None:
    """Write records and `positions`, the offsets to read next by topic and partition, in one transaction.

    Records of a partition are given in order. Those before the stored offset of `consumer` are skipped; the stored
    offset is never lowered. A record that no row can hold gets a row in `dead_letters` with the reason instead.

    Raises psycopg.OperationalError when the database is unavailable; the same call can then be made again. Any other
    psycopg.Error does not go away by itself.
    """
    with connection.transaction():
        # A crash of the machine may lose the latest commits. Their offsets are lost with them, so they are read again.
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        stored = offsets(connection, consumer)
        accepted: dict[str, list[Received]] = {}
        refused: list[tuple[Received, str]] = []
        for record in records:
            if record.offset < stored.get((record.topic, record.partition), 0):
                continue
            reason = limits.violation(record.message)
            if reason is None:
                accepted.setdefault(record.topic, []).append(record)
            else:
                refused.append((record, reason))
        letters = _dead_letters(connection, accepted.get(DEAD_LETTERS.name, ()), refused, consumer)
        touched = _touched(accepted, letters).with_clusters_of_faces(connection)
        before = counts.counted(connection, touched)
        _write_scans(connection, accepted.get(SCANS.name, ()))
        _write_faces(connection, accepted.get(FACES.name, ()))
        _write_assignments(connection, accepted.get(ASSIGNMENTS.name, ()))
        _write_decisions(connection, accepted.get(LABELS.name, ()))
        _write_changes(connection, accepted.get(CLUSTERS.name, ()))
        _write_dead_letters(connection, letters)
        counts.add(connection, before, counts.counted(connection, touched))
        _store_offsets(connection, consumer, positions)


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
        (record.offset, record.message) for record in newer.values() if isinstance(record.message, ScanAnalysed)
    ]
    faces = [row for number, event in analyses for row in rows.faces(number, event)]
    tables.replace(connection, tables.ANALYSES, list(newer), [rows.analysis(*analysis) for analysis in analyses])
    tables.replace(connection, tables.FACES, list(newer), faces)


def _write_assignments(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    stored = tables.analyses(connection, tables.ASSIGNMENTS, list(latest))
    newer: list[str] = []
    assignments: list[rows.Row] = []
    for face_id, record in latest.items():
        if isinstance(record.message, FaceAssigned):
            if record.message.analysis < stored.get(face_id, 0):
                continue
            assignments.append(rows.assignment(record.message))
        newer.append(face_id)
    tables.replace(connection, tables.ASSIGNMENTS, newer, assignments)


def _write_decisions(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    decisions = [rows.decision(record.message) for record in latest.values() if isinstance(record.message, Decision)]
    # Of those that are replaced or deleted, and then of the new ones.
    touched = known_labels.touched_by(connection, list(latest))
    tables.replace(connection, tables.DECISIONS, list(latest), decisions)
    known_labels.update(connection, touched | known_labels.touched_by(connection, list(latest)))


def _write_changes(connection: Connection, records: Sequence[Received]) -> None:
    changes = [
        rows.cluster_change(record.partition, record.offset, record.message)
        for record in records
        if isinstance(record.message, ClusterChanged)
    ]
    tables.insert(connection, "cluster_changes", changes, on_conflict="ON CONFLICT DO NOTHING")


def _dead_letters(
    connection: Connection, records: Sequence[Received], refused: Sequence[tuple[Received, str]], consumer: str
) -> list[rows.Row]:
    """The rows of records of `dead-letters`, and of records that no row can hold."""
    letters = [rows.dead_letter(record.message) for record in records if isinstance(record.message, DeadLetter)]
    if refused:
        ((now,),) = connection.execute("SELECT now()")
        letters += [rows.refused_record(record, consumer, reason, now) for record, reason in refused]
    return letters


def _touched(accepted: Mapping[str, Sequence[Received]], letters: Sequence[rows.Row]) -> counts.Touched:
    scans = [key for topic in (SCANS, FACES) for key in _latest(accepted.get(topic.name, ()))]
    assignments = _latest(accepted.get(ASSIGNMENTS.name, ()))
    places = [record.message for record in assignments.values() if isinstance(record.message, FaceAssigned)]
    return counts.Touched(
        scans=[*scans, *(letter["key"] for letter in letters if letter["topic"] == SCANS.name and letter["key"])],
        faces=list(assignments),
        clusters=[rows.text(place.cluster_id) for place in places if place.cluster_id],
        letters=letters,
    )


def _write_dead_letters(connection: Connection, letters: Sequence[rows.Row]) -> None:
    tables.insert(
        connection,
        "dead_letters",
        letters,
        on_conflict="""
            ON CONFLICT (topic, partition, "offset", consumer)
            DO UPDATE SET reason = EXCLUDED.reason, "time" = EXCLUDED."time"
        """,
    )


def _store_offsets(connection: Connection, consumer: str, positions: Mapping[tuple[str, int], int]) -> None:
    tables.insert(
        connection,
        "offsets",
        [
            {"consumer": consumer, "topic": topic, "partition": partition, "next_offset": offset}
            for (topic, partition), offset in positions.items()
        ],
        on_conflict="""
            ON CONFLICT (consumer, topic, partition)
            DO UPDATE SET next_offset = greatest(offsets.next_offset, EXCLUDED.next_offset)
        """,
    )


def _latest(records: Iterable[Received]) -> dict[str, Received]:
    """The latest record of each key. Records of one key are in one partition, so the last one here is the latest."""
    return {
        rows.text(record.message.key): record for record in records if isinstance(record.message, Event | Tombstone)
    }
