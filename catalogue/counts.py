"""How many rows of each sort there are: kept while rows are written, so that reading it costs the same at any size.

A batch touches few rows. Those are counted before and after it, by the same query, and the difference is added to
`row_counts` in the transaction that writes them. Writers take turns, so nobody changes the rows in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import LiteralString, Self

from psycopg import Connection
from psycopg.rows import class_row

from catalogue import rows
from catalogue.reader import Counts
from schemas.generations import FIRST

# The counts of some rows, or of all. Curly brackets: which rows.
_COUNTS: LiteralString = """
    SELECT s.scans, s.analysed, s.dead_scans, f.faces, c.clusters, a.noise, a.named, d.dead_letters
    FROM (
        SELECT count(*) AS scans, count(a.scan_id) AS analysed,
            count(*) FILTER (WHERE a.scan_id IS NULL AND EXISTS (
                SELECT FROM dead_letters d WHERE d.topic = 'scans' AND d.key = s.scan_id)) AS dead_scans
        FROM scans s LEFT JOIN analyses a USING (scan_id) WHERE {scans}
    ) s, (
        SELECT count(*) AS faces FROM faces WHERE {faces}
    ) f, (
        SELECT count(*) AS clusters FROM ({clusters}) c
    ) c, (
        SELECT count(*) FILTER (WHERE role = 'noise') AS noise, count(hard_label) AS named
        FROM all_assignments WHERE {assignments} AND generation = %(generation)s
    ) a, (
        SELECT count(*) AS dead_letters FROM ({letters}) l
    ) d
"""
_OF_TOUCHED: LiteralString = _COUNTS.format(
    scans="s.scan_id = ANY(%(scans)s)",
    faces="scan_id = ANY(%(scans)s)",
    # Not by EXISTS: of that PostgreSQL may make a join with all assignments.
    clusters="""
        SELECT FROM unnest(%(clusters)s::text[]) AS c(id), LATERAL (
            SELECT FROM all_assignments a WHERE a.cluster_id = c.id AND a.generation = %(generation)s LIMIT 1) a
    """,
    assignments="face_id = ANY(%(faces)s)",
    letters="""
        SELECT FROM (
            SELECT DISTINCT * FROM unnest(%(topics)s::text[], %(partitions)s::integer[],
                %(offsets)s::bigint[], %(consumers)s::text[]) AS l(topic, partition, "offset", consumer)
        ) l JOIN dead_letters USING (topic, partition, "offset", consumer)
    """,
)
_OF_ALL: LiteralString = _COUNTS.format(
    scans="true",
    faces="true",
    clusters="""
        SELECT DISTINCT cluster_id FROM all_assignments
        WHERE generation = %(generation)s AND cluster_id IS NOT NULL
    """,
    assignments="true",
    letters="SELECT FROM dead_letters",
)


# Those of the assignments of one generation. The others belong to no generation, and are stored with an empty one.
_OF_A_GENERATION = ("clusters", "noise", "named")


@dataclass(frozen=True)
class Touched:
    """What a batch may change the counts of: the ids of scans, faces and clusters, and the rows of `dead_letters`.

    generation: that of the assignments of the faces.
    """

    scans: Sequence[str]
    faces: Sequence[str]
    clusters: Sequence[str]
    letters: Sequence[rows.Row]
    generation: str = FIRST

    def with_clusters_of_faces(self, connection: Connection) -> Self:
        """The same, with the clusters that the faces are in now."""
        query = """
            SELECT DISTINCT cluster_id FROM all_assignments
            WHERE generation = %s AND face_id = ANY(%s) AND cluster_id IS NOT NULL
        """
        present = [it for (it,) in connection.execute(query, (self.generation, list(self.faces)))]
        return replace(self, clusters=[*self.clusters, *present])


def counted(connection: Connection, touched: Touched) -> Counts:
    """The number of rows of each sort among those touched."""
    letters = list(touched.letters)
    values = {
        "scans": sorted(set(touched.scans)),
        "faces": sorted(set(touched.faces)),
        "clusters": sorted(set(touched.clusters)),
        "topics": [letter["topic"] for letter in letters],
        "partitions": [letter["partition"] for letter in letters],
        "offsets": [letter["offset"] for letter in letters],
        "consumers": [letter["consumer"] for letter in letters],
        "generation": touched.generation,
    }
    return _counts(connection, _OF_TOUCHED, values)


def add(connection: Connection, before: Counts, after: Counts, generation: str = FIRST) -> None:
    """Add what a batch has changed."""
    earlier = asdict(before)
    changes = [
        (generation if name in _OF_A_GENERATION else "", name, number - earlier[name])
        for name, number in asdict(after).items()
        if number != earlier[name]
    ]
    if changes:
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO row_counts (generation, name, number) VALUES (%s, %s, %s)
                ON CONFLICT (generation, name) DO UPDATE SET number = row_counts.number + EXCLUDED.number
                """,
                changes,
            )


def count_again(connection: Connection) -> None:
    """Count all rows, after tables were emptied."""
    connection.execute("DELETE FROM row_counts")
    for (generation,) in connection.execute("SELECT DISTINCT generation FROM all_assignments").fetchall():
        every = asdict(_counts(connection, _OF_ALL, {"generation": generation}))
        of_it = Counts(**{name: every[name] for name in _OF_A_GENERATION})
        add(connection, Counts(), of_it, generation)
    every = asdict(_counts(connection, _OF_ALL, {"generation": FIRST}))
    add(connection, Counts(), Counts(**{name: it for name, it in every.items() if name not in _OF_A_GENERATION}))


def _counts(connection: Connection, query: LiteralString, values: Mapping[str, object]) -> Counts:
    with connection.cursor(row_factory=class_row(Counts)) as cursor:
        (row,) = cursor.execute(query, values).fetchall()
    return row
