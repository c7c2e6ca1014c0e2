"""Leaves the vector index out while many faces are read, and builds it at the end: that is faster.

Whether it is there is what the database says, so a process that is killed in between is finished by the next one.
Without it, a search for similar faces compares all vectors: it is slower, and finds the same or more.
"""

from __future__ import annotations

import time
from importlib.resources import files

import structlog
from psycopg import Connection, errors, sql

from catalogue.reader import counts

log = structlog.get_logger()

_MANY = 10_000
"""Scans to read, from which on the index is left out."""

# For the graph of about a million faces; beyond it, building goes on more slowly. It is taken as it is needed.
_MEMORY = "1GB"


def tend(connection: Connection, behind: int, table: str = "faces") -> bool:
    """Drop the index where many scans are to be read, compared with those there are; else build it where it is missing.

    behind: how many records of `faces` are still to be read, at most. table: the one with the embeddings. Returns
    whether the index is there. A search that runs meanwhile is waited for. An index of another user, which may not be
    dropped, stays. Raises psycopg.Error.
    """
    index = f"{table}_near"
    ((name,),) = connection.execute("SELECT to_regclass(%s)", (index,))
    if behind >= max(_MANY, counts(connection).analysed // 4):
        try:
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(index)))
        except errors.InsufficientPrivilege:
            return True
        if name is not None:
            log.info("the vector index is left out until all faces are read", records=behind)
        return False
    if name is None:
        _build(connection, table)
    return True


def _build(connection: Connection, table: str) -> None:
    began = time.monotonic()
    log.info("the vector index is built", faces=counts(connection).faces)
    with connection.transaction():
        connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", (_MEMORY,))
        # Workers share memory in /dev/shm, of which a container has 64 MB by default.
        connection.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        statement = (files("catalogue") / "vector_index.sql").read_text(encoding="utf-8")
        connection.execute(statement.replace("faces_near ON faces", f"{table}_near ON {table}").encode())
    log.info("the vector index is there", seconds=round(time.monotonic() - began, 1))
