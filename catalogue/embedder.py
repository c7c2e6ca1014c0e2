"""The embedder of the catalogue: the one whose embeddings the column of `faces` has, and the length of these.

Two embedders' vectors are never compared, so the column has those of one. When another one is set, the column is made
again, and `faces` is read again from its beginning, which fills it; catalogue/vector_index.py makes the index.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg import Connection, sql

from schemas.topics import FACES

_COLUMN = """
    DROP INDEX IF EXISTS faces_near;
    ALTER TABLE faces DROP COLUMN embedding;
    ALTER TABLE faces ADD COLUMN embedding vector({dimension})
"""


def embedder_of(connection: Connection) -> str:
    """The embedder whose embeddings are in the catalogue. Raises psycopg.Error."""
    ((embedder,),) = connection.execute("SELECT embedder FROM catalogue_embedder")
    return str(embedder)


def use_embedder(
    connection: Connection, embedder: str, dimension: int, consumer: str, check: Callable[[], None]
) -> bool:
    """Have the catalogue hold embeddings of this embedder; whether it held those of another one.

    Then `faces` has to be read again by `consumer` from its beginning: its offsets are gone. `check` is called before
    anything is changed; it may raise. Raises psycopg.Error.
    """
    with connection.transaction():
        (present,) = connection.execute("SELECT embedder, dimension FROM catalogue_embedder FOR UPDATE")
        if present == (embedder, dimension):
            return False
        check()
        connection.execute(sql.SQL(_COLUMN).format(dimension=sql.Literal(dimension)))
        connection.execute("UPDATE catalogue_embedder SET embedder = %s, dimension = %s", (embedder, dimension))
        connection.execute("DELETE FROM offsets WHERE consumer = %s AND topic = %s", (consumer, FACES.name))
    return True
