"""Dead letters in the catalogue: which rows a batch writes and deletes, and queries for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row, dict_row

from catalogue import rows, tables
from catalogue.rows import Received
from schemas.dead_letters import DeadLetter, Settled, letter_id


@dataclass(frozen=True)
class StoredDeadLetter:
    """A record that `consumer` could not use: its position, its key, the reason, and when that was.

    resolved: the scan that it is about was analysed since.
    """

    topic: str
    partition: int
    offset: int
    consumer: str
    key: str | None
    reason: str
    time: datetime
    resolved: bool = False

    @property
    def id(self) -> str:
        """What it is called: see `schemas.dead_letters`."""
        return letter_id(self.topic, self.partition, self.offset, self.consumer)


@dataclass(frozen=True)
class LetterFilter:
    """Which dead letters are meant; None: all.

    ids: see `StoredDeadLetter.id`. stage: the consumer. reason: a part of the reason, small letters or capitals. since,
    until: of their time, the first included and the last not.
    """

    ids: Sequence[str] | None = None
    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def stored(
    connection: Connection, limit: int | None = None, wanted: LetterFilter | None = None
) -> list[StoredDeadLetter]:
    """The dead letters that are wanted, or the `limit` latest of them: latest first."""
    with connection.cursor(row_factory=class_row(StoredDeadLetter)) as cursor:
        return cursor.execute(
            """
            SELECT d.topic, d.partition, d."offset", d.consumer, d.key, d.reason, d."time",
                d.topic IN ('scans', 'faces') AND coalesce(a.analysed_at > d."time", false) AS resolved
            FROM dead_letters d LEFT JOIN analyses a ON a.scan_id = d.key
            WHERE (%(ids)s::text[] IS NULL
                OR concat_ws('/', d.topic, d.partition, d."offset", d.consumer) = ANY(%(ids)s))
                AND (%(stage)s::text IS NULL OR d.consumer = %(stage)s)
                AND (%(reason)s::text IS NULL OR strpos(lower(d.reason), lower(%(reason)s)) > 0)
                AND (%(since)s::timestamptz IS NULL OR d."time" >= %(since)s)
                AND (%(until)s::timestamptz IS NULL OR d."time" < %(until)s)
            ORDER BY d."time" DESC, d.topic, d.partition, d."offset" DESC LIMIT %(limit)s
            """,
            {**asdict(wanted or LetterFilter()), "limit": limit},
        ).fetchall()


def changes(
    connection: Connection, records: Sequence[Received], refused: Sequence[tuple[Received, str]], consumer: str
) -> tuple[list[rows.Row], list[rows.Row]]:
    """The rows of `dead_letters` to write, those of records that no row can hold among them; and those to delete."""
    latest = {
        record.message.id: record.message for record in records if isinstance(record.message, DeadLetter | Settled)
    }
    letters = [rows.dead_letter(message) for message in latest.values() if isinstance(message, DeadLetter)]
    if refused:
        ((now,),) = connection.execute("SELECT now()")
        letters += [rows.refused_record(record, consumer, reason, now) for record, reason in refused]
    settled: list[rows.Row] = []
    for message in latest.values():
        if isinstance(message, Settled):
            with connection.cursor(row_factory=dict_row) as cursor:
                settled += cursor.execute(
                    """
                    SELECT topic, partition, "offset", consumer, key FROM dead_letters
                    WHERE topic = %s AND partition = %s AND "offset" = %s AND consumer = %s
                    """,
                    (rows.text(message.topic), message.partition, message.offset, rows.text(message.consumer)),
                ).fetchall()
    return letters, settled


def write(connection: Connection, letters: Sequence[rows.Row], settled: Sequence[rows.Row]) -> None:
    """Write and delete what `changes` has returned."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            DELETE FROM dead_letters WHERE topic = %(topic)s AND partition = %(partition)s
            AND "offset" = %(offset)s AND consumer = %(consumer)s
            """,
            settled,
        )
    tables.insert(
        connection,
        "dead_letters",
        letters,
        on_conflict="""
            ON CONFLICT (topic, partition, "offset", consumer)
            DO UPDATE SET reason = EXCLUDED.reason, "time" = EXCLUDED."time"
        """,
    )
