"""The generations in the catalogue: written from the topic `generations`, and what of them is asked."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection

from catalogue import own_vectors, rows, tables
from catalogue.rows import Received
from schemas.generations import FIRST, LIVE, GenerationDefined, GenerationPromoted
from schemas.topics import Tombstone


def write(connection: Connection, records: Sequence[Received]) -> None:
    """Write records of `generations`, in their order. Raises psycopg.Error."""
    for record in records:
        match record.message:
            case GenerationPromoted(generation=generation, former=former):
                connection.execute("UPDATE live_generation SET generation = %s, former = %s", (generation, former))
            case GenerationDefined() as defined:
                tables.replace(connection, tables.GENERATIONS, [defined.name], [rows.generation(defined)])
            case Tombstone(key=key) if key == LIVE:
                forget_promotions(connection)
            case Tombstone(key=key):
                tables.replace(connection, tables.GENERATIONS, [key], [])


def forget_promotions(connection: Connection) -> None:
    """As before the first one. Raises psycopg.Error."""
    connection.execute("UPDATE live_generation SET generation = %s, former = NULL", (FIRST,))


def live(connection: Connection) -> str:
    """The generation that the views show."""
    ((generation,),) = connection.execute("SELECT generation FROM live_generation")
    return str(generation)


def delete(connection: Connection, generation: str, consumer: str) -> None:
    """Delete all rows of a generation, and the offsets of its consumer. Raises psycopg.Error.

    Of the first one, the assignments follow from their topic, and its consumer has those of all other topics too.
    """
    with connection.transaction():
        tables.empty(connection, "all_cluster_changes", generation)
        if generation != FIRST:
            tables.empty(connection, "all_assignments", generation)
            connection.execute("DELETE FROM row_counts WHERE generation = %s", (generation,))
            connection.execute("DELETE FROM offsets WHERE consumer = %s", (consumer,))
            own_vectors.drop(connection, generation)
