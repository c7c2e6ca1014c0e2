"""The embeddings of a generation that has an embedder of its own: in a table of theirs, beside those of `faces`.

Two embedders' vectors are never compared, and may differ in length. So each query compares those of one table: that of
the live generation, which is looked up in the same moment. All else of a face is in `faces`, for all generations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from psycopg import Connection, sql
from psycopg.pq import TransactionStatus

from catalogue import rows, tables
from catalogue.rows import Received
from schemas.faces import ScanAnalysed

# As for `faces` (schema.sql); which of several analyses of a scan is the live one, its topic says.
_TABLE = """
    CREATE TABLE IF NOT EXISTS {table} (
        face_id   text COLLATE "C" NOT NULL,
        scan_id   text COLLATE "C" NOT NULL,
        embedding vector({dimension}) NOT NULL,
        PRIMARY KEY (face_id, scan_id)
    )
"""
_OF_SCAN = "CREATE INDEX IF NOT EXISTS {index} ON {table} (scan_id)"

# While the consumer that makes the table has not run yet.
_NONE = "(SELECT face_id, scan_id, embedding FROM faces WHERE false)"


def table_of(generation: str) -> str:
    """The name of the table with the embeddings of a generation."""
    return f"embeddings_{generation}"


def create(connection: Connection, generation: str, dimension: int) -> None:
    """Make the table where it is missing, for embeddings of so many numbers. Raises psycopg.Error."""
    table = sql.Identifier(table_of(generation))
    with connection.transaction():
        connection.execute(sql.SQL(_TABLE).format(table=table, dimension=sql.Literal(dimension)))
        index = sql.Identifier(f"{table_of(generation)}_of_scan")
        connection.execute(sql.SQL(_OF_SCAN).format(index=index, table=table))


def drop(connection: Connection, generation: str) -> None:
    """Delete the table, if there is one. Raises psycopg.Error."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table_of(generation))))


def write(connection: Connection, latest: dict[str, Received], generation: str) -> None:
    """Write the latest records of some scans, by scan id. Raises psycopg.Error."""
    analyses = [one.message for one in latest.values() if isinstance(one.message, ScanAnalysed)]
    table = tables.Table(table_of(generation), key="scan_id")
    tables.replace(connection, table, list(latest), [row for one in analyses for row in rows.embeddings(one)])


@contextmanager
def of_live(connection: Connection) -> Iterator[sql.Composable]:
    """A transaction, with the table that has the embeddings of the live generation, by face_id and scan_id.

    All that is read in it is of one moment, unless it is a part of another transaction. Raises psycopg.Error.
    """
    is_outermost = connection.info.transaction_status is TransactionStatus.IDLE
    with connection.transaction():
        if is_outermost:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield table_of_live(connection)


def table_of_live(connection: Connection) -> sql.Composable:
    """The table with the embeddings of the live generation. Raises psycopg.Error."""
    ((generation, has_own, name),) = connection.execute(
        """
        SELECT l.generation, g.parameters ->> 'embedder' IS NOT NULL, to_regclass('embeddings_' || l.generation)::text
        FROM live_generation l LEFT JOIN generations g USING (generation)
        """
    ).fetchall()
    if not has_own:
        return sql.Identifier("faces")
    return sql.SQL(_NONE) if name is None else sql.Identifier(table_of(generation))


def radius(connection: Connection) -> float | None:
    """How far from a face others are looked for with the embedder of the live generation, by Euclidean distance.

    None where that is the one of the settings. Raises psycopg.Error.
    """
    found: Sequence[tuple[float | None]] = connection.execute(
        """
        SELECT CASE g.parameters ->> 'distance' WHEN 'euclidean' THEN (g.parameters ->> 'eps_max')::double precision
               ELSE (g.parameters -> 'embedder' ->> 'eps_max')::double precision END
        FROM live_generation l JOIN generations g USING (generation) WHERE g.parameters ->> 'embedder' IS NOT NULL
        """
    ).fetchall()
    return found[0][0] if found else None


def tables_of_all(connection: Connection) -> list[str]:
    """The tables of all generations that have one. Raises psycopg.Error."""
    rows = connection.execute(
        """
        SELECT generation FROM generations WHERE parameters ->> 'embedder' IS NOT NULL
        AND to_regclass('embeddings_' || generation) IS NOT NULL ORDER BY 1
        """
    )
    return [table_of(generation) for (generation,) in rows]


def texts(connection: Connection, table: str, face_ids: Collection[str]) -> dict[str, str]:
    """The embeddings of these faces in such a table, as PostgreSQL prints them. Raises psycopg.Error."""
    query = sql.SQL("SELECT face_id, embedding::text FROM {} WHERE face_id = ANY(%s)").format(sql.Identifier(table))
    return dict(connection.execute(query, (list(face_ids),)).fetchall())
