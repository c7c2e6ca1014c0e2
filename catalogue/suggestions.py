"""Which name a face may have, which faces a name may have, and which face to name next."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import class_row

from catalogue.reader import MOST_NEIGHBOURS, embedding_of, search_widely


@dataclass(frozen=True)
class NearName:
    """A name near a face: its probability for the face in its cluster, and the faces nearby that carry the name.

    hard, soft: how many of them people named so, and how many are proposed to be; with the smallest distances.
    """

    label_id: str
    name: str
    probability: float | None
    hard: int
    nearest_hard: float | None
    soft: int
    nearest_soft: float | None


@dataclass(frozen=True)
class Candidate:
    """A face without a name that may be a person's, and what is proposed for it now.

    `probability` is that of the person in the face's cluster, None where the face is of another one; `distance` that
    to the nearest face that people gave the person's name.
    """

    face_id: str
    scan_id: str
    uri: str
    cluster_id: str | None
    soft_label: str | None
    probability: float | None
    distance: float


@dataclass(frozen=True)
class NextFace:
    """A face whose naming would settle others, its cluster, how many faces that has and how many of them have names.

    others: faces of the cluster that are neither named nor certain, without this one. unsettled: the sum of what is
    missing to certainty over all of these.
    """

    face_id: str
    scan_id: str
    uri: str
    cluster_id: str
    size: int
    named: int
    others: int
    unsettled: float


def names_near(
    connection: Connection, face_id: str, radius: float | None = None, k: int = MOST_NEIGHBOURS
) -> list[NearName]:
    """The names of a face's cluster and of the `k` faces nearest to it within `radius`, the likeliest first.

    Names that were rejected for the face are left out. k <= MOST_NEIGHBOURS. Raises CatalogueError where there is no
    such face.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(NearName)) as cursor:
        embedding = embedding_of(connection, face_id)
        search_widely(connection)
        return cursor.execute(
            """
            WITH near AS MATERIALIZED (
                SELECT face_id, scan_id, embedding <-> %(to)s AS distance FROM faces WHERE face_id <> %(face_id)s
                ORDER BY embedding <-> %(to)s LIMIT %(k)s
            ),
            nearby AS (
                SELECT coalesce(c.label_id, c.soft_label) AS label_id,
                       count(*) FILTER (WHERE c.label_id IS NOT NULL) AS hard,
                       min(distance) FILTER (WHERE c.label_id IS NOT NULL) AS nearest_hard,
                       count(*) FILTER (WHERE c.label_id IS NULL) AS soft,
                       min(distance) FILTER (WHERE c.label_id IS NULL) AS nearest_soft
                FROM near JOIN face_catalogue c USING (face_id, scan_id)
                WHERE distance <= coalesce(%(radius)s, distance) AND coalesce(c.label_id, c.soft_label) IS NOT NULL
                GROUP BY 1
            ),
            in_cluster AS (SELECT label_id, probability FROM suggestions WHERE face_id = %(face_id)s)
            SELECT label_id, coalesce(p.name, label_id) AS name, probability,
                   coalesce(nearby.hard, 0) AS hard, nearest_hard, coalesce(nearby.soft, 0) AS soft, nearest_soft
            FROM nearby FULL JOIN in_cluster USING (label_id) LEFT JOIN names p USING (label_id)
            WHERE label_id NOT IN (SELECT r.label_id FROM rejections r WHERE r.face_id = %(face_id)s)
            ORDER BY probability DESC NULLS LAST, nearest_hard, nearest_soft, label_id
            """,
            {"to": embedding, "face_id": face_id, "k": k, "radius": radius},
        ).fetchall()


