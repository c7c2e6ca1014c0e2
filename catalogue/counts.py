"""How many rows of each sort there are: kept while rows are written, so that reading it costs the same at any size.

A batch touches few rows. Those are counted before and after it, by the same query, and the difference is added to
`row_counts` in the transaction that writes them. Writers take turns, so nobody changes the rows in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from psycopg import Connection
from psycopg.rows import class_row

from catalogue import rows
from catalogue.reader import Counts


@dataclass(frozen=True)
class Touched:
    """What a batch may change the counts of: the ids of scans, faces and clusters, and the rows of `dead_letters`."""

    scans: Sequence[str]
    faces: Sequence[str]
    clusters: Sequence[str]
    letters: Sequence[rows.Row]

    def with_clusters_of_faces(self, connection: Connection) -> Self:
        """The same, with the clusters that the faces are in now."""
        query = "SELECT DISTINCT cluster_id FROM assignments WHERE face_id = ANY(%s) AND cluster_id IS NOT NULL"
        present = [cluster_id for (cluster_id,) in connection.execute(query, (list(self.faces),))]
        return type(self)(self.scans, self.faces, [*self.clusters, *present], self.letters)


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
    }
    with connection.cursor(row_factory=class_row(Counts)) as cursor:
        (row,) = cursor.execute(
            """
            SELECT s.scans, s.analysed, s.dead_scans, f.faces, c.clusters, a.noise, a.named, d.dead_letters
            FROM (
                SELECT count(*) AS scans, count(a.scan_id) AS analysed,
                    count(*) FILTER (WHERE a.scan_id IS NULL AND EXISTS (
                        SELECT FROM dead_letters d WHERE d.topic = 'scans' AND d.key = s.scan_id)) AS dead_scans
                FROM scans s LEFT JOIN analyses a USING (scan_id) WHERE s.scan_id = ANY(%(scans)s)
            ) s, (
                SELECT count(*) AS faces FROM faces WHERE scan_id = ANY(%(scans)s)
            ) f, (
                SELECT count(*) AS clusters FROM unnest(%(clusters)s::text[]) AS c(id)
                WHERE EXISTS (SELECT FROM assignments a WHERE a.cluster_id = c.id)
            ) c, (
                SELECT count(*) FILTER (WHERE role = 'noise') AS noise, count(hard_label) AS named
                FROM assignments WHERE face_id = ANY(%(faces)s)
            ) a, (
                SELECT count(*) AS dead_letters FROM (
                    SELECT DISTINCT * FROM unnest(%(topics)s::text[], %(partitions)s::integer[],
                        %(offsets)s::bigint[], %(consumers)s::text[]) AS l(topic, partition, "offset", consumer)
                ) l JOIN dead_letters USING (topic, partition, "offset", consumer)
            ) d
            """,
            values,
        ).fetchall()
    return row


def add(connection: Connection, before: Counts, after: Counts) -> None:
    """Add what a batch has changed."""
    earlier = asdict(before)
    changes = [(name, number - earlier[name]) for name, number in asdict(after).items() if number != earlier[name]]
    if changes:
        with connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO row_counts (name, number) VALUES (%s, %s)
                ON CONFLICT (name) DO UPDATE SET number = row_counts.number + EXCLUDED.number
                """,
                changes,
            )
