"""Taking what was deleted out of the database's files: rows that no topic deletes, dead rows, statistics, its log.

A row that was deleted stays in its page, and in pages of indexes, until it is vacuumed; a vector index keeps the values
of its pages. So every table is written again with its indexes. What PostgreSQL knows of the values in columns, and its
write-ahead log, have them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import psycopg
from psycopg import Connection, sql

from catalogue import counts
from erasure.search import LONGEST, Finder

# The catalogues of PostgreSQL itself that hold values of columns.
_STATISTICS = ("pg_statistic", "pg_statistic_ext_data")
_AT_ONCE = 4 * 2**20


def delete_rows(
    connection: Connection,
    copied: Iterable[tuple[str, int, int]],
    face_ids: Collection[str],
    texts: Collection[str],
) -> None:
    """Delete changes of clusters that are called after these faces, and dead letters with one of these texts.

    copied: generations, of which the changes from the first offset to the second were copied in their topic, so that
    they are there twice. Raises psycopg.Error.
    """
    ids = sorted(face_ids)
    with connection.transaction():
        for generation, first, end in copied:
            connection.execute(
                'DELETE FROM all_cluster_changes WHERE generation = %s AND "offset" >= %s AND "offset" < %s',
                (generation, first, end),
            )
        connection.execute(
            "DELETE FROM all_cluster_changes WHERE cluster_id = ANY(%s) OR successor = ANY(%s) OR parts && %s",
            (ids, ids, ids),
        )
        for text in sorted(texts):
            connection.execute("DELETE FROM dead_letters WHERE key = %s OR strpos(reason, %s) > 0", (text, text))
        counts.count_again(connection)


def vacuum(connection: Connection) -> list[str]:
    """Write all tables again without dead rows, and have the write-ahead log lose what it has of them.

    Returns what only the operator of the database can do, a line each. Tables are locked meanwhile, one at a time; the
    vector index of a million faces takes some minutes. Raises psycopg.Error.
    """
    for name in _tables(connection):
        connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(name)))
    left = []
    for name in _STATISTICS:
        left += _try(connection, f"VACUUM (FULL) pg_catalog.{name}", f"vacuum {name}")
    # The first checkpoint writes what is in memory; the second one deletes the segments before the switch.
    for statement in ("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT"):
        left += _try(connection, statement, "write a checkpoint, and have the write-ahead log deleted up to it")
    return list(dict.fromkeys(left))


def found_in_tables(connection: Connection, finder: Finder) -> dict[str, Counter[str]]:
    """What each table has of what is looked for, by its kind; all rows of all tables are read, as text.

    Raises psycopg.Error.
    """
    found: dict[str, Counter[str]] = {}
    for name in _tables(connection):
        kinds: Counter[str] = Counter()
        for piece in _pieces(connection, name):
            kinds.update(finder.found(piece))
        found[name] = kinds
    return found


def _tables(connection: Connection) -> list[str]:
    """The tables of the catalogue."""
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user ORDER BY 1"
    )
    return [name for (name,) in rows]


def _pieces(connection: Connection, table: str) -> Iterator[bytes]:
    """The rows of a table as text, in pieces that overlap."""
    piece = bytearray()
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as rows:
        for row in rows:
            piece += row
            if len(piece) > _AT_ONCE:
                yield bytes(piece)
                del piece[:-LONGEST]
    yield bytes(piece)


def _try(connection: Connection, statement: str, what: str) -> list[str]:
    try:
        connection.execute(statement.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
        return [what]
    return []
