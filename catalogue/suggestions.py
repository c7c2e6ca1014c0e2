"""Queries for the people that a face may be, the faces that may be a person, and the faces to name next.

Distances are Euclidean, between embeddings. A lost connection raises psycopg.OperationalError.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row

from catalogue.own_vectors import of_live
from catalogue.reader import MOST_NEIGHBOURS, embedding_of, search_widely

# A search takes some hundredths of a second, and people with hundreds of faces are those who are looked at most.
MOST_COMPARED = 12

# Parts of queries, with the parameters label_id, radius, compared and most, and the table `vectors`.
# LABELLED: the faces with the hard label, and those that are not proposed for it. ELSEWHERE: faces of other clusters
# near to some of the former.
LABELLED: LiteralString = """
    labelled AS MATERIALIZED (  -- the faces with the hard label
        SELECT c.face_id, c.cluster_id, f.embedding
        FROM face_catalogue c LEFT JOIN {vectors} f USING (face_id, scan_id) WHERE c.label_id = %(label_id)s
    ),
    excluded AS MATERIALIZED (
        SELECT face_id FROM rejections WHERE label_id = %(label_id)s
        UNION
        SELECT face_id FROM unsure WHERE label_id = %(label_id)s
        UNION
        SELECT p.other_face_id FROM labelled JOIN pairs p USING (face_id) WHERE p.kind = 'separated'
    ),
"""
ELSEWHERE: LiteralString = """
    compared AS (SELECT * FROM labelled WHERE embedding IS NOT NULL ORDER BY md5(face_id) LIMIT %(compared)s),
    elsewhere AS (
        SELECT near.face_id, near.scan_id, NULL::double precision AS probability, min(distance) AS distance
        FROM compared
        CROSS JOIN LATERAL (
            SELECT f.face_id, f.scan_id, f.embedding <-> compared.embedding AS distance FROM {vectors} f
            ORDER BY f.embedding <-> compared.embedding LIMIT %(most)s
        ) near
        JOIN face_catalogue c ON c.face_id = near.face_id AND c.scan_id = near.scan_id
        -- What is not a face has no role.
        WHERE distance <= %(radius)s AND c.label_id IS NULL AND c.role IS NOT NULL
        AND NOT EXISTS (SELECT FROM labelled l WHERE l.cluster_id = c.cluster_id)
        AND near.face_id NOT IN (SELECT face_id FROM excluded)
        GROUP BY 1, 2
    )
"""


@dataclass(frozen=True)
class NearName:
    """A person that a face may be.

    probability: that of the label in the face's distribution; None where it is not there.
    hard, soft: the number of faces nearby with the label as hard and as soft label; nearest_hard, nearest_soft: the
        distance to the nearest of each, None where there is none.
    not_sure_until: the face is not proposed for the person before this time; None where it may be now.
    """

    label_id: str
    name: str
    probability: float | None
    hard: int
    nearest_hard: float | None
    soft: int
    nearest_soft: float | None
    not_sure_until: datetime | None


@dataclass(frozen=True)
class Candidate:
    """A face without a hard label that may be a person.

    soft_label: what is suggested for the face now, whether it is this person or another.
    probability: that of the person in the face's distribution; None for a face of a cluster without a face of the
        person.
    distance: to the nearest face with the person as hard label; None where their embeddings are not of one embedder.
    """

    face_id: str
    scan_id: str
    uri: str
    cluster_id: str | None
    soft_label: str | None
    probability: float | None
    distance: float | None


@dataclass(frozen=True)
class NextFace:
    """A face to name, because that would settle other faces of its cluster.

    size, named: the number of faces of the cluster, and of those with a hard label.
    others: the number of other faces of the cluster that have no hard label and no soft label that settles them.
    unsettled: the sum of 1 - probability over all such faces of the cluster, this one included.
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
    """The people of a face's distribution, and the labels of the `k` faces nearest to it within `radius`.

    Most probable first, then by the nearest hard and the nearest soft label; last those of whom somebody was not sure a
    while ago. Labels that are rejected for the face are left out. `k` is MOST_NEIGHBOURS or less; without a `radius`
    all `k` are used. The search is approximate (HNSW).

    Raises CatalogueError where there is no such face.
    """
    with of_live(connection) as vectors, connection.cursor(row_factory=class_row(NearName)) as cursor:
        embedding = embedding_of(connection, face_id, vectors)
        search_widely(connection)
        query = sql.SQL(
            """
            WITH near AS MATERIALIZED (
                SELECT face_id, scan_id, embedding <-> %(to)s AS distance FROM {vectors} v
                WHERE face_id <> %(face_id)s ORDER BY embedding <-> %(to)s LIMIT %(k)s
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
                   coalesce(nearby.hard, 0) AS hard, nearest_hard, coalesce(nearby.soft, 0) AS soft, nearest_soft,
                   u.until AS not_sure_until
            FROM nearby FULL JOIN in_cluster USING (label_id) LEFT JOIN names p USING (label_id)
            LEFT JOIN (SELECT label_id, until FROM unsure WHERE face_id = %(face_id)s) u USING (label_id)
            WHERE label_id NOT IN (SELECT r.label_id FROM rejections r WHERE r.face_id = %(face_id)s)
            ORDER BY u.until IS NOT NULL, probability DESC NULLS LAST, nearest_hard, nearest_soft, label_id
            """
        )
        values = {"to": embedding, "face_id": face_id, "k": k, "radius": radius}
        return cursor.execute(query.format(vectors=vectors), values).fetchall()


