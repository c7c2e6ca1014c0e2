"""What a batch reads in a large catalogue: few rows, also while PostgreSQL has no statistics of its tables yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from psycopg import Connection

from catalogue.connection import connect
from catalogue.writer import write
from schemas.base import Event
from schemas.clusters import Change
from schemas.generations import FIRST
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, SCANS, of_generation
from settings import DatabaseSettings
from tests.builders.catalogue import StreamRecord, analysed, assigned, changed, face, in_order, offsets_after, published

# As many scans of one face as make it matter, in batches as the consumer has them, and how often a table's rows of a
# batch may be looked at: they are counted before and after, compared, deleted and inserted.
_SCANS, _A_BATCH = 10_000, 250
_FEW = 20


def batch(start: int, generation: str) -> list[StreamRecord]:
    scans = [f"album/{number:06}.jpg" for number in range(start, start + _A_BATCH)]
    partitions: dict[str, list[Event]] = {
        SCANS.name: [published(scan) for scan in scans],
        FACES.name: [analysed(scan, face(f"{scan}-face", [0.1])) for scan in scans],
        of_generation(ASSIGNMENTS, generation).name: [assigned(f"{scan}-face", scan, f"{scan}-face") for scan in scans],
        of_generation(CLUSTERS, generation).name: [changed(f"{scan}-face", Change.CREATED) for scan in scans],
    }
    return [one for topic, messages in partitions.items() for one in in_order(topic, *messages, start=start)]


def rows_read(connection: Connection) -> dict[str, int]:
    """By table, so far, whether in an index or one after the other."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    found = connection.execute(
        "SELECT s.relname, s.seq_tup_read + coalesce(sum(i.idx_tup_read), 0)::bigint FROM pg_stat_user_tables s"
        " LEFT JOIN pg_stat_user_indexes i USING (relid) GROUP BY s.relid, s.relname, s.seq_tup_read"
    )
    return {str(table): int(number) for table, number in found}


@pytest.mark.parametrize("generation", [FIRST, "second"])
def test_a_batch_reads_few_rows_before_there_are_statistics(connection: Connection, generation: str) -> None:
    if generation != FIRST:
        # Statistics of the first one alone: of another PostgreSQL then expects no rows.
        write_all(connection, FIRST)
        connection.execute("ANALYZE")
    write_all(connection, generation)
    assert_reads_few(connection, batch(_SCANS, generation))


@pytest.mark.parametrize("statistics", [False, True], ids=["without statistics", "with statistics"])
def test_a_batch_that_replaces_rows_reads_few_after_a_restart(
    database: DatabaseSettings, connection: Connection, *, statistics: bool
) -> None:
    write_all(connection, FIRST)
    if statistics:
        connection.execute("VACUUM ANALYZE")
    with connect(database) as restarted:
        for again in (1, 2):
            # The same scans, further on in their topics.
            assert_reads_few(restarted, [replace(one, offset=one.offset + again * _SCANS) for one in batch(0, FIRST)])


def write_all(connection: Connection, generation: str) -> None:
    for start in range(0, _SCANS, _A_BATCH):
        records = batch(start, generation)
        write(connection, records, offsets_after(records))


def assert_reads_few(connection: Connection, records: Sequence[StreamRecord]) -> None:
    before = rows_read(connection)
    write(connection, records, offsets_after(records))
    read = {table: number - before[table] for table, number in rows_read(connection).items()}
    assert read["all_assignments"] >= _A_BATCH
    assert {table: number for table, number in read.items() if number > _FEW * _A_BATCH} == {}
