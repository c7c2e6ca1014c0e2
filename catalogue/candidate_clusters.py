"""The clusters that may be a person's as a whole: where a name has reached several, or others are near.

A person is often in several clusters, since clusters are cautious. One decision about one of its faces gives a whole
cluster the name. Distances are Euclidean, between embeddings. A lost connection raises psycopg.OperationalError.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection, sql
from psycopg.rows import class_row

from catalogue.own_vectors import of_live
from catalogue.reader import MOST_NEIGHBOURS, search_widely
from catalogue.suggestions import ELSEWHERE, LABELLED, MOST_COMPARED


@dataclass(frozen=True)
class CandidateCluster:
    """A cluster whose faces without a hard label may all be a person.

    faces: how many these are: those with the person as soft label, or all faces of a cluster in which nobody is named.
    probability: the best one of them; None for a cluster in which nobody is named.
    face_id: that face; where nobody is named, the one that is nearest to a face with the person as hard label.
    distance: from it to the nearest face with the person as hard label; None as in `suggestions.Candidate`.
    """

    cluster_id: str
    faces: int
    probability: float | None
    distance: float | None
    face_id: str
    scan_id: str
    uri: str


def candidate_clusters(connection: Connection, label_id: str, radius: float, limit: int) -> list[CandidateCluster]:
    """The `limit` clusters that are most likely of the person `label_id`, best first.

    First those that have a face with the hard label and others with the soft label, by the best probability; then those
    of two or more faces in which nobody is named, with a face within `radius` of one with the hard label, by distance.
    Faces are left out as in `suggestions.candidates`, and with them a cluster in which nobody is named. Where all is
    about one cluster there is nothing to choose, and none is returned.
    """
    with of_live(connection) as vectors, connection.cursor(row_factory=class_row(CandidateCluster)) as cursor:
        search_widely(connection)
        query = sql.SQL(
            """
            WITH """
            + LABELLED
            + ELSEWHERE
            + """,
            reached AS (
                SELECT DISTINCT ON (cluster_id) cluster_id, face_id, scan_id, probability,
                       count(*) OVER (PARTITION BY cluster_id) AS faces
                FROM face_catalogue
                WHERE cluster_id IN (SELECT cluster_id FROM labelled) AND label_id IS NULL
                AND soft_label = %(label_id)s AND face_id NOT IN (SELECT face_id FROM excluded)
                ORDER BY cluster_id, probability DESC, face_id
            ),
            near AS (
                SELECT DISTINCT ON (cluster_id) cluster_id, face_id, scan_id, distance
                FROM elsewhere JOIN face_catalogue USING (face_id, scan_id) WHERE cluster_id IS NOT NULL
                ORDER BY cluster_id, distance, face_id
            ),
            unnamed AS (
                SELECT near.*, size.faces FROM near CROSS JOIN LATERAL (
                    SELECT count(*) AS faces, count(label_id) AS named,
                           bool_or(c.face_id IN (SELECT face_id FROM excluded)) AS excluded
                    FROM face_catalogue c WHERE c.cluster_id = near.cluster_id
                ) size
                WHERE size.faces > 1 AND size.named = 0 AND NOT size.excluded
            )
            SELECT cluster_id, it.faces, it.probability, distance, face_id, scan_id, uri
            FROM (
                SELECT cluster_id, face_id, scan_id, faces, probability,
                       (SELECT min(labelled.embedding <-> f.embedding) FROM labelled) AS distance
                FROM reached LEFT JOIN {vectors} f USING (face_id, scan_id)
                UNION ALL
                SELECT cluster_id, face_id, scan_id, faces, NULL, distance FROM unnamed
            ) it
            JOIN scans USING (scan_id)
            WHERE 1 < (
                SELECT count(cluster_id) FROM (
                    SELECT cluster_id FROM labelled UNION SELECT cluster_id FROM reached UNION
                    SELECT cluster_id FROM unnamed
                ) several
            )
            ORDER BY it.probability DESC NULLS LAST, distance, cluster_id LIMIT %(limit)s
            """
        )
        values = {"label_id": label_id, "radius": radius, "limit": limit, "most": MOST_NEIGHBOURS}
        return cursor.execute(query.format(vectors=vectors), values | {"compared": MOST_COMPARED}).fetchall()