def candidates(connection: Connection, label_id: str, radius: float, limit: int) -> list[Candidate]:
    """The `limit` faces without a hard label that are most likely the person `label_id`, best first.

    First the faces of clusters that have a face with the hard label, by probability, then by distance to the nearest
    face with the hard label. Then those of other clusters within `radius` of such a face, and among its MOST_NEIGHBOURS
    nearest, by distance; of a person with many faces a few are compared, always the same ones. Left out are faces for
    which the label is rejected, faces of which somebody was not sure a while ago, faces separated from one with the
    hard label, and what is in no cluster because it is not a face.
    """
    with of_live(connection) as vectors, connection.cursor(row_factory=class_row(Candidate)) as cursor:
        search_widely(connection)
        query = sql.SQL(
            """
            WITH """
            + LABELLED
            + """
            likeliest AS (  -- more than `limit` where several have one probability: the distance decides then
                SELECT face_id, scan_id, probability FROM suggestions
                WHERE label_id = %(label_id)s AND cluster_id IN (SELECT cluster_id FROM labelled)
                AND face_id NOT IN (SELECT face_id FROM excluded)
                ORDER BY probability DESC FETCH FIRST %(limit)s ROWS WITH TIES
            ),
            in_cluster AS (
                SELECT face_id, scan_id, probability,
                       (SELECT min(labelled.embedding <-> f.embedding) FROM labelled) AS distance
                FROM likeliest LEFT JOIN {vectors} f USING (face_id, scan_id)
            ),
            """
            + ELSEWHERE
            + """
            SELECT face_id, scan_id, c.uri, c.cluster_id, c.soft_label, candidate.probability, distance
            FROM (SELECT * FROM in_cluster UNION ALL SELECT * FROM elsewhere) candidate
            JOIN face_catalogue c USING (face_id, scan_id)
            ORDER BY candidate.probability DESC NULLS LAST, distance, face_id LIMIT %(limit)s
            """
        )
        values = {"label_id": label_id, "radius": radius, "limit": limit, "most": MOST_NEIGHBOURS}
        return cursor.execute(query.format(vectors=vectors), values | {"compared": MOST_COMPARED}).fetchall()


def next_faces(connection: Connection, limit: int, without: Collection[str] = ()) -> list[NextFace]:
    """One face to name in each of the `limit` least settled clusters, least settled cluster first.

    A face without a hard label is unsettled by 1 - the probability of its soft label (1 without one), and settled from
    0.95 on (`uncertainty_of` in totals.sql); a cluster is unsettled by the sum over its faces, that is by the number of
    soft labels that are expected to be wrong or missing. In each cluster the least settled face is returned; of
    several, the one nearest to the mean embedding of the cluster, then by id. A face is not asked for while somebody
    was not sure of its soft label a while ago, or of anybody where it has none. The clusters `without` are left out.
    """
    most = limit
    while True:
        faces, bounds, least = _next_of(connection, most, without)
        # What the totals say of a cluster is at least what its faces are unsettled by: they may still have the faces of
        # a scan that was withdrawn a moment ago, and those that are not asked for.
        if bounds < most or (len(faces) >= limit and faces[limit - 1].unsettled >= least):
            return faces[:limit]
        most *= 4


def _next_of(connection: Connection, most: int, without: Collection[str]) -> tuple[list[NextFace], int, float]:
    """The faces of `next_faces` in the `most` clusters that are least settled by their totals.

    With the number of these clusters, and the uncertainty of the most settled one by its total.
    """
    totals = connection.execute(
        """
        SELECT cluster_id, uncertainty FROM cluster_totals WHERE uncertainty > 0 AND cluster_id <> ALL(%s)
        ORDER BY uncertainty DESC, cluster_id LIMIT %s
        """,
        (list(without), most),
    ).fetchall()
    cluster_ids = [cluster_id for cluster_id, _ in totals]
    with of_live(connection) as vectors, connection.cursor(row_factory=class_row(NextFace)) as cursor:
        query = sql.SQL(
            """
            WITH clustered AS MATERIALIZED (
                SELECT face_id, scan_id, uri, cluster_id, label_id,
                       uncertainty_of(label_id, probability) AS uncertainty,
                       NOT EXISTS (SELECT FROM unsure u WHERE u.face_id = c.face_id
                                   AND u.label_id = coalesce(c.soft_label, u.label_id)) AS is_asked
                FROM face_catalogue c WHERE cluster_id = ANY(%s)
            ),
            unsettled AS (
                SELECT cluster_id, count(*) AS size, count(label_id) AS named, sum(uncertainty) AS uncertainty,
                       count(*) FILTER (WHERE uncertainty > 0) - 1 AS others
                FROM clustered GROUP BY cluster_id HAVING sum(uncertainty) FILTER (WHERE is_asked) > 0
            ),
            members AS (
                SELECT c.*, f.embedding, avg(f.embedding) OVER (PARTITION BY cluster_id) AS mean
                FROM clustered c LEFT JOIN {vectors} f USING (face_id, scan_id)
                WHERE cluster_id IN (SELECT cluster_id FROM unsettled)
            ),
            chosen AS (
                SELECT DISTINCT ON (cluster_id) face_id, scan_id, uri, cluster_id FROM members WHERE is_asked
                ORDER BY cluster_id, uncertainty DESC, embedding <-> mean, face_id
            )
            SELECT face_id, scan_id, uri, cluster_id, size, named, others, uncertainty::double precision AS unsettled
            FROM chosen JOIN unsettled USING (cluster_id) ORDER BY uncertainty DESC, cluster_id
            """
        )
        faces = cursor.execute(query.format(vectors=vectors), (cluster_ids,)).fetchall()
    return faces, len(totals), float(totals[-1][1]) if totals else 0.0
