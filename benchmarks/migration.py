"""How long the migration of a large catalogue takes, from each former version, on the embedded PostgreSQL.

`python -m benchmarks.migration` makes the tables of a former version (tests/catalogue/former) with a million faces by
SQL, four to a scan and eight to a cluster, and opens them as the program does. The vector index is left out: no
migration changes it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import Connection, sql
from rich.console import Console
from rich.table import Table

from catalogue import reader, schema
from local.services import services
from settings import Settings

_FORMER = Path(__file__).parents[1] / "tests" / "catalogue" / "former"
# 1 and 2 lack the most; 5 is the last.
_VERSIONS = ("1", "2", "3", "4", "5")

_SCANS = """
    INSERT INTO scans (scan_id, uri, sha256, media_type, collection, page, metadata, published_at{years})
    SELECT 'album/' || n || '.jpg', 'file:///album/' || n || '.jpg', md5(n::text), 'image/jpeg', 'album', NULL,
        jsonb_build_object('title', 'Photograph ' || n, 'date', 'May ' || 1900 + n % 100), '2026-01-02 12:00+00'
        {of_scan}
    FROM generate_series(0, %(faces)s / 4 - 1) AS n
"""
_REST = (
    """
    INSERT INTO analyses (scan_id, analysis, sha256, width, height, provenance)
    SELECT 'album/' || n || '.jpg', n, md5(n::text), 800, 600, '{"engine": "onnx"}'
    FROM generate_series(0, %(faces)s / 4 - 1) AS n
    """,
    """
    INSERT INTO faces (face_id, scan_id, analysis, box_left, box_top, box_right, box_bottom, landmarks, score, size_px,
                       sharpness, embedding)
    SELECT md5(n::text), 'album/' || n / 4 || '.jpg', n / 4, 0.25, 0.25, 0.5, 0.5,
        '[[0.3, 0.3], [0.35, 0.3], [0.45, 0.3], [0.4, 0.3], [0.38, 0.4]]', 1, 80, 100,
        array_fill((n::real / %(faces)s)::real, ARRAY[128])::vector
    FROM generate_series(0, %(faces)s - 1) AS n
    """,
    # Of each cluster of eight one is named, and the name is proposed for the others; every tenth face is noise.
    """
    INSERT INTO assignments
    SELECT md5(n::text), 'album/' || n / 4 || '.jpg', n / 4, CASE WHEN n % 10 > 0 THEN md5((n / 8)::text) END,
        CASE WHEN n % 10 > 0 THEN 'core' ELSE 'noise' END, CASE WHEN n % 80 = 1 THEN 'person-' || n / 80 END,
        CASE WHEN n % 80 BETWEEN 2 AND 7 THEN 'person-' || n / 80 END, CASE WHEN n % 80 BETWEEN 2 AND 7 THEN 0.9 END,
        CASE WHEN n % 80 BETWEEN 2 AND 7
            THEN jsonb_build_array(jsonb_build_object('label_id', 'person-' || n / 80, 'probability', 0.9))
            ELSE '[]' END
    FROM generate_series(0, %(faces)s - 1) AS n
    """,
    """
    INSERT INTO cluster_changes SELECT 0, n, md5((n / 8)::text), 'grown', n % 8 + 1, NULL, '{}'
    FROM generate_series(0, %(faces)s - 1) AS n
    """,
    """
    INSERT INTO offsets (consumer, topic, partition, next_offset)
    SELECT 'catalogue', topic, 0, 1 FROM unnest(ARRAY['scans', 'faces', 'assignments', 'clusters', 'labels']) AS topic
    """,
)


@dataclass(frozen=True)
class Row:
    """A migration: its duration, the size of the database before and after, and which topics are read again.

    processor_s: processor time of the server's process, without those that help it build indexes.
    """

    version: str
    seconds: float
    processor_s: float
    gib_before: float
    gib_after: float
    read_again: str


def made(connection: Connection, version: str, faces: int) -> None:
    """The tables of a former version, with so many faces."""
    connection.execute((_FORMER / f"{version}.sql").read_bytes())
    connection.execute("DROP INDEX IF EXISTS faces_near")
    query = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'scans' AND column_name = 'years'"
    ((has_years,),) = connection.execute(query)
    scans = _SCANS.replace("{years}", ", years" if has_years else "")
    scans = scans.replace("{of_scan}", ", ARRAY[(1900 + n % 100)::text]" if has_years else "")
    for statement in (scans, *_REST):
        # With its values as text: statements with parameters keep a plan for unknown ones.
        connection.execute(statement.replace("%(faces)s", str(faces)).encode())
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def migrated(connection: Connection, version: str, faces: int) -> Row:
    """Migrate it, and see that all rows are there."""
    before = _gib(connection)
    server = psutil.Process(connection.info.backend_pid)
    began, busy = time.perf_counter(), _busy_s(server)
    schema.prepare(connection)
    seconds, processor_s = time.perf_counter() - began, _busy_s(server) - busy
    found = reader.counts(connection)
    if (found.faces, found.scans) != (faces, faces // 4):
        raise RuntimeError(f"{found} in place of {faces} faces")
    left = {topic for (topic,) in connection.execute("SELECT topic FROM offsets")}
    again = [topic for topic in ("scans", "faces", "labels", "assignments", "clusters") if topic not in left]
    return Row(version, seconds, processor_s, before, _gib(connection), ", ".join(again) or "-")


def _busy_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _empty(url: str, name: str) -> Iterator[Connection]:
    """A database of its own, deleted at the end."""
    with psycopg.connect(url, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            with psycopg.connect(url, dbname=name, autocommit=True) as connection:
                yield connection
        finally:
            maintenance.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _gib(connection: Connection) -> float:
    ((size,),) = connection.execute("SELECT pg_database_size(current_database())")
    return float(size) / 2**30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000, help="how many there are (default: 1000000)")
    parser.add_argument("versions", nargs="*", default=_VERSIONS, help=f"from which ones (default: {_VERSIONS})")
    arguments = parser.parse_args()
    if unknown := set(arguments.versions) - set(_VERSIONS):
        parser.error(f"there is no version {', '.join(sorted(unknown))}: the former ones are {', '.join(_VERSIONS)}")
    table = Table(*(name.replace("_", " ") for name in Row.__dataclass_fields__), title="Migrations")
    with tempfile.TemporaryDirectory(prefix="facestream-") as folder:
        settings = Settings(data=Path(folder))
        with services(settings, kafka=False, command="benchmark") as running:
            for version in arguments.versions:
                with _empty(str(running.database.url), f"of-version-{version}") as connection:
                    made(connection, version, arguments.faces)
                    row = migrated(connection, version, arguments.faces)
                print(row, flush=True)
                table.add_row(
                    *(row.version, f"{row.seconds:,.0f}", f"{row.processor_s:,.0f}"),
                    *(f"{row.gib_before:.2f}", f"{row.gib_after:.2f}", row.read_again),
                )
    Console().print(table)


if __name__ == "__main__":
    main()
