"""Taking records into the tables, with their offsets, in one transaction.

Each topic has tables of its own, so topics may come in any order. Within a partition order is kept, and a record is
taken once: one that lies before the stored offset was taken by a transaction whose end the caller did not hear of, or
by another process. An analysis never gives way to an older one, also where offsets were set back to read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString, Protocol

from psycopg import Connection

from catalogue import rows, tables
from catalogue.reader import offsets
from schemas.base import Event
from schemas.clusters import ClusterChanged, FaceAssigned
from schemas.dead_letters import DeadLetter
from schemas.decisions import Decision
from schemas.faces import ScanAnalysed
from schemas.scans import ScanPublished
from schemas.topics import ASSIGNMENTS, CLUSTERS, DEAD_LETTERS, FACES, LABELS, SCANS, Tombstone

CONSUMER = "catalogue"

# Any number that nobody else locks; held while a batch is written, so that two writers take turns.
_LOCK = 4_051_998_002


class Received(Protocol):
    """A record that was read and understood, and where it stood."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def partition(self) -> int:
        """The partition's number."""

    @property
    def offset(self) -> int:
        """The record's own offset."""

    @property
    def message(self) -> rows.Message:
        """What it says."""


def write(
    connection: Connection,
    records: Sequence[Received],
    positions: Mapping[tuple[str, int], int],
    consumer: str = CONSUMER,
) -> None:
    """Take records, in the order of their partitions, and the offsets after them. All of it or nothing.

    A record that no row can hold is noted in `dead_letters` with the reason, and passed over. Raises
    psycopg.OperationalError when the database is away; the same call can then be made again.
    """
    with connection.transaction():
        # A crash of the machine may take the last commits away. Their offsets go with them, so they are read again.
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        stored = offsets(connection, consumer)
        fresh = [it for it in records if it.offset >= stored.get((it.topic, it.partition), 0)]
        refused = {id(it): reason for it in fresh if (reason := rows.unfit(it.message))}
        by_topic: dict[str, list[Received]] = {}
        for received in fresh:
            if id(received) not in refused:
                by_topic.setdefault(received.topic, []).append(received)
        _write_scans(connection, by_topic.get(SCANS.name, ()))
        _write_faces(connection, by_topic.get(FACES.name, ()))
        _write_assignments(connection, by_topic.get(ASSIGNMENTS.name, ()))
        _write_decisions(connection, by_topic.get(LABELS.name, ()))
        _write_changes(connection, by_topic.get(CLUSTERS.name, ()))
        _write_dead_letters(connection, by_topic.get(DEAD_LETTERS.name, ()))
        _note_refused(connection, [(it, refused[id(it)]) for it in fresh if id(it) in refused], consumer)
        _store_offsets(connection, consumer, positions)


def _write_scans(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    published = [rows.scan(it.message) for it in latest.values() if isinstance(it.message, ScanPublished)]
    tables.replace(connection, tables.SCANS, list(latest), published)


def _write_faces(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    stored = tables.analyses(connection, tables.ANALYSES, list(latest))
    newer = {scan_id: it for scan_id, it in latest.items() if it.offset >= stored.get(scan_id, 0)}
    analyses = [(it.offset, it.message) for it in newer.values() if isinstance(it.message, ScanAnalysed)]
    tables.replace(connection, tables.ANALYSES, list(newer), [rows.analysis(*it) for it in analyses])
    tables.replace(connection, tables.FACES, list(newer), [row for it in analyses for row in rows.faces(*it)])


def _write_assignments(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    stored = tables.analyses(connection, tables.ASSIGNMENTS, list(latest))
    newer = {
        face_id: it.message
        for face_id, it in latest.items()
        if not (isinstance(it.message, FaceAssigned) and it.message.analysis < stored.get(face_id, 0))
    }
    assigned = [rows.assignment(message) for message in newer.values() if isinstance(message, FaceAssigned)]
    tables.replace(connection, tables.ASSIGNMENTS, list(newer), assigned)


def _write_decisions(connection: Connection, records: Sequence[Received]) -> None:
    latest = _latest(records)
    decided = [rows.decision(it.message) for it in latest.values() if isinstance(it.message, Decision)]
    tables.replace(connection, tables.DECISIONS, list(latest), decided)


def _write_changes(connection: Connection, records: Sequence[Received]) -> None:
    changes = [
        rows.change(it.partition, it.offset, it.message) for it in records if isinstance(it.message, ClusterChanged)
    ]
    _execute_many(
        connection,
        "INSERT INTO cluster_changes VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        changes,
    )


_INSERT_DEAD_LETTER = """
    INSERT INTO dead_letters (topic, partition, "offset", consumer, key, reason, "time")
    VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now()))
    ON CONFLICT (topic, partition, "offset", consumer) DO UPDATE SET reason = EXCLUDED.reason, "time" = EXCLUDED."time"
"""


def _write_dead_letters(connection: Connection, records: Sequence[Received]) -> None:
    letters = [rows.dead_letter(it.message) for it in records if isinstance(it.message, DeadLetter)]
    _execute_many(connection, _INSERT_DEAD_LETTER, letters)


def _note_refused(connection: Connection, refused: Sequence[tuple[Received, str]], consumer: str) -> None:
    notes = [
        (it.topic, it.partition, it.offset, consumer, rows.key_of(it.message), rows.text(reason), None)
        for it, reason in refused
    ]
    _execute_many(connection, _INSERT_DEAD_LETTER, notes)


def _store_offsets(connection: Connection, consumer: str, positions: Mapping[tuple[str, int], int]) -> None:
    _execute_many(
        connection,
        """
        INSERT INTO offsets (consumer, topic, partition, next_offset) VALUES (%s, %s, %s, %s)
        ON CONFLICT (consumer, topic, partition)
        DO UPDATE SET next_offset = greatest(offsets.next_offset, EXCLUDED.next_offset)
        """,
        [(consumer, topic, partition, offset) for (topic, partition), offset in positions.items()],
    )


def _latest(records: Iterable[Received]) -> dict[str, Received]:
    # The records of a key all lie in one partition, so the last one met is the last one said.
    return {rows.text(it.message.key): it for it in records if isinstance(it.message, Event | Tombstone)}


def _execute_many(connection: Connection, statement: LiteralString, parameters: Sequence[rows.Row]) -> None:
    if parameters:
        with connection.cursor() as cursor:
            cursor.executemany(statement, parameters)