def candidates(connection: Connection, label_id: str, radius: float, limit: int) -> list[Candidate]:
    """The faces without a name that are most likely a person's, best first.

    First those of the clusters where the person was named, by probability, then by distance to the nearest face that
    carries the name; then those of other clusters within `radius` of such a face (among its MOST_NEIGHBOURS nearest),
    by distance. Never a face for which the name was rejected, or that is separated from one that carries it.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(Candidate)) as cursor:
        search_widely(connection)
        return cursor.execute(
            """
            WITH carrying AS MATERIALIZED (
                SELECT c.face_id, c.cluster_id, f.embedding
                FROM face_catalogue c JOIN faces f USING (face_id, scan_id) WHERE c.label_id = %(label_id)s
            ),
            never AS MATERIALIZED (
                SELECT face_id FROM rejections WHERE label_id = %(label_id)s
                UNION
                SELECT p.other_face_id FROM carrying JOIN pairs p USING (face_id) WHERE p.kind = 'separated'
            ),
            likeliest AS (
                SELECT face_id, scan_id, probability FROM suggestions
                WHERE label_id = %(label_id)s AND cluster_id IN (SELECT cluster_id FROM carrying)
                AND face_id NOT IN (SELECT face_id FROM never)
                ORDER BY probability DESC FETCH FIRST %(limit)s ROWS WITH TIES
            ),
            in_cluster AS (
                SELECT face_id, scan_id, probability,
                       (SELECT min(carrying.embedding <-> f.embedding) FROM carrying) AS distance
                FROM likeliest JOIN faces f USING (face_id, scan_id)
            ),
            elsewhere AS (
                SELECT near.face_id, near.scan_id, NULL::double precision AS probability, min(distance) AS distance
                FROM carrying
                CROSS JOIN LATERAL (
                    SELECT f.face_id, f.scan_id, f.embedding <-> carrying.embedding AS distance FROM faces f
                    ORDER BY f.embedding <-> carrying.embedding LIMIT %(most)s
                ) near
                JOIN face_catalogue c ON c.face_id = near.face_id AND c.scan_id = near.scan_id
                WHERE distance <= %(radius)s AND c.label_id IS NULL
                AND NOT EXISTS (SELECT FROM carrying it WHERE it.cluster_id = c.cluster_id)
                AND near.face_id NOT IN (SELECT face_id FROM never)
                GROUP BY 1, 2
            )
            SELECT face_id, scan_id, c.uri, c.cluster_id, c.soft_label, found.probability, distance
            FROM (SELECT * FROM in_cluster UNION ALL SELECT * FROM elsewhere) found
            JOIN face_catalogue c USING (face_id, scan_id)
            ORDER BY found.probability DESC NULLS LAST, distance, face_id LIMIT %(limit)s
            """,
            {"label_id": label_id, "radius": radius, "limit": limit, "most": MOST_NEIGHBOURS},
        ).fetchall()


def next_faces(connection: Connection, limit: int) -> list[NextFace]:
    """The face to name in each of the clusters that are least settled, the least settled cluster first.

    A cluster is as unsettled as the sum, over its faces without a name, of what their soft label's probability lacks
    to 1. Of its faces it is the one that lacks most, of several the nearest to the mean of the cluster, then by id.
    """
    with connection.cursor(row_factory=class_row(NextFace)) as cursor:
        return cursor.execute(
            """
            WITH belonging AS (
                SELECT face_id, scan_id, uri, cluster_id, label_id,
                       CASE WHEN label_id IS NULL THEN 1 - coalesce(probability, 0)::numeric ELSE 0 END AS lacking
                FROM face_catalogue WHERE cluster_id IS NOT NULL
            ),
            unsettled AS (
                SELECT cluster_id, count(*) AS size, count(label_id) AS named, sum(lacking) AS lacking,
                       count(*) FILTER (WHERE lacking > 0) - 1 AS others
                FROM belonging GROUP BY cluster_id HAVING sum(lacking) > 0
                ORDER BY lacking DESC, cluster_id LIMIT %s
            ),
            members AS (
                SELECT b.*, f.embedding, avg(f.embedding) OVER (PARTITION BY cluster_id) AS mean
                FROM belonging b JOIN faces f USING (face_id, scan_id)
                WHERE cluster_id IN (SELECT cluster_id FROM unsettled)
            ),
            chosen AS (
                SELECT DISTINCT ON (cluster_id) face_id, scan_id, uri, cluster_id FROM members
                ORDER BY cluster_id, lacking DESC, embedding <-> mean, face_id
            )
            SELECT face_id, scan_id, uri, cluster_id, size, named, others, lacking::double precision AS unsettled
            FROM chosen JOIN unsettled USING (cluster_id) ORDER BY lacking DESC, cluster_id
            """,
            (limit,),
        ).fetchall()
