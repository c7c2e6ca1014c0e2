"""What a small batch reads of the rows of a generation: few, also while PostgreSQL has no statistics of it yet."""

from __future__ import annotations

import pytest
from psycopg import Connection

from catalogue.writer import write
from schemas.base import Event
from schemas.clusters import Change
from schemas.generations import FIRST
from schemas.topics import ASSIGNMENTS, CLUSTERS, FACES, SCANS, of_generation
from tests.builders.catalogue import StreamRecord, analysed, assigned, changed, face, in_order, offsets_after, published

# As many scans of one face as make it matter, in batches as the consumer has them, and what one batch may read.
_SCANS, _A_BATCH = 4_000, 100
_FEW_ROWS = 1_000


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
        for start in range(0, _SCANS, _A_BATCH):
            records = batch(start, FIRST)
            write(connection, records, offsets_after(records))
        connection.execute("ANALYZE")
    for start in range(0, _SCANS, _A_BATCH):
        records = batch(start, generation)
        before = rows_read(connection)
        write(connection, records, offsets_after(records))
        after = rows_read(connection)
    read = {table: number - before[table] for table, number in after.items() if table.startswith("all_")}
    assert read["all_assignments"] >= _A_BATCH
    assert {table: number for table, number in read.items() if number > _FEW_ROWS} == {}
